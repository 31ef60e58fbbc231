"""The kernels in C, compiled once for this machine and kept; without a compiler everything runs on PyTorch, slower.

Plain C through ctypes: it builds in seconds, needs no headers of PyTorch's, and a compiler is all it asks of a machine.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from workbench.settings import compiles_kernels

SOURCE = Path(__file__).parent / "source"
COMPILERS = ("cc", "gcc", "clang")
# Strict C keeps sums and products apart, so that results are the same on every machine. Without -fno-tree-pre, gcc
# keeps the sums of a product in memory instead of registers, at half the speed.
FLAGS = ("-O3", "-std=c11", "-fno-math-errno", "-fno-trapping-math", "-fno-tree-pre", "-fPIC", "-shared")
VARIANTS: tuple[tuple[str, ...], ...] = (("-march=native", "-fopenmp"), ("-march=native",), ("-fopenmp",), ())
"""Tried in this order: some compilers come without OpenMP, some know no native machine."""
BUILD_SECONDS = 120
_POINTER, _LONG, _INT = ctypes.c_void_p, ctypes.c_long, ctypes.c_int
ARGUMENTS = {
    "int8_linear": (_INT, _POINTER, _LONG, _LONG, _POINTER, _POINTER, _POINTER, _LONG, _POINTER, _INT),
    "int4_linear": (_INT, _POINTER, _LONG, _LONG, *(_POINTER,) * 5, _LONG, _POINTER, _INT),
    "int4_quantise": (_POINTER, _LONG, _LONG, _POINTER, _POINTER, _POINTER, _POINTER, _INT),
    "row_linear": (_INT, _POINTER, _LONG, _LONG, _INT, _POINTER, _POINTER, _LONG, _INT, _POINTER, _INT),
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
    return build(cache_folder(os.environ))


def build(folder: Path, compilers: tuple[str, ...] = COMPILERS) -> Kernels:
    """Loads the kernels from a folder, or compiles them into it; where it can't be written to, for this process alone.

    Args:
        compilers: commands, the first one that exists is used.
    """
    found = [path for path in map(shutil.which, compilers) if path is not None]
    if not found:
        return _without("No C compiler was found. Install gcc or clang, and the next start is several times as fast.")
    kept = folder / f"kernels-{_digest(found[0])}.so"
    try:
        if kept.exists() and _is_own(kept):
            return _loaded(kept)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return _compiled(found[0], folder, lambda made: made.replace(kept))
    except OSError as error:
        unkept = f"The compiled kernels could not be kept in {folder} ({error.strerror or error}): each start compiles."
    with tempfile.TemporaryDirectory(prefix="kernels-") as scratch:
        made = _compiled(found[0], Path(scratch), lambda made: made)
    return made if made.library is None else Kernels(made.library, made.instructions, unkept)


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Where compiled kernels are kept: in the user's cache, which nobody else can write to."""
    root = environment.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(root) / "gptj-workbench"


def _compiled(compiler: str, folder: Path, keep: Callable[[Path], Path]) -> Kernels:
    """Compiles in a folder and loads what `keep` made of the file; no library if the compiler fails."""
    files = sorted(map(str, SOURCE.glob("*.c")))
    reason = ""
    for variant in VARIANTS:
        handle, name = tempfile.mkstemp(suffix=".so", dir=folder)
        os.close(handle)
        command = [compiler, *FLAGS, *variant, "-o", name, *files, "-lm"]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=BUILD_SECONDS, text=True)
            return _loaded(keep(Path(name)))
        except (subprocess.SubprocessError, OSError) as error:
            Path(name).unlink(missing_ok=True)
            reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[0][:200]
    return _without(f"{compiler} could not compile the kernels ({reason}). With a working C compiler it is faster.")


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
    """Whether nobody but this user (or root) can have written the file: it will run in this process."""
    return not hasattr(os, "getuid") or path.stat().st_uid in (0, os.getuid())


def _digest(compiler: str) -> str:
    """Tells builds apart: other sources, another compiler, another processor."""
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=BUILD_SECONDS).stdout
    parts = [version, " ".join(FLAGS), platform.machine(), _processor()]
    parts += [path.read_text() for path in sorted(SOURCE.iterdir())]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _processor() -> str:
    """The processor's instruction sets, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
