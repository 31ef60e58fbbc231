"""The kernels in C, compiled once for this machine and kept; without a compiler everything runs on PyTorch, slower.

Plain C through ctypes: it builds in seconds, needs no headers of PyTorch's, and a compiler is all it asks of a machine.
"""

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from workbench.settings import compiles_kernels

SOURCE = Path(__file__).parent / "source"
COMPILERS = ("cc", "gcc", "clang")
# -ffp-contract=off keeps products and sums apart where the source does: joined here and not there, they would differ
# in their last bits. Without -fno-tree-pre, gcc keeps the sums of a product in memory instead of registers, at half the
# speed.
FLAGS = (
    "-O3", "-std=c11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fno-tree-pre",
    "-fPIC", "-shared",
)  # fmt: skip
VARIANTS: tuple[tuple[str, ...], ...] = (("-march=native", "-fopenmp"), ("-march=native",), ("-fopenmp",), ())
"""Tried in this order: some compilers come without OpenMP, some know no native machine."""
BUILD_SECONDS = 120
STALE_SECONDS = 3600
"""An unfinished file of this age is nobody's any more."""
FAILURES = (subprocess.SubprocessError, OSError, AttributeError)
"""A compiler that fails, a file that can't be written or loaded, a library without one of the functions."""
_POINTER, _LONG, _INT = ctypes.c_void_p, ctypes.c_long, ctypes.c_int
ARGUMENTS = {
    "int8_linear": (_INT, _POINTER, _LONG, _LONG, _POINTER, _POINTER, _POINTER, _LONG, _POINTER, _INT),
    "int4_linear": (_INT, _POINTER, _LONG, _LONG, *(_POINTER,) * 5, _LONG, _POINTER, _INT),
    "int4_quantise": (_POINTER, _LONG, _LONG, _POINTER, _POINTER, _POINTER, _POINTER, _INT),
    "row_linear": (_INT, _POINTER, _LONG, _LONG, _INT, _POINTER, _POINTER, _LONG, _POINTER, _INT),
    "attend_rows": (_INT, _POINTER, _POINTER, _POINTER, _LONG, _LONG, _LONG, _POINTER, _INT),
    "read_all": (_POINTER, _LONG, _INT),
    "instructions": (),
}
"""The functions in C, as their sources declare them."""
FLOAT_TYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}
"""The numbers of vectors.h."""


@dataclass(frozen=True)
class Kernels:
    """What computes on this machine's CPU."""

    library: ctypes.CDLL | None
    """None: PyTorch computes."""
    instructions: str
    """What the kernels are compiled for, as "AVX-512 VNNI"; "PyTorch" without a library."""
    note: str = ""
    """What stood in the way, and what to do about it; empty where nothing did."""


@functools.cache
def kernels() -> Kernels:
    """The kernels of this process; compiled at the first call, if they have not been before."""
    if not compiles_kernels(os.environ):
        return _without("WORKBENCH_KERNELS=torch turns the compiled kernels off.")
    try:
        folder = cache_folder(os.environ)
    except RuntimeError:
        return _without(
            "There is no home folder to keep compiled kernels in. Set HOME or XDG_CACHE_HOME; it is faster."
        )
    return build(folder)


def build(folder: Path, compilers: tuple[str, ...] = COMPILERS) -> Kernels:
    """Loads the kernels from a folder, or compiles them into it; where they can't be kept, for this process alone.

    Args:
        compilers: commands, the first one that exists is used.
    """
    compiler = next(filter(None, map(shutil.which, compilers)), None)
    if compiler is None:
        return _without("No C compiler was found. Install gcc or clang, and the next start is several times as fast.")
    try:
        build_name = f"kernels-{_digest(compiler)}"
        return _found(folder, build_name) or _kept(compiler, folder, build_name)
    except (OSError, AttributeError) as error:
        unkept = f"The compiled kernels could not be kept in {folder} ({_reason(error)}): each start compiles."
    except subprocess.SubprocessError as error:
        return _failed(compiler, error)
    try:
        with tempfile.TemporaryDirectory(prefix="kernels-", ignore_cleanup_errors=True) as scratch:
            _, made = _compiled(compiler, Path(scratch), passing=FAILURES)
    except FAILURES as error:
        return _failed(compiler, error)
    return Kernels(made.library, made.instructions, unkept)


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Where compiled kernels are kept: in the user's cache, which nobody else can write to."""
    root = environment.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(root) / "gptj-workbench"


