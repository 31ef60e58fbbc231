"""Layer one: whatever people do in whatever order, each gets what arithmetic says, or is told why not.

A scripted model and a clock of its own: thousands of interleavings of submitting, cancelling, failing, waiting too long
and changing the model, none of which takes more than arithmetic.
"""

from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.engine.tiny import GREEDY
from tests.reliability.goals.g04_overload import no_limit
from tests.reliability.scripted import FIRST, NAN, POISON, VOCABULARY, Script, scripted_engine, written
from workbench.engine import together
from workbench.engine.jobs import Decode
from workbench.engine.limits import Limits
from workbench.engine.scheduler import Scheduler
from workbench.errors import Busy, Cancelled, DeadlinePassed, NumericalFailure
from workbench.gptj.cache import KVCache

ROWS, WAITING, WAIT_SECONDS, RUN_SECONDS = 3, 4, 50.0, 90.0
EXAMPLES = 60
PLAIN = st.lists(st.integers(FIRST, VOCABULARY - 1), min_size=1, max_size=20)


class People(RuleBasedStateMachine):
    """They ask one engine, which is closed and opened again now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.script = Script()
        self.asked: list[Any] = []
        self._open()

    def _open(self) -> None:
        self.engine = scripted_engine(self.script, ROWS, Limits(WAITING, WAIT_SECONDS, RUN_SECONDS))
        self.engine._scheduler._clock = lambda: self.now

    @rule(prompt=PLAIN, count=st.integers(1, 12), odd=st.sampled_from([None] * 5 + [NAN, POISON]))
    def submit(self, prompt: list[int], count: int, odd: int | None) -> None:
        whole = (*prompt, odd) if odd is not None else tuple(prompt)
        job = Decode(whole, count, sampling=GREEDY)
        if len(self.engine._scheduler._waiting) < WAITING:
            self.asked.append((self.engine.submit(job), whole, count, odd))
            return
        with pytest.raises(Busy) as refused:
            self.engine.submit(job)
        assert refused.value.ahead == WAITING

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.asked))[0].cancel()

    @rule(count=st.integers(1, 4))
    def step(self, count: int) -> None:
        with torch.inference_mode():
            for _ in range(count):
                self.engine._turn()

    @rule(seconds=st.sampled_from([1.0, 10.0, 60.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def a_common_step_will_break(self) -> None:
        self.script.breaks += 1

    @rule()
    def switch(self) -> None:
        self.engine.close()
        assert all(handle.done for handle, *_ in self.asked)
        self.judge_all()
        self.asked = []
        self._open()

    @invariant()
    def judge_all(self) -> None:
        for handle, prompt, count, odd in self.asked:
            if handle.done:
                _judge(handle, prompt, count, odd)

    @invariant()
    def the_line_is_no_longer_than_it_may_be(self) -> None:
        assert len(self.engine._scheduler._waiting) <= WAITING

    def teardown(self) -> None:
        """All that is left comes to an end."""
        self.engine.run_until_idle()
        assert self.engine._scheduler.idle and all(handle.done for handle, *_ in self.asked)
        self.judge_all()


def _judge(handle: Any, prompt: tuple[int, ...], count: int, odd: int | None) -> None:
    """Whether what came of a request is what had to."""
    error = handle._error
    if error is None:
        assert odd is None and [token.id for token in handle._result.tokens] == written(prompt, count)
    elif isinstance(error, NumericalFailure):
        assert odd == NAN
    elif isinstance(error, RuntimeError):
        assert odd == POISON and "poisoned" in str(error)
    else:
        told = handle.cancelled or isinstance(error, DeadlinePassed) or "unloaded" in str(error)
        assert isinstance(error, Cancelled) and told


def interleavings(examples: int) -> None:
    """So many of them."""
    run_state_machine_as_test(
        People,
        settings=settings(
            max_examples=examples, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck),
            database=None, derandomize=True, print_blob=False, phases=[Phase.generate],
        ),
    )  # fmt: skip


def test_everybody_gets_what_arithmetic_says_or_is_told_why_not() -> None:
    interleavings(EXAMPLES)


def never_cut_back() -> AbstractContextManager[object]:
    """A step that failed leaves its tokens in the caches."""
    return mock.patch.object(KVCache, "trim")


def lost_when_cancelled() -> AbstractContextManager[object]:
    """A neighbour goes along with who is cancelled."""
    sweep = Scheduler.sweep

    def too_many(scheduler: Scheduler[Any]) -> list[Any]:
        gone = sweep(scheduler)
        if gone and scheduler._admitted:
            scheduler._admitted.pop()
        return gone

    return mock.patch.object(Scheduler, "sweep", too_many)


def everybody_fails() -> AbstractContextManager[object]:
    """A common step that breaks is everybody's failure."""

    def decoded(rows: Any, served: Any) -> Any:
        return served.decode([row for mine in rows for row in mine])

    return mock.patch.object(together, "_logits", decoded)


@pytest.mark.parametrize("mutant", [never_cut_back, no_limit, lost_when_cancelled, everybody_fails])
def test_the_machine_notices(mutant: Any) -> None:
    with mutant(), pytest.raises((AssertionError, pytest.fail.Exception)):
        interleavings(EXAMPLES)
