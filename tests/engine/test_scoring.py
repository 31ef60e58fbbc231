"""Packed continuations score as each does alone, and as a plain forward pass says."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.tiny import VOCABULARY, answer, quiet_engine, tiny_model
from workbench.engine.engine import Engine
from workbench.engine.jobs import Score, Scored
from workbench.errors import BadRequest, NumericalFailure

MODEL = tiny_model(n_positions=96)
tokens = st.integers(2, VOCABULARY - 1)


def engine(chunk_tokens: int = 512) -> Engine:
    """A quiet engine with chunks of so many tokens."""
    made = quiet_engine(MODEL)
    made.served = replace(made.served, chunk_tokens=chunk_tokens)
    return made


@torch.no_grad()
def direct(context: Sequence[int], tail: Sequence[int], given_tokens: int = 0) -> list[tuple[float, int]]:
    """Log-probability and rank of the tail's tokens that are not given, from one forward pass."""
    logits = MODEL(torch.tensor([[*context, *tail[:-1]]]), use_cache=False).logits[0, len(context) - 1 + given_tokens :]
    scored = list(tail[given_tokens:])
    logprobs = logits.log_softmax(-1)[range(len(scored)), scored].tolist()
    ranks = [1 + int((row > row[token]).sum()) for row, token in zip(logits, scored, strict=True)]
    return list(zip(logprobs, ranks, strict=True))


def check(scored: list[Scored], job: Score) -> None:
    """Fails unless the answers are those of plain forward passes."""
    given_tokens = job.given or (0,) * len(job.continuations)
    for found, tail, skipped in zip(scored, job.continuations, given_tokens, strict=True):
        expected = direct(job.context, tail, skipped)
        assert [token.id for token in found.tokens] == list(tail[skipped:])
        assert [token.logprob for token in found.tokens] == pytest.approx([one for one, _ in expected], abs=1e-5)
        assert [token.rank for token in found.tokens] == [rank for _, rank in expected]


@st.composite
def any_job(draw: st.DrawFn) -> Score:
    """A context, continuations of very different lengths, some of their first tokens given, perhaps a shared start."""
    context = tuple(draw(st.lists(tokens, min_size=1, max_size=60)))
    tails = draw(st.lists(st.lists(tokens, min_size=1, max_size=36).map(tuple), min_size=1, max_size=7))
    skipped = tuple(draw(st.integers(0, len(tail) - 1)) for tail in tails) if draw(st.booleans()) else ()
    return Score(context, tuple(tails), given=skipped, shared=draw(st.integers(0, len(context))))


@settings(max_examples=80, deadline=None)
@given(job=any_job(), chunk_tokens=st.sampled_from([1, 3, 7, 16, 64, 512]))
def test_any_job_scores_as_a_forward_pass_for_each_continuation(job: Score, chunk_tokens: int) -> None:
    check(answer(engine(chunk_tokens), job), job)


@settings(max_examples=30, deadline=None)
@given(job=any_job(), chunk_tokens=st.sampled_from([5, 512]))
def test_packed_is_one_by_one(job: Score, chunk_tokens: int) -> None:
    packed = answer(engine(chunk_tokens), job)
    for place, found in enumerate(packed):
        alone = replace(job, continuations=job.continuations[place : place + 1], given=job.given[place : place + 1])
        (one,) = answer(engine(chunk_tokens), alone)
        assert found.loglikelihood == pytest.approx(one.loglikelihood, abs=1e-5)
        assert found.is_greedy == one.is_greedy


def test_a_full_context_and_its_last_token_are_scored() -> None:
    job = Score(tuple(2 + place % 50 for place in range(96)), ((5,), (6,)))
    check(answer(engine(), job), job)
    long = Score((3,), (tuple(2 + place % 50 for place in range(96)),))
    check(answer(engine(10), long), long)


def test_hundreds_of_labels_take_a_few_passes() -> None:
    labels = tuple((2 + first, 2 + second, 9) for first in range(20) for second in range(15))
    job = Score((5, 9, 2), labels)
    made = engine()
    scored = answer(made, job)
    # The cache has room for the model's context alone, so that is what a pass holds at most.
    assert made.steps <= 8
    check(scored[::37], replace(job, continuations=labels[::37]))


def test_the_likeliest_alternatives_stand_beside_each_token() -> None:
    job = Score((5, 9, 2), ((4, 5), (6,)), alternatives=3)
    for found in answer(engine(), job):
        for token in found.tokens:
            assert len(token.alternatives) == 3
            assert [value for _, value in token.alternatives] == sorted(
                (value for _, value in token.alternatives), reverse=True
            )
    (first, _), (other,) = (found.tokens for found in answer(engine(), job))
    assert first.alternatives == other.alternatives  # both follow the context's last token


def test_numbers_depend_on_no_other_job() -> None:
    jobs = [Score(tuple(range(2, 5 + 7 * seed)), ((4, 5, 6), (7,), (8, 9))) for seed in range(6)]
    alone = [answer(engine(16), job) for job in jobs]
    crowd = engine(16)
    handles = [crowd.submit(job) for job in jobs]
    crowd.run_until_idle()
    assert [handle.result() for handle in handles] == alone


def test_given_tokens_leave_at_least_one_to_score() -> None:
    for given_tokens in ((2,), (0, 0), (-1,)):
        with pytest.raises(BadRequest):
            Score((3,), ((4, 5),), given=given_tokens)


def test_weights_that_give_no_number_are_told() -> None:
    broken = tiny_model()
    with torch.no_grad():
        broken.lm_head.bias[7] = float("nan")
    with pytest.raises(NumericalFailure):
        answer(quiet_engine(broken), Score((3,), ((4, 5),)))
