"""The folder for uploads and for files that are made to be taken away: our own, and kept small."""

import atexit
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from workbench.profiles import DiskLimits

VARIABLE = "GRADIO_TEMP_DIR"
PREFIX = "gptj-workbench-"
EMPTY_SECONDS = 60.0
"""That a folder stays which holds nothing: somebody may be about to fill it."""
_log = logging.getLogger(__name__)


def temporary_folder(environment: MutableMapping[str, str] = os.environ) -> Path:
    """The folder, which Gradio takes too: GRADIO_TEMP_DIR, else a new one that ends with the process.

    Folders of processes that were killed are removed.
    """
    if given := environment.get(VARIABLE):
        return Path(given)
    home = Path(tempfile.gettempdir())
    for left in home.glob(f"{PREFIX}*"):
        process = left.name.removeprefix(PREFIX).partition("-")[0]
        if process.isdecimal() and not _runs(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    atexit.register(remove, folder)
    environment[VARIABLE] = str(folder)
    return folder


def remove(folder: Path) -> None:
    """Removes the folder at the process's end, if it was made for it."""
    if folder.name.startswith(PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


def keep_small(folder: Path, limits: DiskLimits) -> None:
    """Sweeps the folder from now on, in a thread."""
    threading.Thread(target=_keep_sweeping, args=(folder, limits), name="janitor", daemon=True).start()


@dataclass(frozen=True)
class _File:
    path: Path
    bytes: int
    at: float
    """When it was last written to."""


def sweep(folder: Path, limits: DiskLimits, now: float | None = None) -> int:
    """Deletes what is too old, then the oldest until the rest is small enough; gives the bytes that are left.

    Args:
        now: in seconds since the epoch.
    """
    now = time.time() if now is None else now
    files = sorted(_files(folder), key=lambda file: file.at)
    left = sum(file.bytes for file in files)
    for file in files:
        if left <= limits.bytes and now - file.at <= limits.seconds:
            break
        with suppress(OSError):
            file.path.unlink()
            left -= file.bytes
    for path, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):  # it holds something, or is gone
            if Path(path) != folder and now - os.stat(path).st_mtime > EMPTY_SECONDS:
                os.rmdir(path)
    return left


def _files(folder: Path) -> list[_File]:
    """All files below it; links are not followed."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # deleted meanwhile
                facts = os.lstat(os.path.join(place, name))
                found.append(_File(Path(place, name), facts.st_size, facts.st_mtime))
    return found


def _keep_sweeping(folder: Path, limits: DiskLimits) -> None:
    while True:
        try:
            sweep(folder, limits)
        except Exception:  # whatever it was, the next look may do better
            _log.exception("the temporary folder could not be swept")
        time.sleep(limits.sweep_seconds)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
