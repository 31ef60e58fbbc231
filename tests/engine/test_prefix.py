"""Kept beginnings: the same bits whoever came before, little memory, and none of it after the model is gone."""

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch

from tests.engine.tiny import GREEDY, VOCABULARY, answer, quiet_engine, tiny_model
from workbench.engine import prefix
from workbench.engine.engine import Engine
from workbench.engine.jobs import Decode, Job, Score
from workbench.errors import NotEnoughMemory

LENGTH = 40
SHARED = tuple(2 + (7 * place) % 50 for place in range(LENGTH))
OTHERS = [tuple(2 + (step * place) % 50 for place in range(LENGTH)) for step in (3, 5, 9, 11, 13)]


def job(seed: int, shared: tuple[int, ...] = SHARED) -> Job:
    """A score or a stream that begins as others do."""
    own = tuple(torch.randint(2, VOCABULARY, (3 + 4 * seed,), generator=torch.Generator().manual_seed(seed)).tolist())
    if seed % 3 == 2:
        return Decode((*shared, *own), 6, sampling=GREEDY, shared=LENGTH)
    return Score((*shared, *own), ((4, 5, 6), (7,)), shared=LENGTH)


def engine(chunk_tokens: int = 16) -> Engine:
    """A quiet engine whose prefixes take several chunks."""
    made = quiet_engine(tiny_model(n_positions=128))
    made.served = replace(made.served, chunk_tokens=chunk_tokens)
    return made


@cache
def alone(seed: int) -> Any:
    """From an engine that knows no prefix yet; computed inside a test, which has one thread, as the others have."""
    return answer(engine(), job(seed))


def test_a_shared_beginning_is_computed_once() -> None:
    made = engine()
    answer(made, job(0))
    before = made.steps
    answer(made, job(1))
    assert made.steps - before == 1


@pytest.mark.parametrize("order", [range(6), range(5, -1, -1), (3, 1, 2, 0, 5, 4, 3, 3)])
def test_the_bits_are_the_same_in_any_order(order: range) -> None:
    made = engine()
    assert [answer(made, job(seed)) for seed in order] == [alone(seed) for seed in order]


def test_the_bits_are_the_same_in_company() -> None:
    made = engine()
    handles = [made.submit(job(seed)) for seed in range(6)]
    made.run_until_idle()
    assert [handle.result() for handle in handles] == [alone(seed) for seed in range(6)]


def test_the_bits_are_the_same_after_the_prefix_was_forgotten() -> None:
    made = engine()
    answer(made, job(0))
    for other in OTHERS:
        answer(made, job(1, other))
    assert len(made.served.prefixes) == prefix.MOST_PREFIXES
    before = made.steps
    assert answer(made, job(0)) == alone(0)
    assert made.steps - before > 1


def test_numbers_with_a_prefix_are_those_without() -> None:
    for seed in (0, 1):
        plain = answer(engine(), replace(job(seed), shared=0))
        for one, two in zip(alone(seed), plain, strict=True):
            assert one.loglikelihood == pytest.approx(two.loglikelihood, abs=1e-5)
    stream = answer(engine(), replace(job(2), shared=0))
    assert [token.id for token in stream.tokens] == [token.id for token in alone(2).tokens]


def test_a_whole_context_that_is_shared_still_scores() -> None:
    made = engine()
    whole = Score(SHARED, ((4, 5),), shared=LENGTH)
    (with_it,), (without,) = answer(made, whole), answer(made, replace(whole, shared=0))
    assert with_it.loglikelihood == pytest.approx(without.loglikelihood, abs=1e-5)


def test_short_beginnings_and_too_large_ones_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine()
    answer(made, replace(job(0), shared=prefix.SMALLEST_PREFIX - 1))
    assert len(made.served.prefixes) == 0
    monkeypatch.setattr("workbench.engine.served.MOST_BYTES", 1000)
    answer(made, job(0))
    assert len(made.served.prefixes) == 0


def test_the_bytes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine()
    answer(made, job(0))
    one = made.served.prefixes.bytes
    assert one > 0
    monkeypatch.setattr(prefix, "MOST_BYTES", 2 * one)
    for other in OTHERS:
        answer(made, job(0, other))
    assert made.served.prefixes.bytes <= 2 * one


def test_one_prefix_is_kept_twice_only_where_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine()
    answer(made, job(0))
    kept = made.served.prefix(SHARED)
    monkeypatch.setattr(prefix, "MOST_BYTES", kept.bytes)
    lent = [kept.lend(made.submit(job(0))) for _ in range(3)]
    assert len({id(cache) for cache in lent}) == 3
    assert made.served.prefixes.bytes == kept.bytes <= prefix.MOST_BYTES


def test_where_memory_runs_out_no_prefix_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine()
    answer(made, job(0))
    assert made.served.prefixes.bytes > 0

    def fail(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(made.served.model.transformer.h[1], "forward", fail)
        with pytest.raises(NotEnoughMemory):
            answer(made, Score((2, 3), ((4,),)))
    assert made.served.prefixes.bytes == 0
    assert answer(made, job(0)) == alone(0)


def test_a_closed_engine_keeps_nothing() -> None:
    made = engine()
    answer(made, job(0))
    made.close()
    assert len(made.served.prefixes) == made.served.prefixes.bytes == 0


def test_a_chunk_that_failed_is_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine()
    with monkeypatch.context() as patch:
        patch.setattr(made.served.model.transformer.h[1], "forward", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            answer(made, job(0))
    assert answer(made, job(0)) == alone(0)


def test_a_job_that_was_cancelled_in_the_middle_harms_no_other() -> None:
    made = engine()
    answer(made, job(0))
    long = Score((*SHARED, *SHARED), ((4,) * 40,), shared=LENGTH)
    doomed = made.submit(long)
    with torch.inference_mode():
        made._turn()
    doomed.cancel()
    assert answer(made, job(0)) == alone(0) and answer(made, job(1)) == alone(1)


def test_it_is_lent_to_one_job_at_a_time_and_copied_no_more_often_than_needed() -> None:
    made = engine()
    answer(made, job(0))
    kept = made.served.prefix(SHARED)
    handles = [made.submit(job(0)) for _ in range(3)]
    first, second, third = (kept.lend(handle) for handle in handles)
    assert len({id(first), id(second), id(third)}) == 3
    made.run_until_idle()
    again = [kept.lend(made.submit(job(0))) for _ in range(2)]
    assert again[0] is first and again[1] is second
