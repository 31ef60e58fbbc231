"""G6: a fault anywhere on a request's way harms that request alone, and the next one is served as ever."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from tests.engine.tiny import GREEDY, answer, quiet_engine, tiny_model
from tests.gptj.tiny import fill
from tests.reliability.goal import Goal, Mutant, Outcome
from workbench.api.refusals import refusal
from workbench.engine import decoding, scoring, together
from workbench.engine.beams import BeamSearch
from workbench.engine.engine import Engine
from workbench.engine.handle import Handle
from workbench.engine.jobs import Beams, Decode, Job, Read, Sampling, Score
from workbench.engine.lookup import Lookup
from workbench.engine.pace import PaceRecord
from workbench.engine.prefix import Prefix, Prefixes
from workbench.engine.sampling import Sampler
from workbench.engine.scheduler import Scheduler
from workbench.engine.served import Prefill, Served, ServedHead
from workbench.gptj.attention import GPTJAttention
from workbench.gptj.cache import CacheRows, KVCache
from workbench.gptj.model import GPTJMLP, GPTJBlock, GPTJModel

SECONDS = 30.0
"""After which an asker counts as left without an answer."""
SHARED = tuple(range(2, 34))
POINTS: tuple[tuple[Any, str], ...] = (
    (Served, "hidden"), (Served, "states"), (Served, "decode"), (Served, "logits"), (Served, "keep"),
    (Served, "prefix"), (Prefill, "step"), (Prefixes, "get"), (Prefixes, "begin"), (Prefixes, "keep"),
    (Prefix, "step"), (Prefix, "lend"), (Prefix, "copy"), (KVCache, "extend"), (KVCache, "trim"), (CacheRows, "attend"),
    (CacheRows, "positions"), (GPTJModel, "forward"), (GPTJBlock, "forward"), (GPTJAttention, "forward"),
    (GPTJMLP, "forward"), (Sampler, "choose"), (decoding, "describe"), (decoding, "check_finite"),
    (scoring, "describe_all"), (decoding.DecodeWork, "rows"), (decoding.DecodeWork, "advance"),
    (decoding.DecodeWork, "_finish"), (decoding.BeamWork, "advance"), (BeamSearch, "advance"), (Lookup, "draft"),
    (Lookup, "add"), (Handle, "emit"), (Handle, "finish"), (ServedHead, "read"), (scoring.ScoreWork, "_take"),
    (PaceRecord, "note"), (Scheduler, "add"), (Scheduler, "sweep"), (Scheduler, "next_solo"), (Scheduler, "row_works"),
)  # fmt: skip
"""Where a fault is put: everything that a request passes."""
COMMON = {"sweep", "next_solo", "row_works", "note"}
"""Between the requests: a fault there is nobody's, and whoever is under way may be given up."""
KINDS: dict[str, Callable[[], BaseException] | None] = {
    "RuntimeError": lambda: RuntimeError("/srv/secret/path.py broke"),
    "MemoryError": MemoryError,
    "OutOfMemoryError": lambda: torch.OutOfMemoryError("CUDA out of memory"),
    "SystemExit": SystemExit,
    "NaN": None,
}
JOBS: tuple[Job, ...] = (
    Decode((5, 9, 2), 12, sampling=Sampling(0.8), seed=3),
    Decode((7, 7, 7, 8), 12, sampling=GREEDY),
    Decode((*SHARED, 40), 6, sampling=GREEDY, shared=32),
    Decode((3, 4), 5, sampling=GREEDY, beams=Beams(3)),
    Score((*SHARED, 41), ((4, 5), (6,)), shared=32),
    Score((5, 6), ((7, 8),)),
    Read((5, 6, 7), "head"),
)


@dataclass
class Fault:
    """Goes wrong once, at one of the first calls of a function."""

    place: Any
    name: str
    kind: str
    at: int
    calls: int = 0

    def patch(self) -> AbstractContextManager[object]:
        """While the context lasts, the function goes wrong once."""
        original = getattr(self.place, self.name)

        def faulty(*arguments: Any, **named: Any) -> Any:
            self.calls += 1
            if self.calls != self.at:
                return original(*arguments, **named)
            error = KINDS[self.kind]
            if error is not None:
                raise error()
            return _spoilt(original(*arguments, **named))

        return mock.patch.object(self.place, self.name, faulty)


def _spoilt(result: Any) -> Any:
    """Its first row made NaN: of several streams, one's."""
    tensor = getattr(result, "last_hidden_state", result)
    tensor = tensor[0] if isinstance(tensor, tuple) else tensor
    if isinstance(tensor, Tensor) and tensor.is_floating_point():
        tensor[0] = float("nan")
    return result


