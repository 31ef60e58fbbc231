"""Answers beside each other: what is the same, what differs, and by which words it is told."""

import pytest

from workbench.evals.methods.spans import AnswerPrediction
from workbench.text.requests import Span, Spans
from workbench.ui.answer.answer_compare import SideAnswers, SideSpans, file_rows, files_markup, span_marks, spans_markup

TEXT = "the fox, a fox"


def found(letter: str, start: int | None, end: int = 0) -> SideSpans:
    """A side whose best span stands there; None: no answer."""
    span = Span(TEXT[start or 0 : end], start or 0, end, -1.0, 0.9)
    return SideSpans(letter, Spans((span,), -9.0 if start is not None else 9.0, 1), 0.0)


@pytest.mark.parametrize("other, words, differs", [
    (found("B", 4, 7), "= same answer as A", False),
    (found("B", 11, 14), "= same words as A, at another place", False),
    (found("B", 0, 7), "= same words as A, at another place", False),
    (found("B", 4, 14), "≠ overlaps A's answer", True),
    (found("B", 9, 10), "≠ other answer than A", True),
    (found("B", None), "≠ not as A", True),
])  # fmt: skip
def test_how_a_second_answer_stands_to_the_first(other: SideSpans, words: str, differs: bool) -> None:
    assert span_marks([found("A", 4, 7), other])[1] == (words, differs)


def test_a_third_answer_is_compared_with_both() -> None:
    sides = [found("A", 4, 7), found("B", 9, 10), found("C", 9, 10)]
    assert span_marks(sides)[2] == ("≠ other answer than A; = same answer as B", True)


def test_two_sides_without_an_answer_agree() -> None:
    assert span_marks([found("A", None), found("B", None)])[1] == ("= no answer either, as A", False)


def test_a_text_of_others_is_no_markup() -> None:
    span = Span("<b>", 0, 3, -1.0, 0.9)
    sides = [SideSpans(letter, Spans((span,), -9.0, 1), 0.0) for letter in "AB"]
    assert "<b><b>" not in spans_markup(sides) and "&lt;b&gt;" in spans_markup(sides)


def predicted(number: int, text: str, right: str = "fox") -> AnswerPrediction:
    """A question with a known answer."""
    span = Span(text, 0, len(text), -1.0, 0.9)
    return AnswerPrediction(
        str(number), "Who?", text, 0, len(text), -1.0, -9.0, (span,), 1, gold=(right,), is_impossible=False
    )  # fmt: skip


def test_a_row_says_whether_the_sides_say_the_same_and_who_is_right() -> None:
    a = SideAnswers("A", [predicted(1, "the fox"), predicted(2, "goat"), predicted(3, "fox")], 0.0)
    b = SideAnswers("B", [predicted(1, "fox"), predicted(2, "fox")], 0.0)
    rows = [row[2:] for row in file_rows([a, b])]
    assert rows[0] == ["the fox", "fox", "same", "fox", "A 1.00, B 1.00"]
    assert rows[1] == ["goat", "fox", "differ", "fox", "A 0.00, B 1.00"]
    assert rows[2] == ["fox", "…", "", "fox", "A 1.00"]


def test_the_side_that_is_clearly_better_is_named() -> None:
    a = SideAnswers("A", [predicted(i, "fox") for i in range(30)], 0.0)
    b = SideAnswers("B", [predicted(i, "goat") for i in range(30)], 0.0)
    markup = files_markup([a, b])
    assert "A is better, of 30" in markup and "<b>0</b> of 30" in markup and "30, 0" in markup
