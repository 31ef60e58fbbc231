"""A file's answers: the curve agrees with the official rules at every threshold, and the files hold what is decided."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.evals.data.squad_files import Question
from workbench.evals.methods.spans import AnswerPrediction, SpanMethod, answer_metrics
from workbench.text.requests import Span
from workbench.ui.answer import answer_scores
from workbench.ui.answer.answer_scores import Answered, answer_rows, best_threshold, figures_markup, write_answers


def prediction(number: int, text: str, difference: float, right: str, fails: bool = False) -> AnswerPrediction:
    """A prediction with a best span; no right answer means that there is none."""
    if fails:
        question = Question(f"q{number}", f"Question {number}?", text, (right,) if right else (), (), not right)
        return SpanMethod().failed(question, "no")
    spans = (Span(text, 0, len(text), -1.0, 0.5),)
    return AnswerPrediction(
        id=f"q{number}", question=f"Question {number}?", score=-1.0, null_score=difference - 1.0, n_best=spans,
        gold=(right,) if right else (), is_impossible=not right,
    )  # fmt: skip


words = st.sampled_from(["fox", "red fox", "crow", "the goat"])
predictions = st.lists(
    st.tuples(words, st.floats(-5, 5).map(lambda value: round(value, 3)), st.sampled_from(["", "fox", "a goat"]),
              st.sampled_from([False] * 4 + [True])),
    min_size=1, max_size=12,
).map(lambda rows: [prediction(number, *row) for number, row in enumerate(rows)])  # fmt: skip


def decides(asked: list[AnswerPrediction]) -> bool:
    """Whether a threshold changes anything: some question has no answer, and some could be asked."""
    return any(one.is_impossible for one in asked) and any(one.error is None for one in asked)


@settings(max_examples=40, deadline=None)
@given(predictions, st.floats(-6, 6))
def test_the_curve_at_the_threshold_is_what_squads_rules_say(asked: list[AnswerPrediction], threshold: float) -> None:
    drawn: dict = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answer_scores, "curves_markup", lambda *given: drawn.update(given[2]) or "drawn")
        markup = answer_scores.threshold_curve(asked, threshold)
    if not decides(asked):
        assert markup == ""
        return
    for name, figure in (("exact match", "exact"), ("F1", "f1")):
        for place, value in drawn[name]:
            assert value == pytest.approx(answer_metrics(asked, place)[figure])
        assert threshold in [place for place, _ in drawn[name]]


@settings(max_examples=60, deadline=None)
@given(predictions)
def test_no_threshold_does_better_than_the_best(asked: list[AnswerPrediction]) -> None:
    best = best_threshold(asked)
    if best is None:
        assert not decides(asked)
        return
    reached = answer_metrics(asked, best)["f1"]
    for other in (-9.0, *(one.null_difference for one in asked)):
        assert answer_metrics(asked, other)["f1"] <= reached + 1e-9


def test_a_row_is_decided_by_the_threshold() -> None:
    asked = [prediction(1, "fox", 2.0, "fox"), prediction(2, "crow", 2.0, "")]
    assert answer_rows(asked, 3.0)[0] == ["1", "Question 1?", "fox", "fox", "1.00", "2.00"]
    assert answer_rows(asked, 1.0)[0][2] == "no answer"


def test_where_every_question_has_an_answer_the_best_span_is_shown_counted_and_written(tmp_path: Path) -> None:
    asked = [prediction(1, "fox", 2.0, "fox")]
    assert answer_rows(asked, 1.0)[0][2:5] == ["fox", "fox", "1.00"]
    assert "<dt>No answer given</dt><dd>0</dd>" in figures_markup(asked, 1.0, 1)
    squad, _, lines = write_answers(Answered([], asked), 1.0, tmp_path)
    assert json.loads(squad.read_text()) == {"q1": "fox"} and json.loads(lines.read_text())["text"] == "fox"


def test_questions_that_could_not_be_asked_are_counted_and_score_0() -> None:
    asked = [prediction(1, "fox", 2.0, ""), prediction(2, "fox", 0.0, "", fails=True)]
    assert "<dt>Not asked, scored 0</dt><dd>1</dd>" in figures_markup(asked, 1.0, 2)
    assert answer_rows(asked, 1.0)[1][2:5] == ["not asked: no", "no answer", "0.00"]


def test_the_figures_name_the_rules_they_follow() -> None:
    answerable = [prediction(1, "fox", -2.0, "fox")]
    assert "SQuAD 1.1" in figures_markup(answerable, 0.0, 2) and "1 of 2" in figures_markup(answerable, 0.0, 2)
    both = [*answerable, prediction(2, "crow", 2.0, "")]
    assert "SQuAD 2.0" in figures_markup(both, 0.0, 2) and best_threshold(both) == -2.0


def test_the_files_hold_the_answers_at_the_threshold_and_replace_earlier_ones(tmp_path: Path) -> None:
    asked = [prediction(1, "fox", -2.0, "fox"), prediction(2, "=1+1", 2.0, "")]
    answered = Answered([Question("q1", "Q?", "fox"), Question("q2", "Q?", "=1+1")], asked)
    write_answers(answered, 0.0, tmp_path)
    squad, table, lines = write_answers(answered, 3.0, tmp_path)
    assert json.loads(squad.read_text()) == {"q1": "fox", "q2": "=1+1"}
    assert "'=1+1" in table.read_text() and len(lines.read_text().splitlines()) == 2
    assert len(list(tmp_path.iterdir())) == 1
    answered.forget()
    assert list(tmp_path.iterdir()) == []


def test_no_file_is_named_by_a_visitor(tmp_path: Path) -> None:
    answered = Answered([], [prediction(1, "fox", 0.0, "")])
    assert all(
        re.fullmatch(r"predictions\.(json|csv|jsonl)", path.name) for path in write_answers(answered, 0, tmp_path)
    )
