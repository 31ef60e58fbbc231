"""G7: nothing is left of requests that are done."""

import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from tests.reliability.goal import Goal, Mutant, Outcome
from tests.reliability.people import ask_all, crowd_model, requests
from workbench.engine.engine import Engine
from workbench.engine.handle import Handle
from workbench.gptj.cache import KVCache

MOST_BYTES = 8 * 2**20
PEOPLE = 16
WARM_UP = 1
"""One in so many goes before: what is made once, and the allocator's pools, are there by then."""


def check(size: int, seed: int) -> Outcome:
    """So many requests on one engine; then as many caches, handles, threads and files are there as before."""
    model = crowd_model()
    with Engine(model) as engine:
        ask_all(engine, requests(model, max(50, size // WARM_UP), seed), PEOPLE)
        before, resident = _left(), _resident_bytes()
        ask_all(engine, requests(model, size, seed + 1), PEOPLE)
        after, grown = _left(), _resident_bytes() - resident
    failures = [f"{after[name] - before[name]} {name} are left" for name in before if after[name] > before[name] + 2]
    if grown > max(MOST_BYTES, resident // 100):
        failures.append(f"{grown / 2**20:.1f} MiB are left")
    level = f"after {size:,} requests: no cache, handle, thread or file is left; {max(0, grown) / 2**20:.1f} MiB more"
    return Outcome(level, {"requests": size, "grown_bytes": grown, **after}, tuple(failures))


def _left() -> dict[str, int]:
    """What is there now."""
    gc.collect()
    kinds = [type(thing) for thing in gc.get_objects()]
    return {
        "caches": kinds.count(KVCache),
        "handles": kinds.count(Handle),
        "threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")),
    }


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def remembered() -> Iterator[None]:
    """The engine remembers every job."""
    kept: list[Any] = []
    add = Engine._add

    def remember(engine: Engine, work: Any) -> None:
        kept.append(work)
        add(engine, work)

    with mock.patch.object(Engine, "_add", remember):
        yield


@contextmanager
def open_files() -> Iterator[None]:
    """Each request leaves a file open."""
    kept: list[Any] = []
    finish = Handle.finish

    def leave(handle: Handle[Any], result: Any) -> None:
        kept.append(os.open("/dev/null", os.O_RDONLY))
        finish(handle, result)

    with mock.patch.object(Handle, "finish", leave):
        yield
    for descriptor in kept:
        os.close(descriptor)


GOAL = Goal(
    name="G7",
    promise="Nothing is left of a request that is done: no memory, cache, handle, thread or open file",
    peer="none publishes it",
    unit="requests",
    short=200,
    full=5_000,
    check=check,
    mutants=(
        Mutant("every job is remembered", remembered, 50),
        Mutant("each request leaves a file open", open_files, 50),
    ),
)
