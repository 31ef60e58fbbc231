"""Calibration by a prior: its formula, and the texts that measure it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import BadRequest
from workbench.evals.methods.prior import DOMAIN_TEXTS, calibrated, domain_texts, log_prior, log_softmax

scores = st.lists(st.floats(-500, 0), min_size=2, max_size=6).map(np.array)


@given(scores=scores)
def test_a_uniform_prior_changes_nothing(scores: np.ndarray) -> None:
    before = log_softmax(scores)
    assert calibrated(before, np.full(len(scores), -math.log(len(scores)))) == pytest.approx(before, abs=1e-9)


@given(scores=scores)
def test_a_prior_equal_to_the_probabilities_makes_them_uniform(scores: np.ndarray) -> None:
    before = log_softmax(scores)
    assert np.exp(calibrated(before, before)) == pytest.approx(np.full(len(scores), 1 / len(scores)))


@given(scores=st.lists(st.floats(-20, 0), min_size=2, max_size=6).map(np.array), data=st.data())
def test_calibrated_probabilities_are_w_p_normalised(scores: np.ndarray, data: st.DataObject) -> None:
    prior = log_softmax(np.array([data.draw(st.floats(-20, 0)) for _ in scores]))
    weighted = np.diag(1 / np.exp(prior)) @ np.exp(log_softmax(scores))
    assert np.exp(calibrated(log_softmax(scores), prior)) == pytest.approx(weighted / weighted.sum())


@given(each=st.lists(st.lists(st.floats(-20, 0), min_size=3, max_size=3).map(np.array), min_size=1, max_size=5))
def test_the_prior_is_the_mean_of_the_probabilities(each: list[np.ndarray]) -> None:
    logprobs = [log_softmax(scores) for scores in each]
    assert np.exp(log_prior(logprobs)) == pytest.approx(np.mean(np.exp(logprobs), axis=0))


def test_probabilities_too_small_for_a_double_are_calibrated_all_the_same() -> None:
    """Labels of hundreds of tokens: exp(-2000) is 0 as a double, and 0 / 0 would be no number."""
    scores, prior = log_softmax(np.array([0.0, -2000.0])), log_prior([log_softmax(np.array([0.0, -2001.0]))])
    assert np.exp(calibrated(scores, prior)) == pytest.approx(np.array([1, math.e]) / (1 + math.e))


@given(
    samples=st.lists(st.lists(st.sampled_from("abc"), max_size=8).map(" ".join), min_size=1, max_size=6),
    seed=st.integers(0, 2**32),
)
def test_domain_texts_have_the_samples_words_and_average_length(samples: list[str], seed: int) -> None:
    words = " ".join(samples).split()
    if not words:
        return
    texts = domain_texts(samples, seed)
    assert len(texts) == DOMAIN_TEXTS
    assert {len(text.split()) for text in texts} == {max(1, round(len(words) / len(samples)))}
    assert {word for text in texts for word in text.split()} <= set(words)
    assert texts == domain_texts(samples, seed)


@pytest.mark.parametrize("samples", [[], [""], [" ", "\n"]])
def test_samples_without_words_are_refused(samples: list[str]) -> None:
    with pytest.raises(BadRequest, match="words from sample texts"):
        domain_texts(samples, 0)
