"""The span method asks one request a question, and judges it by the null score."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.text.tiny import tiny_language_model
from workbench.errors import TooLong
from workbench.evals.asking import Answer, Request, ask
from workbench.evals.methods.spans import AnswerPrediction, SpanMethod, answer_metrics
from workbench.evals.squad_files import Question
from workbench.text.requests import ExtractSpan, Span, Spans

PASSAGE = "The old king slept under the apple tree."
QUESTION = Question("q", "Who slept?", PASSAGE, ("The old king",), (0,), False)
SPANS = Spans((Span("king", 8, 12, -1.0, 0.6), Span("tree", 35, 39, -3.0, 0.1)), null_score=-2.0, windows=1)


class Scripted:
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
