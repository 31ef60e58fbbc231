"""Predictions of a trained head: one label, several, or a number."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.evals.answering import StandIn
from workbench.errors import BadRequest
from workbench.evals.asking import Answer, Request, ask, ask_one
from workbench.evals.methods.head import PROBLEMS, HeadMethod
from workbench.evals.methods.labels import TextExample
from workbench.text.requests import Classified, Classify

TEXT = TextExample("1", "A text.")


class Head(StandIn):
    """Says the same of every text."""

    def __init__(self, *logits: float, unseen: int = 0):
        self.logits, self.unseen = logits, unseen

    def answers(self, requests: Sequence[Request]) -> Sequence[Answer]:
        assert all(isinstance(request, Classify) and request.head == "key" for request in requests)
        return [Classified(self.logits, 3, self.unseen) for _ in requests]


@given(logits=st.lists(st.floats(-1000, 1000), min_size=2, max_size=5))
def test_one_label_has_the_softmax(logits: list[float]) -> None:
    labels = tuple("abcde"[: len(logits)])
    prediction = ask_one(Head(*logits), HeadMethod("key", labels), TEXT)
    expected = torch.tensor(logits, dtype=torch.float64).softmax(0).tolist()
    assert list(prediction.scores.values()) == pytest.approx(expected, abs=1e-12)
    assert prediction.label == labels[logits.index(max(logits))]
    assert prediction.logits == dict(zip(labels, logits, strict=True))
    assert prediction.labels is None


@given(logits=st.lists(st.floats(-1000, 1000), min_size=1, max_size=5), threshold=st.floats(0, 1))
def test_several_labels_have_the_sigmoid_and_are_given_from_the_threshold_on(
    logits: list[float], threshold: float
) -> None:
    labels = tuple("abcde"[: len(logits)])
    example = TextExample("1", "A text.", labels=("a",))
    method = HeadMethod("key", labels, "multi_label_classification", threshold)
    prediction = ask_one(Head(*logits), method, example)
    expected = torch.tensor(logits, dtype=torch.float64).sigmoid().tolist()
    assert list(prediction.scores.values()) == pytest.approx(expected, abs=1e-12)
    assert prediction.labels == tuple(label for label in labels if prediction.scores[label] >= threshold)
    assert prediction.gold_labels == ("a",)


def test_regression_gives_the_number() -> None:
    prediction = ask_one(Head(3.25), HeadMethod("key", ("stars",), "regression"), TextExample("1", "A text.", " 4 "))
    assert (prediction.number, prediction.gold_number, prediction.gold, prediction.label) == (3.25, 4.0, "4", None)
    assert prediction.logits == {"stars": 3.25}
    assert prediction.scores == {}


@pytest.mark.parametrize("label", ["four", "nan", "-inf", ""])
def test_a_right_answer_that_is_no_number_is_an_error_of_its_row(label: str) -> None:
    (prediction,) = ask(Head(1.0), HeadMethod("key", (), "regression"), [TextExample("1", "A text.", label)])
    assert prediction.error is not None
    assert "is no number" in prediction.error


@pytest.mark.parametrize("problem", PROBLEMS)
def test_an_empty_text_is_an_error_of_its_row(problem: str) -> None:
    (prediction,) = ask(Head(1.0, 2.0), HeadMethod("key", ("a", "b"), problem), [TextExample("1", " ")])
    assert prediction.error is not None
    assert "text is empty" in prediction.error


def test_the_right_answer_loses_the_spaces_around_it_unless_the_heads_label_has_them() -> None:
    golds = [
        ask_one(Head(1.0, 2.0), HeadMethod("key", labels), TextExample("1", "A text.", " a")).gold
        for labels in (("a", "b"), (" a", "b"))
    ]
    assert golds == ["a", " a"]


@pytest.mark.parametrize(
    "problem, words", [(PROBLEMS[0], "3 logits, but there are 2"), ("regression", "must give one")]
)
def test_a_head_of_another_shape_is_refused(problem: str, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        ask_one(Head(1.0, 2.0, 3.0), HeadMethod("key", ("a", "b"), problem), TEXT)


@pytest.mark.parametrize("arguments", [{"problem": "other"}, {"threshold": 1.5}, {"threshold": math.nan}])
def test_settings_out_of_their_range_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="must be"):
        HeadMethod("key", ("a", "b"), **arguments)


@pytest.mark.parametrize(
    "problem, logits", [(problem, (1.0, 2.0)) for problem in PROBLEMS[:2]] + [(PROBLEMS[2], (1.0,))]
)
def test_what_the_head_did_not_read_is_told(problem: str, logits: tuple[float, ...]) -> None:
    prediction = ask_one(Head(*logits, unseen=9), HeadMethod("key", ("a", "b")[: len(logits)], problem), TEXT)
    assert prediction.unseen_tokens == 9
