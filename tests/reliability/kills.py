"""Kills evaluations with SIGKILL at random points, lets them go on, and compares what comes out with a run left alone.

    python -m tests.reliability.kills --kills 200

Each kill ends a process that was forked from this one a moment before, so it costs well under a second. A third of
the kills come after a random time; the others the process deals itself at a random operation on its files, half of
them where a file is replaced whole: before it, after it, or, while it writes, in the middle of a line. The evaluated
model is made of hashes: what is tested is the record of a run, not its numbers.
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.evals.runs.toy_benchmark import HashModel, contents, riddles, run_of
from workbench.errors import BadRequest, NotSaved
from workbench.evals.asking import Request
from workbench.evals.runs.run import Run
from workbench.evals.runs.runner import Options
from workbench.evals.runs.store import RunStore

EXAMPLES = 24
SECONDS_AN_EXAMPLE = 0.001
LONGEST_CHAIN = 10
OPERATIONS = ("write", "replace", "fsync", "unlink", "ftruncate")
WHOLE_FILE = ("replace", "fsync")
"""What happens when a file is replaced: at the beginning of a run, and above all at its end."""
WHOLE_FILE_OPERATIONS = 17
FEW_OPERATIONS = 5
MANNERS = ("time", "any operation", "replacing")
DONE, NO_ROOM = 0, 3
ROWS = riddles(EXAMPLES)
_write = os.write


@dataclass
class Campaign:
    """What happened so far."""

    kills: int = 0
    chains: list[int] = field(default_factory=list)
    """Kills of each run that was brought to its end."""
    recomputed: int = 0
    states: Counter[str] = field(default_factory=Counter)
    """In which the runs were killed."""


def evaluate_once(folder: Path, log: Path, batch_size: int) -> None:
    """A whole run, or the rest of one; the log gets a line for each example that is computed."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(requests: Sequence[Request]) -> None:
        _write(descriptor, (getattr(requests[0], "context", "").partition(":")[0] + "\n").encode())

    run_of(folder, ROWS, Options(batch_size=batch_size), model=HashModel(note, SECONDS_AN_EXAMPLE))


def forked(work: Callable[[], None]) -> int:
    """The process that does the work and ends; status 3 where it found no room."""
    child = os.fork()
    if child:
        return child
    try:
        work()
    except (NotSaved, BadRequest) as error:
        print(error, file=sys.stderr)
        os._exit(NO_ROOM)
    except BaseException as error:  # a child must not go on with what its parent would do
        print(repr(error), file=sys.stderr)
        os._exit(1)
    os._exit(DONE)


