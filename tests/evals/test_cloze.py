"""Cloze: what is asked, and what counts."""

import math

import pytest

from workbench.errors import BadRequest
from workbench.evals.methods.cloze import Cloze, Ending
from workbench.evals.metrics.estimates import estimate
from workbench.text.requests import LogLikelihood, Scored, TokenText

EXAMPLE = Ending("He opened the", " door")
TOKENS = (TokenText(1, " do", -1.0), TokenText(2, "or", -0.5))


def test_the_ending_is_asked_as_it_is() -> None:
    assert Cloze().requests(EXAMPLE) == [LogLikelihood("He opened the", " door")]


def test_worked_examples_have_a_delimiter_on_top_of_the_endings_space() -> None:
    method = Cloze().with_shots([EXAMPLE])
    assert method.prefix == "He opened the  door\n\n"
    (request,) = method.requests(EXAMPLE)
    assert (request.context, request.shared) == (method.prefix + EXAMPLE.prompt, method.prefix)


@pytest.mark.parametrize("is_greedy", [True, False])
def test_an_ending_counts_where_each_token_was_the_likeliest(is_greedy: bool) -> None:
    prediction = Cloze().judge(EXAMPLE, [Scored(-1.5, is_greedy, TOKENS)])
    assert prediction.scores == {"acc": float(is_greedy), "loglikelihood": -1.5}


def test_perplexity_is_of_an_ending_not_of_a_token() -> None:
    predictions = [Cloze().judge(EXAMPLE, [Scored(value, True, TOKENS)]) for value in (-1.0, -3.0)]
    (_, perplexity) = Cloze().metrics
    found = estimate(perplexity, predictions, bootstrap=False)
    assert found is not None
    assert found.value == pytest.approx(math.exp(2.0))


def test_a_failed_example_is_wrong_and_does_not_count_for_perplexity() -> None:
    failed = Cloze().failed(EXAMPLE, "too long")
    accuracy, perplexity = (estimate(metric, [failed]) for metric in Cloze().metrics)
    assert accuracy is not None
    assert (accuracy.value, perplexity) == (0.0, None)


def test_an_empty_ending_is_refused() -> None:
    with pytest.raises(BadRequest, match="ending is empty"):
        Ending("He opened the", "")
