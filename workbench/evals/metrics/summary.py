"""The few figures that sum up a table of class predictions, whatever kind they are of."""

from collections.abc import Sequence

from workbench.evals.methods.labels import ClassPrediction
from workbench.evals.metrics.calibration import reliability
from workbench.evals.metrics.classification import (
    accuracy,
    macro_f1,
    multilabel_macro_f1,
    multilabel_micro_f1,
    subset_accuracy,
)
from workbench.evals.metrics.regression import mean_squared_error, pearson, spearman


def summary(predictions: Sequence[ClassPrediction]) -> dict[str, float]:
    """The figures by name, with `n`, the predictions they are of; empty where no right answer is known.

    A prediction that failed, or whose right answer is not known, does not count.
    """
    done = [one for one in predictions if one.error is None]
    numbers = [(one.gold_number, one.number) for one in done if one.gold_number is not None and one.number is not None]
    if numbers:
        return _regression([gold for gold, _ in numbers], [number for _, number in numbers])
    sets = [one for one in done if one.gold_labels is not None and one.labels is not None]
    if sets:
        return _multi_label(sets)
    single = [one for one in done if one.gold is not None and one.label is not None and one.labels is None]
    return _single_label(single) if single else {}


def all_labels(predictions: Sequence[ClassPrediction]) -> list[str]:
    """The labels that can be given, then the right ones that can't, in alphabetical order: they are always missed."""
    known = list(predictions[0].scores)
    return known + sorted({label for one in predictions for label in one.gold_labels or ()}.difference(known))


def _regression(gold: Sequence[float], predicted: Sequence[float]) -> dict[str, float]:
    return {
        "n": len(gold),
        "mse": mean_squared_error(gold, predicted),
        "pearson": pearson(gold, predicted),
        "spearman": spearman(gold, predicted),
    }


def _multi_label(predictions: Sequence[ClassPrediction]) -> dict[str, float]:
    gold = [one.gold_labels or () for one in predictions]
    predicted = [one.labels or () for one in predictions]
    labels = all_labels(predictions)
    return {
        "n": len(predictions),
        "micro_f1": multilabel_micro_f1(gold, predicted, labels),
        "macro_f1": multilabel_macro_f1(gold, predicted, labels),
        "subset_accuracy": subset_accuracy(gold, predicted),
    }


def _single_label(predictions: Sequence[ClassPrediction]) -> dict[str, float]:
    gold = [one.gold or "" for one in predictions]
    predicted = [one.label or "" for one in predictions]
    confidences = [one.scores[label] for one, label in zip(predictions, predicted, strict=True)]
    correct = [right == got for right, got in zip(gold, predicted, strict=True)]
    return {
        "n": len(predictions),
        "accuracy": accuracy(gold, predicted),
        "macro_f1": macro_f1(gold, predicted),
        "ece": reliability(confidences, correct).ece,
    }
