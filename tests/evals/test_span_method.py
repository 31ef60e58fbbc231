"""The span method asks one request a question, and judges it by the null score."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evals.answering import StandIn
from tests.text.tiny import tiny_language_model
from workbench.errors import BadRequest, TooLong
from workbench.evals.asking import Answer, Request, ask
from workbench.evals.data.squad_files import Question
from workbench.evals.methods.spans import AnswerPrediction, SpanMethod, answer_metrics, deciding_threshold
from workbench.evals.metrics.squad import f1
from workbench.text.requests import ExtractSpan, Span, Spans

PASSAGE = "The old king slept under the apple tree."
QUESTION = Question("q", "Who slept?", PASSAGE, ("The old king",), (0,), False)
SPANS = Spans((Span("king", 8, 12, -1.0, 0.6), Span("tree", 35, 39, -3.0, 0.1)), null_score=-2.0, windows=1)


class Scripted(StandIn):
    """Answers every request alike, or fails."""

    def __init__(self, answer: Spans | Exception):
        self._answer = answer

    def answers(self, requests: Sequence[Request]) -> Sequence[Answer]:
        """The scripted answer for each request."""
        if isinstance(self._answer, Exception):
            raise self._answer
        return [self._answer for _ in requests]


def judged(spans: Spans = SPANS, threshold: float = 0.0, question: Question = QUESTION) -> AnswerPrediction:
    """A prediction from scripted spans."""
    (prediction,) = ask(Scripted(spans), SpanMethod(threshold=threshold), [question])
    return prediction


def test_a_question_is_one_request_with_the_methods_settings() -> None:
    method = SpanMethod("head", "{context} {question}", (("p", "q", "a"),), 3, 4, 99, 7, "nothing")
    assert method.requests(QUESTION) == [
        ExtractSpan("Who slept?", PASSAGE, "head", 3, 4, 99, 7, "{context} {question}", (("p", "q", "a"),), "nothing")
    ]


def test_the_best_span_is_the_answer_where_it_beats_no_answer() -> None:
    prediction = judged()
    assert (prediction.text, prediction.start, prediction.end) == ("king", 8, 12)
    assert (prediction.score, prediction.null_score, prediction.gold) == (-1.0, -2.0, ("The old king",))


@pytest.mark.parametrize("threshold, text", [(-1.0, "king"), (-1.01, ""), (5.0, "king")])
def test_no_answer_wins_where_its_lead_exceeds_the_threshold(threshold: float, text: str) -> None:
    assert judged(threshold=threshold).text == text


def test_moving_the_threshold_is_judging_again() -> None:
    for before in (-9.0, 9.0):
        for after in (-9.0, -1.0, 9.0):
            assert judged(threshold=before).at(after) == judged(threshold=after)


def test_the_judgement_is_that_of_spans_best() -> None:
    for threshold in (-2.0, -1.0, 0.0):
        best = SPANS.best(threshold)
        assert judged(threshold=threshold).text == ("" if best is None else best.text)


def test_without_any_span_there_is_no_answer() -> None:
    prediction = judged(Spans((), -2.0, 1), threshold=1e9)
    assert (prediction.text, prediction.start, prediction.score) == ("", None, None)
    assert prediction.null_difference == math.inf
    assert prediction.at(math.inf) == prediction


def test_a_question_that_fails_says_why_and_the_others_go_on() -> None:
    predictions = list(ask(Scripted(TooLong("too long")), SpanMethod(), [QUESTION, replace(QUESTION, id="r")]))
    assert [(one.id, one.error, one.text) for one in predictions] == [("q", "too long", ""), ("r", "too long", "")]


def test_where_all_questions_have_answers_the_first_rules_measure_the_best_span() -> None:
    figures = answer_metrics([judged(threshold=-9.0)])
    assert figures == pytest.approx({"exact_match": 0.0, "f1": 200 / 3, "total": 1})


def test_with_unanswerable_questions_the_second_rules_measure_at_the_threshold() -> None:
    none = judged(replace(SPANS, null_score=3.0), question=replace(QUESTION, id="n", answers=(), is_impossible=True))
    figures = answer_metrics([judged(), none])
    assert (figures["HasAns_f1"], figures["NoAns_exact"]) == pytest.approx((200 / 3, 100.0))
    assert answer_metrics([judged(), none], threshold=9.0)["NoAns_exact"] == 0.0
    assert figures["best_f1_thresh"] == judged().null_difference


def test_questions_without_a_known_answer_are_not_measured() -> None:
    unknown = replace(QUESTION, answers=(), is_impossible=None)
    assert answer_metrics([judged(question=unknown)]) == {}


def test_a_failed_question_counts_as_answered_with_nothing() -> None:
    failed = SpanMethod().failed(replace(QUESTION, id="f"), "no")
    assert answer_metrics([judged(), failed])["f1"] == pytest.approx(100 / 3)


def test_a_language_model_answers_it() -> None:
    model = tiny_language_model(n_positions=128)
    with model.engine:
        (spans,) = [model.extract(request) for request in SpanMethod(n_best=2).requests(QUESTION)]
    prediction = SpanMethod().judge(QUESTION, [spans])
    assert prediction.n_best[0].text in PASSAGE


@pytest.mark.parametrize("threshold", [0.0, -9.0, math.inf, -math.inf])
def test_a_failed_question_scores_0_also_where_no_answer_is_right(threshold: float) -> None:
    impossible = replace(QUESTION, id="n", answers=(), is_impossible=True)
    failed = SpanMethod().failed(impossible, "no")
    figures = answer_metrics([failed], threshold)
    assert (figures["errors"], figures["total"], figures["NoAns_total"]) == (1, 1, 1)
    names = ("exact", "f1", "NoAns_exact", "NoAns_f1", "best_exact", "best_f1")
    assert [figures[name] for name in names] == [0.0] * len(names)


def test_errors_are_counted_where_there_are_any() -> None:
    failed = SpanMethod().failed(replace(QUESTION, id="f"), "no")
    assert answer_metrics([judged(), failed])["errors"] == 1
    assert "errors" not in answer_metrics([judged()])


rights = st.sampled_from([(), ("king",), ("the tree", "an apple")])
asked = st.lists(st.tuples(rights, st.floats(-5, 5), st.booleans()), min_size=1, max_size=8)


def predicted(rows: list[tuple[tuple[str, ...], float, bool]]) -> list[AnswerPrediction]:
    """Predictions with these right answers and null scores, or errors."""
    found = []
    for number, (right, null_score, fails) in enumerate(rows):
        question = replace(QUESTION, id=str(number), answers=right, is_impossible=not right)
        spans = replace(SPANS, null_score=null_score)
        found.append(SpanMethod().failed(question, "no") if fails else judged(spans, question=question))
    return found


@given(asked, st.floats(-6, 6) | st.sampled_from([math.inf, -math.inf]))
def test_the_decided_texts_are_what_is_scored(rows: list, threshold: float) -> None:
    predictions = predicted(rows)
    decided = [one.at(deciding_threshold(predictions, threshold)) for one in predictions]
    f1_sum = sum(f1(one.text, one.gold or ("",)) for one in decided if one.error is None)
    assert answer_metrics(predictions, threshold)["f1"] == pytest.approx(100 * f1_sum / len(decided))


@given(asked, st.floats(-6, 6))
def test_failed_questions_take_their_share_of_every_figure(rows: list, threshold: float) -> None:
    predictions = predicted([*rows, ((), 0.0, False)])
    done = [one for one in predictions if one.error is None]
    figures = answer_metrics(predictions, threshold)
    of_done = answer_metrics([*done, *predicted([((), 0.0, False)])][: len(done)], threshold)
    for name in ("exact", "f1", "best_exact", "best_f1"):
        assert figures[name] == pytest.approx(of_done[name] * len(done) / len(predictions))


@pytest.mark.parametrize("impossible, threshold", [([False, False], math.inf), ([False, True], 1.0), ([None], 1.0),
                                                   ([None, False], math.inf)])  # fmt: skip
def test_the_best_span_is_the_answer_where_every_question_is_known_to_have_one(
    impossible: list[bool | None], threshold: float
) -> None:
    predictions = [judged(question=replace(QUESTION, is_impossible=one)) for one in impossible]
    assert deciding_threshold(predictions, 1.0) == threshold


@pytest.mark.parametrize("threshold", [math.nan, "0", None, True])
def test_a_threshold_that_is_no_number_is_refused(threshold: Any) -> None:
    with pytest.raises(BadRequest, match="threshold must be a number"):
        SpanMethod(threshold=threshold)


def test_an_infinite_threshold_always_or_never_answers() -> None:
    lost = replace(SPANS, null_score=1e6)
    assert (judged(lost, math.inf).text, judged(threshold=-math.inf).text) == ("king", "")
