"""How good predicted labels are. Figures agree with scikit-learn's; what divides by nothing is 0 (zero_division=0)."""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.evals.methods.labels import ClassPrediction

Counts = NDArray[np.int64]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class ClassRow:
    """One label's figures."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    """Examples whose right answer it is."""
    predicted: int
    """Examples that got it."""


@dataclass(frozen=True)
class Sweep:
    """One label's figures at each threshold, ascending: (thresholds,) each."""

    thresholds: Numbers
    precision: Numbers
    recall: Numbers
    f1: Numbers
    accuracy: Numbers

    @property
    def best(self) -> int:
        """The place of the threshold with the best F1, the lowest of several."""
        return int(self.f1.argmax())


def accuracy(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """Share of right answers; NaN of nothing."""
    if not gold:
        return math.nan
    return sum(right == got for right, got in zip(gold, predicted, strict=True)) / len(gold)


def confusion_matrix(gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> Counts:
    """Counts (labels, labels): a row for each right answer, a column for each predicted one.

    A pair with a label outside the list is not counted.
    """
    place = {label: number for number, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for right, got in zip(gold, predicted, strict=True):
        if right in place and got in place:
            counts[place[right], place[got]] += 1
    return counts


def occurring(gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str] = ()) -> tuple[str, ...]:
    """The labels that occur: the listed ones in their order, then others, in alphabetical order."""
    there = {*gold, *predicted}
    return tuple(label for label in labels if label in there) + tuple(sorted(there.difference(labels)))


def per_class(gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> list[ClassRow]:
    """Each label's figures, also of labels that never occur."""
    return per_label([[label] for label in gold], [[label] for label in predicted], labels)


def per_label(
    gold: Sequence[Collection[str]], predicted: Sequence[Collection[str]], labels: Sequence[str]
) -> list[ClassRow]:
    """Each label's figures where an example may have several labels, or none."""
    hits, support, count = _counts(gold, predicted, labels)
    figures = _ratio(hits, count), _ratio(hits, support), _ratio(2 * hits, support + count)
    return [
        ClassRow(label, float(precision), float(recall), float(f1), int(right), int(got))
        for label, precision, recall, f1, right, got in zip(labels, *figures, support, count, strict=True)
    ]


def macro_f1(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """The unweighted mean of the F1 of each label that is a right or a given answer; NaN of nothing."""
    labels = occurring(gold, predicted)
    return float(np.mean([row.f1 for row in per_class(gold, predicted, labels)])) if labels else math.nan


def multilabel_macro_f1(
    gold: Sequence[Collection[str]], predicted: Sequence[Collection[str]], labels: Sequence[str]
) -> float:
    """The unweighted mean of all labels' F1."""
    return float(np.mean([row.f1 for row in per_label(gold, predicted, labels)]))


def multilabel_micro_f1(
    gold: Sequence[Collection[str]], predicted: Sequence[Collection[str]], labels: Sequence[str]
) -> float:
    """F1 of all decisions, one for each example and label, taken together."""
    hits, support, count = _counts(gold, predicted, labels)
    return float(_ratio(2 * hits.sum(), support.sum() + count.sum()))


def subset_accuracy(gold: Sequence[Collection[str]], predicted: Sequence[Collection[str]]) -> float:
    """Share of examples with exactly the right labels; NaN of nothing."""
    if not gold:
        return math.nan
    return sum(set(right) == set(got) for right, got in zip(gold, predicted, strict=True)) / len(gold)


def threshold_sweep(
    positive: Sequence[bool], scores: Sequence[float], thresholds: Sequence[float] | None = None
) -> Sweep:
    """One label's figures if it is given wherever its probability reaches a threshold.

    Args:
        positive: whether the label is a right answer, for each example.
        scores: its probability, for each example.
        thresholds: ascending; None takes each score that occurs.
    """
    right, probability = np.array(positive, dtype=np.bool_), np.array(scores, dtype=np.float64)
    at = np.unique(probability) if thresholds is None else np.array(thresholds, dtype=np.float64)
    order = np.argsort(probability, kind="stable")
    first = np.searchsorted(probability[order], at, side="left")
    hits_below = np.concatenate([[0], np.cumsum(right[order])])[first]
    support = int(right.sum())
    hits, count = support - hits_below, len(right) - first
    correct = hits + (first - hits_below)
    return Sweep(
        thresholds=at,
        precision=_ratio(hits, count),
        recall=_ratio(hits, np.full_like(hits, support)),
        f1=_ratio(2 * hits, count + support),
        accuracy=_ratio(correct, np.full_like(correct, len(right))),
    )


def confident_mistakes(predictions: Sequence[ClassPrediction], most: int = 20) -> list[ClassPrediction]:
    """The wrong predictions, the most confident first."""
    wrong = [one for one in predictions if one.label is not None and one.gold is not None and one.label != one.gold]
    return sorted(wrong, key=lambda one: one.scores[one.label or ""], reverse=True)[:most]


def _counts(
    gold: Sequence[Collection[str]], predicted: Sequence[Collection[str]], labels: Sequence[str]
) -> tuple[Counts, Counts, Counts]:
    """How often each label is right and given, is right, and is given: (labels,) each."""
    hits: Counter[str] = Counter()
    support: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for right, got in zip(gold, predicted, strict=True):
        hits.update(set(right) & set(got))
        support.update(set(right))
        count.update(set(got))
    each = [np.array([found[label] for label in labels], dtype=np.int64) for found in (hits, support, count)]
    return each[0], each[1], each[2]


def _ratio(part: Counts, whole: Counts) -> Numbers:
    """Quotients, 0 where it would be a division by 0."""
    quotients: Numbers = np.divide(part, whole, out=np.zeros(np.shape(part)), where=whole != 0)
    return quotients
