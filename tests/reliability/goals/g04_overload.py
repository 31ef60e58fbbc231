"""G4: ten times as many as find room are refused at once and told how many are ahead; who was taken is served."""

import random
import threading
import time
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from tests.reliability.goal import Goal, Mutant, Outcome
from tests.reliability.overload import overloaded
from tests.reliability.people import PATIENCE_SECONDS, answers_alone, crowd_model, requests, together
from workbench.engine.engine import Engine
from workbench.engine.limits import Limits
from workbench.engine.scheduler import Scheduler
from workbench.errors import Busy

ROWS, WAITING, PEOPLE = 4, 8, 120
"""Ten times as many people as are served or wait."""
LEAST_OVER_HTTP = 180


def check(size: int, seed: int) -> Outcome:
    """So many requests by people who never wait before they ask again."""
    model, failures, lock = crowd_model(), list[str](), threading.Lock()
    jobs = requests(model, size, seed)
    alone = answers_alone(model, jobs)
    left, counts = iter(range(size)), {"served": 0, "refused": 0, "longest_line": 0}
    with Engine(model, max_rows=ROWS, limits=Limits(waiting=WAITING)) as engine:

        def person(number: int) -> None:
            rng = random.Random(number)
            while (which := _next(left, lock)) is not None:
                said, refused = _served(engine, jobs[which], alone[which], rng)
                with lock:
                    failures.extend(said)
                    counts["served"] += not said
                    counts["refused"] += refused
                    counts["longest_line"] = max(counts["longest_line"], len(engine._scheduler._waiting))

        together([lambda number=number: person(number) for number in range(min(PEOPLE, size))])  # type: ignore[misc]
    if counts["longest_line"] > WAITING:
        failures.append(f"{counts['longest_line']} waited, and there is room for {WAITING}")
    served = overloaded(max(LEAST_OVER_HTTP, size // 5))
    failures += served.failures
    level = (
        f"{size:,} requests of {PEOPLE} people on {ROWS} rows: all served at last, {counts['refused']:,} refusals that "
        f"say how many are ahead, never more than {counts['longest_line']} in line. Over HTTP, "
        f"{served.counts.total():,} requests: {served.counts['served']:,} served, all others refused with "
        f"a reason and Retry-After, at most {served.longest_line} in line, the page opened within "
        f"{served.slowest_look:.2f} s"
    )
    over_http = {"http_served": served.counts["served"], "http_refused": served.counts["refused"]}
    return Outcome(level, {**counts, **over_http}, tuple(failures))


def _next(left: Any, lock: threading.Lock) -> int | None:
    with lock:
        return next(left, None)


def _served(engine: Engine, job: Any, expected: Any, rng: random.Random) -> tuple[list[str], int]:
    """What was wrong, and how often the request was refused before it was taken."""
    refused, until = 0, time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            told = engine.submit(job).result(PATIENCE_SECONDS)
            return ([] if told == expected else ["another answer than alone"]), refused
        except Busy as busy:
            refused += 1
            if busy.ahead < WAITING or time.monotonic() > until:
                return [f"refused with {busy.ahead} ahead"], refused
            time.sleep(rng.uniform(0.001, 0.05))
        except Exception as error:
            return [repr(error)], refused


def no_limit() -> AbstractContextManager[object]:
    """The line has no end."""
    add = Scheduler.add

    def always(scheduler: Scheduler[Any], work: Any) -> None:
        scheduler._max_waiting = 10**9
        add(scheduler, work)

    return mock.patch.object(Scheduler, "add", always)


GOAL = Goal(
    name="G4",
    promise="Under ten times the load who is taken is served, and who is not is told at once how many are ahead",
    peer="TGI: 429 by a semaphore; Ray Serve: 503 with Retry-After; neither says the place",
    unit="requests",
    short=150,
    full=400,
    check=check,
    mutants=(Mutant("the line has no end", no_limit, 150),),
)