def check(size: int, seed: int) -> Outcome:
    """So many faults, turning through points and kinds; each while seven requests of all kinds are under way."""
    rng, head = random.Random(seed), fill(nn.Linear(32, 3), 1)
    model = tiny_model(n_positions=96)
    quiet = quiet_engine(model)
    quiet.add_head("head", head)
    alone = [answer(quiet, job) for job in JOBS]
    pairs = [(point, kind) for point in POINTS for kind in KINDS]
    rng.shuffle(pairs)
    failures: list[str] = []
    harmed = 0
    for number in range(size):
        (place, name), kind = pairs[number % len(pairs)]
        fault = Fault(place, name, kind, rng.choice((1, 1, 2, 3, 5, 9, 9)))
        with Engine(model, max_rows=4) as engine:
            engine.add_head("head", head)
            with fault.patch():
                found = _answers(engine)
            said = _wrong(fault, found, alone) or _afterwards(engine, alone)
        harmed += sum(isinstance(one, BaseException) for one in found)
        if said:
            failures.append(f"{kind} in {getattr(place, '__name__', place)}.{name}, call {fault.at}: {said}")
    level = (
        f"{size:,} faults at {len(POINTS)} points of {len(KINDS)} kinds: {harmed} requests failed, each by itself and "
        f"told why; {len(failures)} others harmed, lost or told too much; the next requests right every time"
    )
    return Outcome(level, {"faults": size, "points": len(POINTS), "failed_requests": harmed}, tuple(failures))


def _answers(engine: Engine) -> list[Any]:
    """What each asker is given: an answer or an error."""
    handles: list[Any] = []
    for job in JOBS:
        try:
            handles.append(engine.submit(job))
        except BaseException as error:
            handles.append(error)
    return [one if isinstance(one, BaseException) else _given(one) for one in handles]


def _given(handle: Handle[Any]) -> Any:
    try:
        return handle.result(SECONDS)
    except BaseException as error:
        return error


def _wrong(fault: Fault, found: Sequence[Any], alone: Sequence[Any]) -> str:
    """What is wrong with what the askers were given; empty: nothing."""
    failed = [one for one in found if isinstance(one, BaseException)]
    if any(isinstance(one, TimeoutError) for one in failed):
        return "somebody waits for ever"
    if any(isinstance(one, (SystemExit, KeyboardInterrupt)) for one in failed) and fault.name not in SUBMITTING:
        return "an asker's own thread would end"
    if len(failed) > 1 and fault.name not in COMMON:
        return f"{len(failed)} requests failed"
    told = [refusal(one).message for one in failed if isinstance(one, Exception)]
    if any("/srv" in said or "Traceback" in said for said in told):
        return "a path or a traceback is told"
    others = zip(found, alone, strict=True)
    wrong = sum(not isinstance(one, BaseException) and not _same(one, right) for one, right in others)
    return f"{wrong} answers are others than alone" if wrong else ""


SUBMITTING = {"add", "get", "prefix"}
"""Called in the asker's own thread."""


def _afterwards(engine: Engine, alone: Sequence[Any]) -> str:
    """What is wrong with the engine after the fault; empty: nothing."""
    again = _answers(engine)
    if not all(_same(one, right) for one, right in zip(again, alone, strict=True)):
        return "the next requests are answered otherwise"
    if any(not thread.is_alive() for thread in engine._crew.threads):
        return "a thread of the engine has ended"
    return "places are still taken" if engine._scheduler._busy else ""


def _same(one: Any, two: Any) -> bool:
    return torch.equal(one, two) if isinstance(one, Tensor) and isinstance(two, Tensor) else bool(one == two)


@contextmanager
def nobody_is_told() -> Iterator[None]:
    """A failed job is forgotten without a word to its asker."""
    with mock.patch.object(Engine, "_fail"), mock.patch(f"{__name__}.SECONDS", 1.0):
        yield


@contextmanager
def all_fail_together() -> Iterator[None]:
    """A common step that fails is everybody's failure."""

    def decoded(rows: Sequence[Any], served: Served) -> Tensor:
        return served.decode([row for mine in rows for row in mine])

    with mock.patch(f"{__name__}.POINTS", ((Served, "decode"),)), mock.patch.object(together, "_logits", decoded):
        yield


@contextmanager
def kept_garbage() -> Iterator[None]:
    """Nobody looks whether what is kept for the next request is finite."""
    only_nan = (
        mock.patch(f"{__name__}.POINTS", ((GPTJMLP, "forward"),)),
        mock.patch(f"{__name__}.KINDS", {"NaN": None}),
    )
    with only_nan[0], only_nan[1], mock.patch("workbench.engine.served.check_finite"):
        yield


GOAL = Goal(
    name="G6",
    promise="A fault on a request's way (an exception, no memory, NaN, an exit) harms that request alone",
    peer="TGI: the backend counts as unhealthy after any error of a stream",
    unit="faults",
    short=60,
    full=600,
    check=check,
    mutants=(
        Mutant("the asker is not told of the failure", nobody_is_told, 6),
        Mutant("a common step that fails is everybody's", all_fail_together, 12),
        Mutant("NaN is kept for the next request", kept_garbage, 24),
    ),
)
