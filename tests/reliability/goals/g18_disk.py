"""G18: what visitors leave on the disk stays within its quota and goes in time."""

import os
import random
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from unittest import mock

from tests.reliability.goal import Goal, Mutant, Outcome
from workbench.profiles import DiskLimits
from workbench.ui.host import temporary

LIMITS = DiskLimits(bytes=1_000_000, seconds=3600.0, sweep_seconds=30.0)
BETWEEN_SWEEPS, HOUR = 20, 3600.0
LARGEST_FILE = 100_000


def check(size: int, seed: int) -> Outcome:
    """So many uploads that nobody reads, with a sweep after each twentieth; an hour later nothing is left of them."""
    chance, failures, most = random.Random(seed), [], 0
    with tempfile.TemporaryDirectory() as home:
        folder, now = Path(home), 1_000_000.0
        for number in range(size):
            now += chance.uniform(0, 20)
            _leave(folder / f"upload{number}" / "file", chance.randrange(LARGEST_FILE), now)
            if number % BETWEEN_SWEEPS == BETWEEN_SWEEPS - 1:
                temporary.sweep(folder, LIMITS, now)
                held = _held(folder)
                most = max(most, held)
                failures += [f"{held:,} bytes after upload {number}"] if held > LIMITS.bytes else []
        temporary.sweep(folder, LIMITS, now + HOUR + 1)
        left = _held(folder)
    failures += [f"{left:,} bytes are left an hour later"] if left else []
    level = f"{size:,} abandoned uploads: at most {most:,} of {LIMITS.bytes:,} bytes after a sweep, none an hour later"
    return Outcome(level, {"uploads": size, "most_bytes": most, "left_bytes": left}, tuple(failures))


def _leave(path: Path, size: int, now: float) -> None:
    path.parent.mkdir()
    with path.open("wb") as file:
        file.truncate(size)
    os.utime(path, (now, now))


def _held(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def no_janitor() -> AbstractContextManager[object]:
    """Nobody sweeps."""
    return mock.patch.object(temporary, "sweep", return_value=0)


GOAL = Goal(
    name="G18",
    promise="What visitors leave on the disk stays within its quota, and goes in time",
    peer="Gradio: aborted uploads stay, and nothing bounds the folder",
    unit="uploads",
    short=200,
    full=1_000,
    check=check,
    mutants=(Mutant("nobody sweeps", no_janitor),),
)
