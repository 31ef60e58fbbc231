"""The temporary folder: our own, private, and kept small."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from workbench.profiles import DiskLimits
from workbench.ui.host.temporary import PREFIX, VARIABLE, remove, sweep, temporary_folder

LIMITS = DiskLimits(bytes=1000, seconds=100.0, sweep_seconds=1.0)
NOW = 1_000_000.0


def write(path: Path, size: int, age: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (NOW - age, NOW - age))
    return path


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    old, new = write(tmp_path / "a" / "old", 10, 101), write(tmp_path / "a" / "new", 10, 99)
    assert sweep(tmp_path, LIMITS, NOW) == 10 and not old.exists() and new.exists()


def test_the_oldest_goes_until_the_rest_is_small_enough(tmp_path: Path) -> None:
    files = [write(tmp_path / str(number), 400, 10 - number) for number in range(4)]
    assert sweep(tmp_path, LIMITS, NOW) == 800
    assert [file.exists() for file in files] == [False, False, True, True]


def test_what_is_small_and_new_stays(tmp_path: Path) -> None:
    write(tmp_path / "a", 1000, 0)
    assert sweep(tmp_path, LIMITS, NOW) == 1000


def test_folders_that_hold_nothing_go_and_the_folder_itself_stays(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for path in (tmp_path / "a" / "b", tmp_path / "a", tmp_path):
        os.utime(path, (0, 0))
    sweep(tmp_path, LIMITS, NOW)
    os.utime(tmp_path / "a", (0, 0)) if (tmp_path / "a").exists() else None
    sweep(tmp_path, LIMITS, NOW)
    assert list(tmp_path.iterdir()) == [] and tmp_path.exists()


def test_a_link_is_removed_and_what_it_points_to_is_not(tmp_path: Path) -> None:
    kept = write(tmp_path / "elsewhere" / "kept", 5000, 0)
    folder = tmp_path / "swept"
    folder.mkdir()
    (folder / "file").symlink_to(kept)
    (folder / "folder").symlink_to(kept.parent)
    assert sweep(folder, DiskLimits(0, 0.0, 1.0), NOW + 10**9) == 0
    assert kept.exists()


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert sweep(tmp_path / "nowhere", LIMITS) == 0


def test_the_folder_that_is_given_is_taken(tmp_path: Path) -> None:
    given = {VARIABLE: str(tmp_path)}
    assert temporary_folder(given) == tmp_path


def test_a_folder_of_its_own_is_private_and_those_of_the_dead_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    dead, alive = tmp_path / f"{PREFIX}{ended.stdout.strip()}-a", tmp_path / f"{PREFIX}{os.getpid()}-b"
    for path in (dead, alive):
        path.mkdir()
    environment: dict[str, str] = {}
    folder = temporary_folder(environment)
    assert environment[VARIABLE] == str(folder) and folder.stat().st_mode & 0o077 == 0
    assert alive.exists() and not dead.exists()
    remove(folder)
    assert not folder.exists()


def test_a_folder_that_was_given_is_not_removed(tmp_path: Path) -> None:
    remove(tmp_path)
    assert tmp_path.exists()
