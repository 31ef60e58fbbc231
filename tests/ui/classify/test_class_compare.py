"""Predictions beside each other: what is the same, what differs, and who is right more often."""

from dataclasses import replace
from typing import Any

from workbench.evals.methods.labels import ClassPrediction
from workbench.ui.classify.class_compare import answer_marks, batch_rows, batches_markup, predictions_markup


def predicted(scores: dict[str, float], gold: str | None = None, **others: Any) -> ClassPrediction:
    """A prediction of the likeliest label."""
    given = {"label": max(scores, key=scores.__getitem__) if scores else None} | others
    return ClassPrediction(id="1", text="a text", scores=scores, gold=gold, **given)


GOOD, BAD = predicted({"good": 0.8, "bad": 0.2}, "good"), predicted({"good": 0.3, "bad": 0.7}, "good")


def test_an_answer_is_marked_by_how_it_stands_to_each_before_it() -> None:
    assert answer_marks([("A", GOOD), ("B", BAD), ("C", GOOD)]) == [
        ("", False), ("≠ other answer than A", True), ("= same answer as A; ≠ other answer than B", True),
    ]  # fmt: skip


def test_of_three_sides_each_two_are_told_apart() -> None:
    markup = predictions_markup([("A", GOOD), ("B", BAD), ("C", GOOD)])
    names = ("B − A", "C − A", "C − B")
    assert all(f">{name}<" in markup for name in names) and markup.count("+50.0") == 2


def test_every_labels_change_is_told_in_points() -> None:
    markup = predictions_markup([("A", GOOD), ("B", BAD)])
    assert "A says <b>good</b>, B says <b>bad</b>" in markup and "−50.0" in markup and "+50.0" in markup


def test_a_label_that_a_side_does_not_have_is_said() -> None:
    assert "no label here" in predictions_markup([("A", GOOD), ("B", predicted({"spam": 1.0}))])


def test_a_label_of_others_is_no_markup() -> None:
    markup = predictions_markup([("A", predicted({"<b>": 1.0})), ("B", predicted({"<b>": 1.0}))])
    assert "<b><b>" not in markup and "&lt;b&gt;" in markup


def test_a_row_waits_for_the_slower_side() -> None:
    rows = batch_rows(["one", "two"], [("A", [GOOD, GOOD]), ("B", [BAD])])
    assert rows[0][2:] == ["good 80 %", "bad 70 %", "differ", "good", "A right; B wrong"]
    assert rows[1][2:] == ["good 80 %", "…", "", "good", "A right"]


def test_an_error_is_named_by_its_side() -> None:
    failed = ClassPrediction("1", "a text", error="Too long.")
    assert batch_rows(["one"], [("A", [GOOD]), ("B", [failed])])[0][-1] == "A right; B: Too long."


def test_the_side_that_is_right_more_often_is_named() -> None:
    right = [replace(GOOD, id=str(i)) for i in range(30)]
    wrong = [replace(BAD, id=str(i)) for i in range(30)]
    assert "A is better, of 30" in batches_markup([("A", right), ("B", wrong)])
    assert "no clear difference of 30" in batches_markup([("A", right), ("B", right)])


def test_without_right_answers_there_is_agreement_alone() -> None:
    sides = [(letter, [predicted({"x": 0.9, "y": 0.1})]) for letter in "AB"]
    assert "Same answer" in batches_markup(sides) and "Is one better?" not in batches_markup(sides)
