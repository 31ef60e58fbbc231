"""A head's folder on disk: whether one may stand at a place, and how it is replaced whole."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workbench.errors import BadRequest
from workbench.loading.adapter_file import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from workbench.loading.head_card import HEAD_FILE
from workbench.loading.head_readme import README

HEAD_WEIGHTS = "head.safetensors"
WEIGHT_FILES = (HEAD_WEIGHTS, ADAPTER_CONFIG, ADAPTER_WEIGHTS)
FILES = (HEAD_FILE, README, *WEIGHT_FILES)
KEPT_PREFIX = "training-"
"""How the files begin that a training run keeps in the same folder; saving a head leaves them there."""


def check_head_folder(folder: Path) -> None:
    """Refuses a folder that a head can't be written to, or in which something would be lost.

    It leaves nothing behind, and puts back a head that a kill left aside; see `check_place`.

    Raises:
        BadRequest: no folder of its own, one that can't be written, or one that holds anything but a head and its
            training.
    """
    check_place(folder)
    paths = sorted(folder.iterdir()) if folder.exists() else []
    names = [path.name for path in paths]
    foreign = [
        path.name
        for path in paths
        if path.is_dir() or (path.name not in FILES and not path.name.startswith(KEPT_PREFIX))
    ]
    if foreign or (HEAD_FILE not in names and any(name in FILES for name in names)):
        raise BadRequest(
            f"{folder} holds other files ({', '.join(foreign or names)[:200]}), and a head would replace them. "
            "Choose a new folder."
        )


def check_place(folder: Path) -> None:
    """Refuses a path at which no folder of its own can stand, whatever the folder holds.

    Raises:
        BadRequest: it has no name, is a file or a link, is where the program runs, or can't be written.
    """
    try:
        place = folder.resolve()
        if folder.name in ("", "..") or Path.cwd().is_relative_to(place):
            raise BadRequest(f"{folder} has no name of its own: {place} holds more than a head. Choose a new folder.")
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise BadRequest(f"{folder} is not a folder of its own. Choose a new folder for the head.")
        _put_back(folder)
        _try_to_write(place)
    except (OSError, ValueError, RuntimeError) as error:  # a name that no file can have, or links in a circle
        reason = getattr(error, "strerror", None) or error
        raise BadRequest(f"{folder} can't be written ({reason}). Choose another folder.") from error


@contextmanager
def replaced_whole(folder: Path) -> Iterator[Path]:
    """An empty folder to write into, which takes this one's place when the context ends well."""
    check_head_folder(folder)
    fresh, old = _beside(folder, "part"), _beside(folder, "old")
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        yield fresh
        if folder.exists():
            _keep_training(folder, fresh)
            folder.rename(old)
        fresh.rename(folder)  # a kill before this line leaves the earlier head aside, until it is put back
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _put_back(folder: Path) -> None:
    """Finds a head, and its training's state, where a kill between two renames left them."""
    old = _beside(folder, "old")
    if old.is_dir() and not folder.exists():
        with suppress(FileNotFoundError):  # another process of the same training was quicker
            old.rename(folder)


def _try_to_write(place: Path) -> None:
    """Makes a folder of this name, and its parents, inside a new one at the nearest place there is; all go again.

    Raises:
        OSError: something is in the way: a file, a missing permission, a full disk, a name too long.
    """
    there = next(parent for parent in place.parents if parent.exists())
    with tempfile.TemporaryDirectory(prefix=".probe-", dir=there) as probe:
        _beside(Path(probe, place.relative_to(there)), "part").mkdir(parents=True)
    if place.exists():
        with tempfile.TemporaryFile(dir=place):
            pass  # a training run keeps its files in it


def _beside(folder: Path, end: str) -> Path:
    return folder.with_name(f".{folder.name}.{end}")


def _keep_training(folder: Path, fresh: Path) -> None:
    """Takes a training run's own files along."""
    for path in folder.glob(KEPT_PREFIX + "*"):
        try:
            os.link(path, fresh / path.name)  # the same file under both names: a log that is open goes on
        except OSError:
            shutil.copy2(path, fresh / path.name)  # a file system without such links
