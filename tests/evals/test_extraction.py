"""Extraction as a benchmark: judged by the rules of SQuAD 1.1 and 2.0."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import BadRequest
from workbench.evals.data.squad_files import Question
from workbench.evals.methods.extraction import Extraction
from workbench.evals.methods.spans import AnswerPrediction, SpanMethod, answer_metrics
from workbench.evals.metrics.estimates import estimate
from workbench.text.requests import Span, Spans, fill

PASSAGE = "The old king slept under the apple tree."
ASKED = Question("1", "Who slept?", PASSAGE, answers=("The old king", "king"), is_impossible=False)
OPEN = Question("2", "Who sang?", PASSAGE, is_impossible=True)
TEXTS = st.sampled_from(["old king", "the king", "the", "apple tree", "tree!"])


def spans(text: str, null_difference: float) -> Spans:
    """One span, and how much better no answer does."""
    return Spans((Span(text, 4, 4 + len(text), 1.0, 1.0),), 1.0 + null_difference, 1)


@given(st.lists(st.tuples(TEXTS, st.floats(-3, 3), st.lists(TEXTS, max_size=2)), min_size=1, max_size=6), st.booleans())
def test_figures_are_those_of_the_official_scripts(
    drawn: list[tuple[str, float, list[str]]], unanswerable: bool
) -> None:
    method = Extraction(unanswerable)
    questions = [
        Question(str(place), "Who?", PASSAGE, tuple(gold), is_impossible=not gold)
        for place, (_, _, gold) in enumerate(drawn)
        if gold or unanswerable
    ]
    if not questions or (unanswerable and all(question.answers for question in questions)):
        return
    answers = [spans(text, null) for text, null, gold in drawn if gold or unanswerable]
    predictions = [method.judge(asked, [answer]) for asked, answer in zip(questions, answers, strict=True)]
    theirs: list[AnswerPrediction] = [
        SpanMethod().judge(asked, [answer]) for asked, answer in zip(questions, answers, strict=True)
    ]
    official = answer_metrics(theirs)
    for metric in method.metrics:
        found = estimate(metric, predictions)
        assert (None if found is None else 100 * found.value) == pytest.approx(official.get(metric.name))


def test_without_unanswerable_questions_the_best_span_is_the_answer_whatever_the_null_score() -> None:
    assert Extraction().judge(ASKED, [spans("old king", 9.0)]).answer == "old king"


def test_with_unanswerable_questions_a_better_null_score_is_no_answer() -> None:
    method = Extraction(unanswerable=True)
    assert method.judge(ASKED, [spans("old king", 0.1)]).answer == ""
    assert method.judge(ASKED, [spans("old king", 0.0)]).answer == "old king"


def test_a_question_without_an_answer_needs_the_rules_of_2_0() -> None:
    with pytest.raises(BadRequest, match="squad_v2"):
        Extraction().requests(OPEN)


def test_worked_examples_go_to_the_request_and_into_the_prefix() -> None:
    method = Extraction(unanswerable=True).with_shots([ASKED, OPEN])
    (request,) = method.requests(ASKED)
    assert request.shots == ((PASSAGE, "Who slept?", "The old king"), (PASSAGE, "Who sang?", ""))
    first = fill(request.template, PASSAGE, "Who slept?") + " The old king\n\n"
    assert method.prefix == first + fill(request.template, PASSAGE, "Who sang?") + " unanswerable\n\n"


def test_a_head_is_asked_by_its_key_and_takes_no_worked_examples() -> None:
    method = Extraction().with_head("tales#1")
    (request,) = method.requests(ASKED)
    assert request.head == "tales#1"
    with pytest.raises(BadRequest, match="trained head"):
        method.with_shots([ASKED])


def test_the_best_spans_are_recorded() -> None:
    detail = Extraction().judge(ASKED, [spans("old king", -2.0)]).detail
    assert detail["n_best"] == [{"text": "old king", "start": 4, "end": 12, "score": 1.0, "probability": 1.0}]
    assert (detail["null_score"], detail["start"], detail["end"]) == (-1.0, 4, 12)


@pytest.mark.parametrize("question", [ASKED, OPEN])
def test_a_failed_example_is_wrong_even_where_no_answer_is_right(question: Question) -> None:
    scores = Extraction(unanswerable=True).failed(question, "too long").scores
    group = "HasAns" if question.answers else "NoAns"
    assert scores == {"exact": 0.0, "f1": 0.0, f"{group}_exact": 0.0, f"{group}_f1": 0.0}
