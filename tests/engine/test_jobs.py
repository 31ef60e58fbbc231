"""Jobs refuse what can't be computed, and a handle always comes to an end."""

import dataclasses
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.engine.handle import Handle
from workbench.engine.jobs import LARGEST_SEED, Beams, Decode, Read, Sampling, Score, Scored, Token
from workbench.errors import BadRequest, Cancelled

BOUNDS: dict[str, tuple[float, float]] = {
    "temperature": (0, 100),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "typical_p": (0, 1),
    "repetition_penalty": (0, 100),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
}
ABOVE_ZERO = ("top_p", "typical_p", "repetition_penalty")
WHOLE = {"max_new_tokens": (1, 2**20), "min_new_tokens": (0, 8), "seed": (0, LARGEST_SEED), "alternatives": (0, 100)}
NO_NUMBERS = st.sampled_from([math.nan, math.inf, -math.inf, True, False, None, "1", b"1", [1], 1j])


def decode(**changes: Any) -> Decode:
    """A decode job with changed fields."""
    return Decode(**{"prompt": (1, 2), "max_new_tokens": 8, **changes})


def token(id: int, logprob: float = -1.0, rank: int = 1) -> Token:
    """A token."""
    return Token(id, logprob, rank)


@given(st.sampled_from(sorted(BOUNDS)), NO_NUMBERS)
def test_sampling_refuses_what_is_no_finite_number_and_names_the_field(name: str, value: Any) -> None:
    with pytest.raises(BadRequest, match=f"^{name} must be a number .*; got"):
        Sampling(**{name: value})


@given(st.sampled_from(sorted(BOUNDS)), st.floats(1e-6, 1e300), st.booleans())
def test_sampling_refuses_numbers_out_of_range_and_names_the_field(name: str, distance: float, below: bool) -> None:
    low, high = BOUNDS[name]
    with pytest.raises(BadRequest, match=f"^{name} must be a number"):
        Sampling(**{name: low - distance if below else high + distance})


@given(st.sampled_from(sorted(BOUNDS)), st.data())
def test_sampling_takes_every_number_in_range(name: str, data: st.DataObject) -> None:
    low, high = BOUNDS[name]
    value = data.draw(st.floats(low, high, exclude_min=name in ABOVE_ZERO))
    assert getattr(Sampling(**{name: value}), name) == value


@pytest.mark.parametrize("name", ABOVE_ZERO)
def test_zero_is_refused_where_nothing_could_be_drawn(name: str) -> None:
    with pytest.raises(BadRequest, match=f"{name} must be a number above 0"):
        Sampling(**{name: 0.0})


@given(st.one_of(NO_NUMBERS, st.integers(max_value=-1), st.floats()))
def test_top_k_must_be_a_whole_number(value: Any) -> None:
    with pytest.raises(BadRequest, match=r"^top_k must be a whole number"):
        Sampling(top_k=value)


@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_decode_refuses_what_is_no_whole_number_in_range_and_names_the_field(name: str, data: st.DataObject) -> None:
    low, high = WHOLE[name]
    outside = st.one_of(st.integers(max_value=low - 1), st.integers(min_value=high + 1))
    with pytest.raises(BadRequest, match=f"^{name} must be a whole number from {low} to {high}; got"):
        decode(**{name: data.draw(st.one_of(NO_NUMBERS, outside, st.floats()))})


@given(st.one_of(NO_NUMBERS, st.integers(max_value=0), st.integers(min_value=17)))
def test_the_number_of_beams_is_whole_and_in_range(value: Any) -> None:
    with pytest.raises(BadRequest, match=r"^num_beams must be a whole number from 1 to 16"):
        Beams(value)


@given(st.one_of(NO_NUMBERS, st.floats(10.001, 1e300), st.floats(-1e300, -10.001)))
def test_the_length_penalty_is_a_number_in_range(value: Any) -> None:
    with pytest.raises(BadRequest, match=r"^length_penalty must be a number from -10 to 10"):
        Beams(2, value)


def test_an_empty_prompt_context_or_text_is_refused() -> None:
    for empty in (lambda: decode(prompt=()), lambda: Score((), ((1,),)), lambda: Read(())):
        with pytest.raises(BadRequest, match=r"empty|no token"):
            empty()


def test_every_continuation_to_score_needs_a_token() -> None:
    for continuations in ((), ((1,), ())):
        with pytest.raises(BadRequest, match="at least one token"):
            Score((1,), continuations)


def test_more_forced_tokens_than_new_ones_are_refused() -> None:
    with pytest.raises(BadRequest, match="3 tokens are forced, more than max_new_tokens=2"):
        decode(max_new_tokens=2, forced=(1, 2, 3))


@pytest.mark.parametrize("changes", [{}, {"sampling": Sampling(0.0), "forced": (1,)}])
def test_beam_search_neither_samples_nor_branches(changes: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="temperature 0 and no forced tokens"):
        decode(beams=Beams(2), **changes)


def test_jobs_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        decode().seed = 3  # type: ignore[misc]


def test_a_scored_continuation_is_greedy_if_every_token_was_the_likeliest() -> None:
    assert Scored((token(1), token(2, -2.5))).is_greedy
    assert not Scored((token(1), token(2, rank=2))).is_greedy
    assert Scored((token(1), token(2, -2.5))).loglikelihood == -3.5


def test_a_handle_gives_its_tokens_then_ends_and_ends_again() -> None:
    handle: Handle[Any] = Handle(decode())
    for id in (4, 7):
        handle.emit(token(id))
    handle.finish("all")
    assert [token.id for token in handle] == [4, 7]
    assert list(handle) == []
    assert handle.done and handle.result() == "all"


def test_a_failed_handle_gives_what_came_and_then_raises_each_time() -> None:
    handle: Handle[Any] = Handle(decode())
    handle.emit(token(4))
    handle.fail(ValueError("broken"))
    came = iter(handle)
    assert next(came).id == 4
    for attempt in (lambda: next(came), lambda: list(handle), handle.result):
        with pytest.raises(ValueError, match="broken"):
            attempt()


def test_a_dropped_handle_says_it_was_stopped() -> None:
    handle: Handle[Any] = Handle(decode())
    handle.drop()
    with pytest.raises(Cancelled, match="stopped before it was done"):
        handle.result()


def test_waiting_for_a_result_has_a_limit() -> None:
    with pytest.raises(TimeoutError):
        Handle(decode()).result(timeout_seconds=0.01)


def test_a_token_is_stamped_when_the_engine_hands_it_out_and_the_end_when_it_ends() -> None:
    handle: Handle[Any] = Handle(decode())
    before = time.monotonic()
    handle.emit(token(4))
    handle.finish("all")
    after = time.monotonic()
    time.sleep(0.01)
    (came,) = handle
    assert before <= came.emitted_at <= handle.ended_at <= after
    assert came == token(4)
