"""Perplexity: which text is scored, and whose words and bytes count."""

import math

import pytest

from workbench.errors import BadRequest
from workbench.evals.methods.perplexity import Document, Perplexity
from workbench.evals.metrics.estimates import estimate
from workbench.text.requests import RollingLogLikelihood, Scored, TokenText

EXAMPLE = Document("a café", original=" a café \n")
TOKENS = (TokenText(1, "a", -1.0),) * 3


def test_the_text_is_scored_and_the_original_is_counted() -> None:
    assert Perplexity().requests(EXAMPLE) == [RollingLogLikelihood("a café")]
    assert (EXAMPLE.words, EXAMPLE.bytes) == (4, 10)


def test_without_an_original_the_text_itself_is_counted() -> None:
    assert (Document("a café").words, Document("a café").bytes) == (2, 7)


def test_each_metric_divides_by_its_own_unit() -> None:
    prediction = Perplexity().judge(EXAMPLE, [Scored(-12.0, False, TOKENS)])
    found = {metric.name: estimate(metric, [prediction], bootstrap=False) for metric in Perplexity().metrics}
    values = {name: one.value for name, one in found.items() if one is not None}
    assert values == pytest.approx(
        {
            "word_perplexity": math.exp(12 / 4),
            "byte_perplexity": math.exp(12 / 10),
            "bits_per_byte": 12 / 10 / math.log(2),
            "token_perplexity": math.exp(12 / 3),
        }
    )


def test_a_failed_text_counts_for_nothing() -> None:
    failed = Perplexity().failed(EXAMPLE, "no memory")
    assert [estimate(metric, [failed]) for metric in Perplexity().metrics] == [None] * 4


def test_worked_examples_are_refused() -> None:
    assert Perplexity().with_shots([]) == Perplexity()
    with pytest.raises(BadRequest, match="0 shots"):
        Perplexity().with_shots([EXAMPLE])


@pytest.mark.parametrize(("text", "original"), [("", None), ("a", "")])
def test_an_empty_text_is_refused(text: str, original: str | None) -> None:
    with pytest.raises(BadRequest, match="empty"):
        Document(text, original)
