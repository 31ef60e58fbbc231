"""G2: who leaves stops the work for him within a step, and nothing of it is left."""

import gc
import random
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import torch

from tests.engine.tiny import GREEDY, answer, quiet_engine
from tests.reliability.goal import Goal, Mutant, Outcome
from tests.reliability.people import crowd_model
from workbench.engine.engine import Engine
from workbench.engine.handle import Handle
from workbench.engine.jobs import Decode, Score
from workbench.engine.scheduler import Scheduler
from workbench.gptj.cache import KVCache

ROWS, CHUNK_TOKENS = 4, 16
MOST_STEPS = 2
"""A turn is at most two steps: one alone, one together."""
STEADY = Decode((7, 8, 9), 40, sampling=GREEDY)
NEXT = Decode((3, 4, 5), 3, sampling=GREEDY)


@dataclass
class Leaver:
    """A request whose asker leaves in the middle of a step."""

    handle: Handle[Any]
    leaves: int
    """At which pass through the model."""
    left_at: int | None = None
    """Steps of the engine when he left."""
    ended_at: int | None = None
    """Steps of the engine when his job ended."""


@dataclass
class Found:
    """What the cancels came to."""

    steps: list[int] = field(default_factory=list)
    """Begun after the asker left, until his job had ended."""
    failures: list[str] = field(default_factory=list)
    done: int = 0
    """Jobs that ended before their asker would have left."""


def check(size: int, seed: int) -> Outcome:
    """So many askers leave while they wait, while their prompt is read or while they are written to."""
    rng, model, found = random.Random(seed), crowd_model(), Found()
    expected, soon = answer(quiet_engine(model), STEADY), _turns_to_first_token(_engine(model))
    caches = _caches()
    while len(found.steps) < size:
        _one_evening(_engine(model), rng, expected, soon, found)
        if found.done > 20 * size:
            raise AssertionError("hardly anybody leaves before the end")
    if (left := _caches()) > caches:
        found.failures.append(f"{left - caches} caches are still held")
    worst = max(found.steps)
    share = sum(steps <= 1 for steps in found.steps) / len(found.steps)
    level = (
        f"{len(found.steps):,} cancels: {share:.1%} within 1 step, all within {worst}; "
        f"{len(found.failures)} places, caches or neighbours harmed"
    )
    counts = {"cancels": len(found.steps), "most_steps": worst, "within_one_step": round(share, 4)}
    return Outcome(level, counts, tuple(found.failures))


@torch.inference_mode()
def _one_evening(engine: Engine, rng: random.Random, expected: Any, soon: int, found: Found) -> None:
    """One stream stays; eight others share the rest of the rows with those who wait, and leave."""
    steady = engine.submit(STEADY)
    leavers = [_leaver(engine, rng) for _ in range(8)]
    passes = 0

    def leave(*_: object) -> None:
        nonlocal passes
        passes += 1
        for one in leavers:
            if one.left_at is None and passes >= one.leaves and not one.handle.done:
                one.left_at = engine.steps
                one.handle.cancel()

    hook = engine.served.model.transformer.register_forward_hook(leave)
    try:
        for _ in range(400):
            if not engine._turn():
                break
    finally:
        hook.remove()
    _judge(engine, steady, leavers, expected, soon, found)


def _judge(
    engine: Engine, steady: Handle[Any], leavers: Sequence[Leaver], expected: Any, soon: int, found: Found
) -> None:
    steps = [one.ended_at - one.left_at for one in leavers if one.left_at is not None and one.ended_at is not None]
    found.steps += steps
    if max(steps, default=0) > MOST_STEPS:
        found.failures.append(f"{max(steps)} steps after the asker had left")
    if any(not one.handle.done for one in leavers):
        found.failures.append("a job goes on whose asker has left")
    if not steady.done or steady.result() != expected:
        found.failures.append("the stream that stayed is another")
    if not engine._scheduler.idle or engine._scheduler._busy:
        found.failures.append("a place is still taken")
    elif _turns_to_first_token(engine) > soon:
        found.failures.append("the next request waits longer than on a fresh engine")
    found.done += sum(one.left_at is None for one in leavers)
    if len(found.failures) > 20:
        raise AssertionError(found.failures[0])


def _leaver(engine: Engine, rng: random.Random) -> Leaver:
    one = Leaver(engine.submit(_job(rng)), rng.randint(0, 60))
    end = one.handle._end

    def note() -> None:
        one.ended_at = engine.steps
        end()

    one.handle._end = note  # type: ignore[method-assign]
    return one


def _job(rng: random.Random) -> Decode | Score:
    prompt = tuple(rng.randrange(2, 60) for _ in range(rng.choice((3, 20, 60))))
    if rng.random() < 0.2:
        return Score(prompt, ((2, 3), (4, 5, 6)))
    return Decode(prompt, 30, sampling=GREEDY, lookup=rng.random() < 0.5)


def _engine(model: Any) -> Engine:
    engine = Engine(model, max_rows=ROWS, threaded=False)
    object.__setattr__(engine.served, "chunk_tokens", CHUNK_TOKENS)
    return engine


@torch.inference_mode()
def _turns_to_first_token(engine: Engine) -> int:
    handle, turns = engine.submit(NEXT), 0
    while handle._events.empty() and turns < 50:
        engine._turn()
        turns += 1
    engine.run_until_idle()
    return turns


def _caches() -> int:
    gc.collect()
    return sum(1 for thing in gc.get_objects() if type(thing) is KVCache)


def deaf() -> AbstractContextManager[object]:
    """Nobody hears that the asker has left."""
    return mock.patch.object(Handle, "cancel")


def kept_places() -> AbstractContextManager[object]:
    """Who leaves keeps his place."""
    sweep = Scheduler.sweep

    def keeping(scheduler: Scheduler[Any]) -> list[Any]:
        before = list(scheduler._admitted)
        gone = sweep(scheduler)
        scheduler._admitted.extend(work for work in before if work in gone)
        for work in gone:
            work.handle.cancelled = False
        return gone

    return mock.patch.object(Scheduler, "sweep", keeping)


def late() -> AbstractContextManager[object]:
    """The engine looks for those who left only now and then."""
    sweep, turn = Scheduler.sweep, iter(range(10**9))

    def seldom(scheduler: Scheduler[Any]) -> list[Any]:
        if next(turn) % 6 == 0:
            return sweep(scheduler)
        scheduler._admit()
        return []

    return mock.patch.object(Scheduler, "sweep", seldom)


GOAL = Goal(
    name="G2",
    promise="Who stops, reloads or goes away stops the work for him within a step, and takes nothing along",
    peer="vLLM: aborts, within no published bound; Xinference: about a second",
    unit="cancels",
    short=100,
    full=1_000,
    check=check,
    mutants=(
        Mutant("nobody hears of the cancel", deaf, 40),
        Mutant("a cancelled job keeps its place", kept_places, 40),
        Mutant("cancels are looked for every sixth turn", late, 40),
    ),
)