def _found(folder: Path, build_name: str) -> Kernels | None:
    """The kernels kept by an earlier start, if they still are what was kept."""
    for path in folder.glob(f"{build_name}-*.so"):
        try:
            # Compared first: to load a file that was cut short can end the process.
            if _is_own(path) and _is_own(folder) and path.stem == f"{build_name}-{_digest_of(path.read_bytes())}":
                return _loaded(path)
        except (OSError, AttributeError):
            continue
    return None


def _kept(compiler: str, folder: Path, build_name: str) -> Kernels:
    """Compiles into the folder, in place of all earlier kernels.

    Raises:
        OSError, AttributeError: they can't be written there, or not loaded from there.
        SubprocessError: the compiler fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    made, found = _compiled(compiler, folder, passing=(subprocess.SubprocessError,))
    made.chmod(0o700)
    kept = made.replace(folder / f"{build_name}-{_digest_of(made.read_bytes())}.so")
    for other in folder.glob("*.so"):
        with contextlib.suppress(OSError):
            is_finished = other.name.startswith("kernels-")
            if other != kept and (is_finished or time.time() - other.stat().st_mtime > STALE_SECONDS):
                other.unlink()
    return found


def _compiled(compiler: str, folder: Path, passing: tuple[type[Exception], ...]) -> tuple[Path, Kernels]:
    """Compiles to a file in a folder and loads it; what fails leaves nothing there.

    Args:
        passing: errors after which the next variant is tried; the last one's is raised.
    """
    files = sorted(map(str, SOURCE.glob("*.c")))
    for variant in VARIANTS:
        handle, name = tempfile.mkstemp(prefix="unfinished-", suffix=".so", dir=folder)
        os.close(handle)
        try:
            _run(compiler, *FLAGS, *variant, "-o", name, *files, "-lm")
            return Path(name), _loaded(Path(name))
        except FAILURES as error:
            Path(name).unlink(missing_ok=True)
            if not isinstance(error, passing) or variant == VARIANTS[-1]:
                raise
    raise ValueError("there is no variant to compile")


def _run(*command: str) -> str:
    """What a command prints."""
    ran = subprocess.run(
        command, check=True, capture_output=True, timeout=BUILD_SECONDS, encoding="utf-8", errors="replace"
    )
    return ran.stdout


def _reason(error: Exception) -> str:
    """One line: of a compiler's, the first that speaks of an error."""
    printed = getattr(error, "stderr", None) or ""
    text = printed.decode(errors="replace") if isinstance(printed, bytes) else printed
    silent = str(error)
    if isinstance(error, subprocess.SubprocessError):
        silent = silent.rpartition("' ")[2]  # without the whole command
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [silent]
    return next((line for line in lines if "error" in line.lower()), lines[-1])[:200]


def _failed(compiler: str, error: Exception) -> Kernels:
    return _without(
        f"{compiler} could not compile the kernels ({_reason(error)}). With a working C compiler it is faster."
    )


def _loaded(path: Path) -> Kernels:
    library = ctypes.CDLL(str(path))
    for name, arguments in ARGUMENTS.items():
        getattr(library, name).argtypes = arguments
    library.instructions.restype = ctypes.c_char_p
    library.read_all.restype = ctypes.c_float
    return Kernels(library, library.instructions().decode())


def _without(note: str) -> Kernels:
    return Kernels(None, "PyTorch", note)


def _is_own(path: Path) -> bool:
    """Whether nobody but this user (or root) can write the file or folder: what lies there runs in this process."""
    if not hasattr(os, "getuid"):
        return True
    status = path.stat()
    return status.st_uid in (0, os.getuid()) and not status.st_mode & 0o022


def _digest(compiler: str) -> str:
    """Tells builds apart: other sources, another compiler, another processor."""
    parts = [_run(compiler, "--version"), repr((FLAGS, VARIANTS)), platform.machine(), _processor()]
    sources = [path.read_bytes() for path in sorted(SOURCE.iterdir())]
    return _digest_of(b"\0".join([*(part.encode() for part in parts), *sources]))


def _digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _processor() -> str:
    """The processor's instruction sets, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
