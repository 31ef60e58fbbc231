"""The figures that sum up a table of predictions."""

import math
from dataclasses import replace

from workbench.evals.methods.labels import ClassPrediction
from workbench.evals.metrics.summary import all_labels, summary


def test_one_label_has_accuracy_macro_f1_and_calibration_error() -> None:
    found = summary([
        ClassPrediction("1", "", "a", {"a": 0.9, "b": 0.1}, gold="a"),
        ClassPrediction("2", "", "a", {"a": 0.7, "b": 0.3}, gold="b"),
    ])  # fmt: skip
    assert list(found) == ["n", "accuracy", "macro_f1", "ece"]
    assert (found["n"], found["accuracy"], found["macro_f1"]) == (2, 0.5, 1 / 3)
    assert math.isclose(found["ece"], (0.1 + 0.7) / 2)


def test_several_labels_have_micro_and_macro_f1_and_subset_accuracy() -> None:
    scores = {"a": 0.9, "b": 0.1}
    found = summary([
        ClassPrediction("1", "", "a", scores, labels=("a",), gold_labels=("a", "b")),
        ClassPrediction("2", "", "a", scores, labels=(), gold_labels=()),
    ])  # fmt: skip
    assert found == {"n": 2, "micro_f1": 2 / 3, "macro_f1": 0.5, "subset_accuracy": 0.5}


def test_numbers_have_error_and_correlations() -> None:
    found = summary([ClassPrediction(str(n), "", number=n + 1.0, gold_number=float(n)) for n in range(4)])
    assert found["mse"] == 1
    assert math.isclose(found["pearson"], 1)
    assert math.isclose(found["spearman"], 1)


def test_rows_with_errors_or_without_right_answers_do_not_count() -> None:
    good = ClassPrediction("1", "", "a", {"a": 1.0, "b": 0.0}, gold="a")
    others = [ClassPrediction("2", "", error="empty", gold="a"), ClassPrediction("3", "", "a", {"a": 1.0})]
    assert summary([good, *others])["n"] == 1
    assert summary(others) == {}


def test_a_right_label_that_the_head_does_not_know_counts_as_missed() -> None:
    scores = {"a": 0.9, "b": 0.1}
    known = ClassPrediction("1", "", "a", scores, labels=("a",), gold_labels=("a",))
    found = summary([known, replace(known, labels=(), gold_labels=("stranger",))])
    assert found == {"n": 2, "micro_f1": 2 / 3, "macro_f1": 1 / 3, "subset_accuracy": 0.5}
    assert all_labels([known, replace(known, gold_labels=("z", "y", "a"))]) == ["a", "b", "y", "z"]