def die_at(operation: int, counted_names: Sequence[str], chance: random.Random) -> None:
    """From now on this process counts some of its operations on files, and kills itself at this one."""
    left = operation

    def deadly(name: str) -> Callable[..., Any]:
        original, moment = getattr(os, name), chance.choice(("before", "amid", "after"))

        def counted(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0 and moment == "amid" and name == "write":
                original(arguments[0], arguments[1][: chance.randrange(len(arguments[1]))])
            if left == 0 and moment != "after":
                os.kill(os.getpid(), signal.SIGKILL)
            result = original(*arguments, **named)
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return counted

    for name in counted_names:
        setattr(os, name, deadly(name))


def killed(work: Callable[[], None], manner: str, chance: random.Random, seconds: float, operations: int) -> bool:
    """Whether the process was killed, rather than done before."""
    if manner != "time":
        names, most = (OPERATIONS, operations) if manner == "any operation" else (WHOLE_FILE, WHOLE_FILE_OPERATIONS)
        target = chance.randint(1, most)

        def doomed() -> None:
            die_at(target, names, chance)
            work()

        child = forked(doomed)
    else:
        child = forked(work)
        time.sleep(chance.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status) == signal.SIGKILL
    if os.WEXITSTATUS(status) != DONE:
        raise SystemExit(f"an evaluation ended with status {os.WEXITSTATUS(status)}")
    return False


def state_of(folder: Path) -> str:
    """Of the run in a folder, which must be readable at any moment."""
    runs = RunStore(folder).runs()
    if RunStore(folder).damaged():
        raise SystemExit(f"{folder}: {RunStore(folder).damaged()}")
    if not runs:
        return "no run yet"
    count = len(runs[0].predictions)
    if runs[0].is_done:
        return "done"
    return "all computed" if count == EXAMPLES else "some computed" if count else "none computed"


def chain(folder: Path, log: Path, length: int, chance: random.Random, seconds: float, found: Campaign) -> None:
    """Kills a run so often, unless it is done before; then lets it come to its end."""
    batch_size, kills = chance.choice((1, 4, 8)), 0
    reach = min(1.0, 1.5 / length)  # a long chain needs kills that leave something to do

    def work() -> None:
        evaluate_once(folder, log, batch_size)

    while kills < length:
        # Only kills at their first operations leave enough to do for ten of them.
        manner = "any operation" if length == LONGEST_CHAIN else chance.choice(MANNERS)
        operations = FEW_OPERATIONS if length == LONGEST_CHAIN else round(reach * (EXAMPLES + 12))
        if not killed(work, manner, chance, reach * seconds, operations):
            break
        kills += 1
        found.states[state_of(folder)] += 1
    _, status = os.waitpid(forked(work), 0)
    if status:
        raise SystemExit(f"{folder.name}: the last sitting ended with {status}")
    computed = Counter(log.read_text().splitlines())
    twice = computed.total() - len(computed)
    if len(computed) != EXAMPLES or twice > kills:
        raise SystemExit(f"{folder.name}: {twice} computed twice after {kills} kills: {computed}")
    found.kills, found.recomputed = found.kills + kills, found.recomputed + twice
    found.chains.append(kills)


def campaign(kills: int, seed: int, scratch: Path) -> Campaign:
    """So many kills, in chains of up to ten; each chain's run is brought to its end and compared.

    Raises:
        SystemExit: a run differs, is unreadable, or computed more examples twice than it was killed.
    """
    chance, found = random.Random(seed), Campaign()
    scratch.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    evaluate_once(scratch / "whole", scratch / "whole.log", 1)
    seconds = time.monotonic() - began
    wanted = contents(_only_run(scratch / "whole"))
    while found.kills < kills:
        folder = scratch / f"run-{len(found.chains)}"
        wanted_length = chance.choice((1, 2, 3, 5, LONGEST_CHAIN)) if found.chains else LONGEST_CHAIN
        length = min(wanted_length, kills - found.kills)
        chain(folder, folder.with_suffix(".log"), length, chance, seconds, found)
        if contents(_only_run(folder)) != wanted:
            raise SystemExit(f"{folder.name}: other bytes than the run that was left alone")
        shutil.rmtree(folder)
    return found


def without_room(points: int, scratch: Path) -> list[str]:
    """Runs whose files may only grow to a size, from nothing to enough; what each that failed said.

    Raises:
        SystemExit: one did not go on to the same bytes once there was room.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    evaluate_once(scratch / "whole", scratch / "whole.log", 1)
    whole = _only_run(scratch / "whole")
    size = max(map(len, contents(whole)))
    said = []
    for point in range(points):
        folder, log, errors = scratch / f"room-{point}", scratch / f"room-{point}.log", scratch / f"room-{point}.txt"
        limit = size * point // points

        def cramped(folder: Path = folder, log: Path = log, limit: int = limit, errors: Path = errors) -> None:
            os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT), 2)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                evaluate_once(folder, log, 1)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

        log.touch()
        _, status = os.waitpid(forked(cramped), 0)
        if os.waitstatus_to_exitcode(status) != NO_ROOM:
            raise SystemExit(f"{limit} bytes: status {os.waitstatus_to_exitcode(status)}: {errors.read_text()}")
        said.append(errors.read_text())
        if (folder.exists() and RunStore(folder).damaged()) or state_of(folder) == "done":
            raise SystemExit(f"{limit} bytes: the folder is no run that can be gone on with")
        evaluate_once(folder, log, 1)
        if contents(_only_run(folder)) != contents(whole):
            raise SystemExit(f"{limit} bytes: other bytes than the run that had room")
    return said


def _only_run(folder: Path) -> Run:
    (run,) = RunStore(folder).runs()
    return run


def main() -> None:
    """The campaign, from the command line; prints one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-room", type=int, default=20, metavar="POINTS", help="runs on a full disk")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        began = time.monotonic()
        found = campaign(options.kills, options.seed, Path(scratch, "kills"))
        seconds = time.monotonic() - began
        said = without_room(options.no_room, Path(scratch, "room"))
    answer = {
        "kills": found.kills,
        "runs": len(found.chains),
        "longest_chain": max(found.chains),
        "recomputed": found.recomputed,
        "killed_while": dict(found.states),
        "seconds": round(seconds, 1),
        "without_room": len(said),
        "said": said,
    }
    print(json.dumps(answer, indent=2))


if __name__ == "__main__":
    main()
