"""The record of how fast an engine writes: bounded, honest about who took part, and free of locks during a step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.tiny import GREEDY, answer, quiet_engine
from workbench.engine.engine import Engine
from workbench.engine.jobs import Beams, Decode
from workbench.engine.pace import KEPT_STEPS, PaceRecord, Step

SECONDS = st.floats(1e-4, 10)


def plain(count: int = 6) -> Decode:
    return Decode((5, 9, 2), count, sampling=GREEDY, lookup=False)


@pytest.fixture
def engine() -> Engine:
    """An engine that has not written yet."""
    return quiet_engine()


def test_nothing_written_is_no_pace(engine: Engine) -> None:
    assert engine.pace.alone is None and engine.pace.every is None


def test_each_token_after_the_first_is_a_step(engine: Engine) -> None:
    answer(engine, plain(6))
    assert engine.pace.alone is not None and engine.pace.alone.steps == 5 and engine.pace.alone.streams == 1


def test_a_step_counts_the_keys_and_values_that_it_read(engine: Engine) -> None:
    answer(engine, plain(2))
    config, alone = engine.served.model.config, engine.pace.alone
    assert alone is not None and alone.cache_bytes == 2 * 4 * config.n_layer * config.n_embd * 4


def test_streams_together_are_not_a_text_alone(engine: Engine) -> None:
    handles = [engine.submit(plain(6)) for _ in range(3)]
    engine.run_until_idle()
    assert all(handle.done for handle in handles)
    assert engine.pace.every is not None and engine.pace.every.streams > 1.5
    lone = 0 if engine.pace.alone is None else engine.pace.alone.steps
    assert lone == engine.pace.lone_steps < engine.pace.every.steps


def test_only_guesses_that_came_true_are_counted(engine: Engine) -> None:
    decoded = answer(engine, Decode((5, 9, 2) * 4, 12, sampling=GREEDY))
    assert engine.pace.every is not None and engine.pace.every.accepted == decoded.accepted > 0


def test_what_must_come_is_no_guess_that_came_true(engine: Engine) -> None:
    answer(engine, Decode((5, 9, 2), 12, sampling=GREEDY, forced=tuple(range(2, 14))))
    assert engine.pace.every is not None and engine.pace.every.accepted == 0


def test_a_step_of_guesses_read_what_it_computed_and_not_what_came_true_of_it(engine: Engine) -> None:
    noted: list[Step] = []
    engine.pace.note = noted.append  # type: ignore[method-assign]
    answer(engine, Decode((5, 9, 2) * 4, 12, sampling=GREEDY))
    config, held = engine.served.model.config, 12
    for step in noted:
        assert step.cache_bytes == (held + step.rows) * 2 * config.n_layer * config.n_embd * 4
        held += step.tokens


def test_a_record_that_fails_ends_no_engine(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(step: Step) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(engine.pace, "note", fail)
    with pytest.raises(ZeroDivisionError):
        answer(engine, plain(6))
    monkeypatch.undo()
    assert len(answer(engine, plain(6)).tokens) == 6


def test_a_beam_search_leaves_no_trace(engine: Engine) -> None:
    answer(engine, Decode((5, 9, 2), 6, sampling=GREEDY, beams=Beams(3)))
    assert engine.pace.every is None


@given(st.lists(SECONDS, min_size=1, max_size=3 * KEPT_STEPS))
def test_the_pace_is_that_of_the_latest_steps(seconds: list[float]) -> None:
    record = PaceRecord()
    for taken in seconds:
        record.note(Step(taken, streams=1, rows=1, tokens=1, cache_bytes=8))
    latest = seconds[-KEPT_STEPS:]
    assert record.alone is not None and record.alone.steps == len(latest)
    assert record.alone.tokens_per_second == pytest.approx(len(latest) / sum(latest))


@given(SECONDS, st.integers(1, 8))
def test_guesses_that_came_true_count_for_all_steps_and_not_for_a_plain_one(seconds: float, tokens: int) -> None:
    record = PaceRecord()
    record.note(Step(seconds, streams=1, rows=8, tokens=tokens, cache_bytes=8))
    assert record.alone is None and record.every is not None
    assert record.every.tokens_per_second == pytest.approx(tokens / seconds)
