"""G12: a run that is killed anywhere goes on to the same bytes; `tests/reliability/kills.py` is how."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

from tests.reliability import kills
from tests.reliability.goal import Goal, Mutant, Outcome
from workbench.evals.runs import files, writer

ROOT = Path(__file__).parents[3]
KILLS_A_FULL_DISK = 10
MISSING = "GUARD_TAKEN_AWAY"
"""A variable of the environment: the campaign runs in a process of its own, which forks."""


def check(size: int, seed: int) -> Outcome:
    """So many SIGKILLs, and a tenth as many full disks."""
    room = max(2, size // KILLS_A_FULL_DISK)
    command = [sys.executable, "-m", __spec__.name, "--kills", str(size), "--seed", str(seed), "--no-room", str(room)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60 + 5 * size)
    if ended.returncode:
        said = ended.stderr.strip().splitlines()
        return Outcome("broken", {}, (said[-1] if said else f"status {ended.returncode}",))
    found: dict[str, Any] = json.loads(ended.stdout)
    level = (
        f"{found['kills']:,} SIGKILLs in chains of up to {found['longest_chain']}, {found['without_room']} full disks: "
        f"every report the same to the byte; {found['recomputed']} examples computed twice, at most one a kill"
    )
    return Outcome(level, {name: found[name] for name in ("kills", "runs", "recomputed", "without_room")})


@contextmanager
def in_place() -> Iterator[None]:
    """Whole files are written where they belong, instead of beside and then renamed."""

    def straight(path: Path, parts: Any) -> None:
        path.write_bytes(b"")
        for part in parts:
            with path.open("ab", buffering=0) as file:
                file.write(part)
                os.fsync(file.fileno())

    with mock.patch.object(files, "write_whole", straight), mock.patch.object(writer, "write_whole", straight):
        yield


GUARDS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "files are written in place": in_place,
}


def without(guard: str) -> Callable[[], AbstractContextManager[object]]:
    """Takes a guard away in the campaign's process."""
    return lambda: mock.patch.dict(os.environ, {MISSING: guard})


GOAL = Goal(
    name="G12",
    promise="A benchmark that is killed at any moment, or finds the disk full, goes on to the same bytes",
    peer="lm-evaluation-harness: resuming is a feature request; no test kills it",
    unit="kills",
    short=20,
    full=200,
    check=check,
    mutants=tuple(Mutant(guard, without(guard), 30) for guard in GUARDS),
)

if __name__ == "__main__":
    with GUARDS[os.environ[MISSING]]() if MISSING in os.environ else nullcontext():
        kills.main()
