"""Leave one out: what a prediction loses without a piece of the text."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from tests.evals.answering import StandIn
from tests.text.tiny import TOKENIZER, tiny_language_model
from workbench.errors import BadRequest
from workbench.evals.asking import Answer, Request, ask_one
from workbench.evals.methods.head import HeadMethod
from workbench.evals.methods.labels import LabelLikelihood, TextExample
from workbench.evals.why import evidence, leave_one_out
from workbench.text.requests import Classified, Classify

WORDS = {"good": 2.0, "bad": -1.5, "film": 0.25}
TEXT = TextExample("1", "good film bad")
PIECES = [(0, 4), (4, 9), (9, 13)]


class Words(StandIn):
    """A head whose first logit is the sum of its words' weights, and whose others are 0."""

    def __init__(self, logits: int):
        self.logits, self.asked = logits, 0

    def answers(self, requests: Sequence[Request]) -> Sequence[Answer]:
        self.asked += len(requests)
        texts = [request.text for request in requests if isinstance(request, Classify)]
        sums = [sum(WORDS[word] for word in text.split()) for text in texts]
        return [Classified((value,) + (0.0,) * (self.logits - 1), 1) for value in sums]


def test_of_a_number_it_is_the_difference() -> None:
    method = HeadMethod("k", (), "regression")
    found = list(leave_one_out(Words(1), method, TEXT, PIECES))
    assert [one.delta for one in found] == pytest.approx([2.0, 0.25, -1.5])
    assert [one.text for one in found] == ["good", " film", " bad"]
    assert [(one.start, one.end) for one in found] == PIECES


def test_where_a_text_may_have_several_labels_it_is_the_logits_difference() -> None:
    method = HeadMethod("k", ("x", "y"), "multi_label_classification")
    assert [one.delta for one in leave_one_out(Words(2), method, TEXT, PIECES)] == pytest.approx([2.0, 0.25, -1.5])
    assert [one.delta for one in leave_one_out(Words(2), method, TEXT, PIECES, "y")] == [0, 0, 0]


def test_of_one_label_it_is_the_log_probabilitys_difference() -> None:
    found = list(leave_one_out(Words(2), HeadMethod("k", ("x", "y")), TEXT, PIECES))
    logprob = [-math.log1p(math.exp(-value)) for value in (0.75, -1.25, 0.5, 2.25)]
    assert [one.delta for one in found] == pytest.approx([logprob[0] - without for without in logprob[1:]])


def test_by_likelihood_it_is_that_of_the_texts_asked_alone() -> None:
    with (model := tiny_language_model(n_positions=128)).engine:
        example = TextExample("1", "The old king slept under naïve \U0001f984.")
        _, pieces = TOKENIZER.encode_with_offsets(example.text)
        method = LabelLikelihood(("good", "bad")).prepared(model)
        found = list(leave_one_out(model, method, example, pieces))
        whole = ask_one(model, method, example)
        assert "".join(one.text for one in found) == example.text
        for one in found:
            rest = TextExample("", example.text[: one.start] + example.text[one.end :])
            expected = evidence(whole, whole.label) - evidence(ask_one(model, method, rest), whole.label)
            assert one.delta == pytest.approx(expected, abs=1e-6)


def test_pieces_that_share_characters_are_left_out_together() -> None:
    method = HeadMethod("k", (), "regression")
    found = leave_one_out(Words(1), method, TEXT, [(9, 13), (0, 2), (1, 4), (4, 4), (9, 13)])
    assert [(one.start, one.end) for one in found] == [(0, 4), (9, 13)]


def test_a_piece_that_leaves_nothing_is_passed_over() -> None:
    assert list(leave_one_out(Words(1), HeadMethod("k", (), "regression"), TEXT, [(0, 13)])) == []


def test_it_can_be_stopped_after_any_piece() -> None:
    model = Words(1)
    pieces = leave_one_out(model, HeadMethod("k", (), "regression"), TEXT, PIECES)
    assert model.asked == 0
    next(pieces)
    pieces.close()
    assert model.asked == 2


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(BadRequest, match="text is empty"):
        next(leave_one_out(Words(1), HeadMethod("k", ()), TextExample("1", ""), []))


def test_a_probability_of_zero_is_evidence_of_finite_weight() -> None:
    model = Words(2)
    prediction = ask_one(model, HeadMethod("k", ("x", "y")), TextExample("1", " ".join(["good"] * 600)))
    assert np.isfinite(evidence(prediction, "y"))
