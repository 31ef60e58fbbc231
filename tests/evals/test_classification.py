"""Figures of predicted labels, beside scikit-learn's."""

import math
import warnings
from collections.abc import Collection, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.evals.methods.labels import ClassPrediction
from workbench.evals.metrics.classification import (
    accuracy,
    confident_mistakes,
    confusion_matrix,
    macro_f1,
    multilabel_macro_f1,
    multilabel_micro_f1,
    occurring,
    per_class,
    per_label,
    subset_accuracy,
    threshold_sweep,
)

sklearn = pytest.importorskip("sklearn.metrics")

LABELS = ("a", "b", "c", "never")
some = settings(max_examples=100, deadline=None)
pairs = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=30)
sets = st.frozensets(st.sampled_from("abc"))
set_pairs = st.lists(st.tuples(sets, sets), min_size=1, max_size=20)
marks = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1)), min_size=1, max_size=30
)


def prediction(label: str | None, gold: str | None, score: float = 0.5) -> ClassPrediction:
    return ClassPrediction("", "", label, {label: score} if label else {}, gold=gold)


def indicators(sets: Sequence[Collection[str]]) -> np.ndarray:
    """Which example has which label (examples, labels)."""
    return np.array([[label in one for label in LABELS] for one in sets])


@some
@given(pairs=pairs)
def test_accuracy_f1_and_confusion_are_scikit_learns(pairs: Sequence[tuple[str, str]]) -> None:
    gold, predicted = [list(side) for side in zip(*pairs, strict=True)]
    assert accuracy(gold, predicted) == pytest.approx(sklearn.accuracy_score(gold, predicted))
    assert macro_f1(gold, predicted) == pytest.approx(
        sklearn.f1_score(gold, predicted, average="macro", zero_division=0)
    )
    expected = sklearn.confusion_matrix(gold, predicted, labels=LABELS)
    assert (confusion_matrix(gold, predicted, LABELS) == expected).all()
    expected = sklearn.precision_recall_fscore_support(gold, predicted, labels=LABELS, zero_division=0)
    rows = per_class(gold, predicted, LABELS)
    assert [row.label for row in rows] == list(LABELS)
    found = [[getattr(row, name) for row in rows] for name in ("precision", "recall", "f1", "support")]
    assert np.array(found) == pytest.approx(np.array(expected))
    assert [row.predicted for row in rows] == [predicted.count(label) for label in LABELS]


@some
@given(pairs=set_pairs)
def test_multi_label_figures_are_scikit_learns(pairs: Sequence[tuple[frozenset[str], frozenset[str]]]) -> None:
    gold, predicted = [list(side) for side in zip(*pairs, strict=True)]
    right, got = indicators(gold), indicators(predicted)
    for ours, average in ((multilabel_micro_f1, "micro"), (multilabel_macro_f1, "macro")):
        expected = sklearn.f1_score(right, got, average=average, zero_division=0)
        assert ours(gold, predicted, LABELS) == pytest.approx(expected)
    assert subset_accuracy(gold, predicted) == pytest.approx(sklearn.accuracy_score(right, got))
    expected = sklearn.precision_recall_fscore_support(right, got, zero_division=0)
    rows = per_label(gold, predicted, LABELS)
    found = [[getattr(row, name) for row in rows] for name in ("precision", "recall", "f1", "support")]
    assert np.array(found) == pytest.approx(np.array(expected))


@some
@given(marks=marks)
def test_a_sweep_is_scikit_learns_precision_recall_curve(marks: Sequence[tuple[bool, float]]) -> None:
    positive, scores = [list(side) for side in zip(*marks, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns where nothing is positive, and says recall is 1
        precision, recall, thresholds = sklearn.precision_recall_curve(positive, scores)
    sweep = threshold_sweep(positive, scores)
    assert (sweep.thresholds == thresholds).all()
    assert sweep.precision == pytest.approx(precision[:-1])
    if any(positive):
        assert sweep.recall == pytest.approx(recall[:-1])


@some
@given(marks=marks, thresholds=st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=5).map(sorted))
def test_each_threshold_is_judged_as_if_alone(marks: Sequence[tuple[bool, float]], thresholds: list[float]) -> None:
    positive, scores = [list(side) for side in zip(*marks, strict=True)]
    sweep = threshold_sweep(positive, scores, thresholds)
    for place, threshold in enumerate(thresholds):
        given_label = [score >= threshold for score in scores]
        assert sweep.f1[place] == pytest.approx(sklearn.f1_score(positive, given_label, zero_division=0))
        assert sweep.accuracy[place] == pytest.approx(sklearn.accuracy_score(positive, given_label))
    assert sweep.f1[sweep.best] == max(sweep.f1)


def test_a_label_outside_the_list_is_wrong_and_occurs() -> None:
    assert accuracy(["z", "a"], ["a", "a"]) == 0.5
    assert occurring(["z", "a"], ["a", "a"], LABELS) == ("a", "z")
    assert confusion_matrix(["z", "a"], ["a", "a"], LABELS).sum() == 1


def test_of_nothing_there_is_no_figure() -> None:
    assert math.isnan(accuracy([], []))
    assert math.isnan(macro_f1([], []))
    assert math.isnan(subset_accuracy([], []))
    assert len(threshold_sweep([], []).f1) == 0


def test_the_most_confident_mistakes_come_first() -> None:
    wrong = [prediction("a", "b", 0.6), prediction("b", "a", 0.9), prediction("a", "c", 0.7)]
    others = [prediction("a", "a", 0.99), prediction("a", None, 0.99), prediction(None, "a")]
    assert confident_mistakes([*wrong, *others], 2) == [wrong[1], wrong[2]]
