"""An engine one of whose steps never ends goes on with another thread: what waits is kept, what hung is told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from torch import nn

from tests.engine.tiny import answer, quiet_engine, sampled, tiny_model
from tests.gptj.tiny import fill
from workbench.engine.engine import Engine
from workbench.engine.jobs import Read, Score
from workbench.engine.limits import Limits
from workbench.errors import Cancelled, EngineRestarted
from workbench.gptj.lora import Adapter
from workbench.gptj.model import GPTJForCausalLM

HANGS, PATIENCE = 59, 60
"""A token of a prompt that the model never gets past; seconds."""
LIMITS = Limits(step_seconds=1.0)


@contextmanager
def stuck(model: GPTJForCausalLM) -> Iterator[threading.Event]:
    """While the context lasts, a pass that holds the token hangs until the event is set."""
    go_on = threading.Event()

    def wait(_: nn.Module, arguments: tuple[Any, ...]) -> None:
        ids = arguments[0]
        if ids.shape[1] > 1 and bool((ids == HANGS).any()):
            go_on.wait(PATIENCE)

    hook = model.transformer.register_forward_pre_hook(wait)
    try:
        yield go_on
    finally:
        go_on.set()
        hook.remove()


def test_what_waits_is_kept_and_what_hangs_is_told() -> None:
    model = tiny_model()
    alone = [answer(quiet_engine(), sampled(seed)) for seed in range(5)]
    with stuck(model) as go_on, Engine(model, max_rows=2, limits=LIMITS) as engine:
        hung = engine.submit(sampled(9, (HANGS, 2)))
        others = [engine.submit(sampled(seed)) for seed in range(5)]
        with pytest.raises(EngineRestarted, match="a step did not end"):
            hung.result(PATIENCE)
        assert [handle.result(PATIENCE) for handle in others] == alone
        go_on.set()  # the thread comes back, and nobody wants what it computed
        assert engine.submit(sampled(1)).result(PATIENCE) == alone[1]
    assert not engine._scheduler._busy


def test_a_helper_that_hangs_is_replaced() -> None:
    model = tiny_model()
    with stuck(model), Engine(model, cores=2, limits=LIMITS) as engine:
        hung = [engine.submit(Score((HANGS, 2), ((3,),))) for _ in range(3)]
        for handle in hung:
            with pytest.raises(EngineRestarted):
                handle.result(PATIENCE)
        assert engine.submit(Score((2, 3), ((4,),))).result(PATIENCE) and engine._helping == 0


def test_an_engine_that_hangs_can_be_closed() -> None:
    model = tiny_model()
    with stuck(model):
        engine = Engine(model, limits=LIMITS)
        hung, waiting = engine.submit(sampled(9, (HANGS, 2))), engine.submit(sampled(1))
        engine.close()
        for handle in (hung, waiting):
            with pytest.raises(Cancelled):
                handle.result(1)


def test_a_head_that_hangs_with_its_adapter_on_the_trunk_closes_the_engine() -> None:
    model = tiny_model()
    with stuck(model), Engine(model, limits=LIMITS) as engine:
        engine.add_head("h", fill(nn.Linear(32, 3), 1), fill(Adapter(model), 2))
        hung = engine.submit(Read((HANGS, 2), "h"))
        with pytest.raises(EngineRestarted):
            hung.result(PATIENCE)
        assert engine.closed
        with pytest.raises(Cancelled):
            engine.submit(sampled(1))


def test_nothing_is_watched_unless_it_is_asked_for() -> None:
    before = set(threading.enumerate())
    with Engine(tiny_model(), limits=Limits()):
        assert [thread.name for thread in set(threading.enumerate()) - before] == ["engine"]


def test_an_error_between_two_steps_gives_up_what_is_computed_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    with Engine(tiny_model(n_positions=2000), max_rows=1) as engine:
        running = engine.submit(sampled(1, count=1900))
        next(iter(running))
        waiting = engine.submit(sampled(2))
        sweep, fails = engine._scheduler.sweep, iter([True])

        def failing() -> Any:
            if next(fails, False):
                raise ZeroDivisionError("in the scheduler")
            return sweep()

        monkeypatch.setattr(engine._scheduler, "sweep", failing)
        with pytest.raises(ZeroDivisionError):
            running.result(PATIENCE)
        assert waiting.result(PATIENCE) == answer(quiet_engine(tiny_model(n_positions=2000)), sampled(2))
