"""A common step that fails is taken by each stream alone: who is not to blame notices nothing."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from tests.engine.tiny import answer, quiet_engine, sampled, turns
from workbench.engine.engine import Engine
from workbench.engine.served import Following, Served
from workbench.errors import EngineRestarted, NotEnoughMemory

POISON = 59
Decode = Callable[[Served, Sequence[Following]], Tensor]


def failing(fails: Callable[[Sequence[Following]], bool], error: BaseException, after: bool = False) -> Decode:
    """Served.decode that fails in some steps, before the model is asked or after its caches have grown."""
    decode = Served.decode

    def step(served: Served, streams: Sequence[Following]) -> Tensor:
        wrong = fails(streams)
        if wrong and not after:
            raise error
        logits = decode(served, streams)
        if wrong:
            raise error
        return logits

    return step


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", [RuntimeError("broken"), MemoryError(), torch.OutOfMemoryError("CUDA")])
def test_one_stream_that_breaks_the_step_fails_alone(
    monkeypatch: pytest.MonkeyPatch, after: bool, error: Exception
) -> None:
    alone = [answer(quiet_engine(), sampled(seed)) for seed in (1, 3)]
    engine = quiet_engine()
    first, doomed, last = (engine.submit(sampled(seed)) for seed in (1, 2, 3))
    turns(engine, 4)
    cache = engine._scheduler.jobs[1].rows()[0][1]
    poisoned = failing(lambda streams: any(one is cache for _, one in streams), error, after)
    monkeypatch.setattr(Served, "decode", poisoned)
    engine.run_until_idle()
    with pytest.raises(
        NotEnoughMemory if not isinstance(error, RuntimeError) or "CUDA" in str(error) else RuntimeError
    ):
        doomed.result()
    assert [first.result(), last.result()] == alone


@pytest.mark.parametrize("after", [False, True])
def test_streams_too_many_for_the_memory_are_written_one_by_one(monkeypatch: pytest.MonkeyPatch, after: bool) -> None:
    alone = [answer(quiet_engine(), sampled(seed)) for seed in range(4)]
    monkeypatch.setattr(Served, "decode", failing(lambda streams: len(streams) > 1, MemoryError(), after))
    engine = quiet_engine()
    handles = [engine.submit(sampled(seed)) for seed in range(4)]
    engine.run_until_idle()
    assert [handle.result() for handle in handles] == alone


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()])
def test_what_would_end_a_thread_ends_its_stream_only(error: BaseException) -> None:
    def ends(token: int) -> bool:
        raise error

    alone = answer(quiet_engine(), sampled(1))
    with Engine(quiet_engine().served.model) as engine:
        steady = engine.submit(sampled(1))
        job = sampled(2)
        object.__setattr__(job, "ends", ends)
        doomed = engine.submit(job)
        with pytest.raises(EngineRestarted, match=f"broken off .{type(error).__name__}"):
            doomed.result(30)
        assert steady.result(30) == alone and engine.submit(sampled(1)).result(30) == alone


def test_a_key_that_stops_an_engine_without_threads_reaches_its_caller() -> None:
    def ends(token: int) -> bool:
        raise KeyboardInterrupt

    engine, job = quiet_engine(), sampled(2)
    object.__setattr__(job, "ends", ends)
    engine.submit(job)
    with pytest.raises(KeyboardInterrupt):
        engine.run_until_idle()
