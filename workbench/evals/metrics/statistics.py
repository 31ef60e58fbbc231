"""The figures that metrics are made of, each for many resamples at once: (..., n, columns) -> (...)."""

import numpy as np
from numpy.typing import NDArray

from workbench.evals.metrics.metric import Statistic, Values

Counts = NDArray[np.int64]
_LN_2 = float(np.log(2.0))


def mean(sample: Values) -> Values:
    """Of the one column."""
    return np.asarray(sample[..., 0].mean(axis=-1))


def perplexity(sample: Values) -> Values:
    """exp of the mean negative log-likelihood; the column: log-likelihoods."""
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(-mean(sample)))


def weighted_perplexity(sample: Values) -> Values:
    """exp of the negative log-likelihood of a unit of text; the columns: log-likelihood, units (words or bytes)."""
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(-ratio(sample)))


def bits_per_byte(sample: Values) -> Values:
    """Negative log-likelihood of a byte, to base 2; the columns: log-likelihood, bytes."""
    return -ratio(sample) / _LN_2


def ratio(sample: Values) -> Values:
    """Sum of the first column over the sum of the second; NaN or infinite where that is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(sample[..., 0].sum(axis=-1) / sample[..., 1].sum(axis=-1))


def macro_f1(sample: Values) -> Values:
    """Mean F1 of the classes that are a right answer or are answered in the sample.

    The columns: gold, answer, as class numbers from 0; -1: no answer, which is no class and always wrong.
    """
    counts = _confusion(sample)
    f1, occurs = _f1(counts)
    return np.asarray(f1.sum(axis=-1) / np.maximum(occurs.sum(axis=-1), 1))


def macro_f1_of(classes: int) -> Statistic:
    """The mean F1 of so many classes, those that occur nowhere counted as 0."""

    def macro_f1(sample: Values) -> Values:
        return np.asarray(_f1(_confusion(sample))[0].sum(axis=-1) / classes)

    return macro_f1


def matthews(sample: Values) -> Values:
    """Correlation of gold and answered classes (Gorodkin, 2004), 0 where one side is all the same.

    The columns: as for `macro_f1`.
    """
    counts = _confusion(sample)
    gold, answered = counts.sum(axis=-1).astype(np.float64), counts.sum(axis=-2).astype(np.float64)
    total, right = gold.sum(axis=-1), np.trace(counts, axis1=-2, axis2=-1)
    covariance = total * right - (gold * answered).sum(axis=-1)
    spread = (total**2 - (gold**2).sum(axis=-1)) * (total**2 - (answered**2).sum(axis=-1))
    return np.divide(covariance, np.sqrt(spread), out=np.zeros_like(total), where=spread > 0)


def _confusion(sample: Values) -> Counts:
    """How often each class is the right answer (rows) and each is answered: (..., classes + 1, classes + 1).

    The first row and column stand for no answer.
    """
    *leading, n, _ = sample.shape
    classes = int(sample.max(initial=-1)) + 2
    pairs = ((sample[..., 0] + 1) * classes + (sample[..., 1] + 1)).astype(np.int64).reshape(-1, n)
    pairs += np.arange(0, len(pairs) * classes**2, classes**2)[:, None]
    counts = np.bincount(pairs.ravel(), minlength=len(pairs) * classes**2)
    return counts.reshape(*leading, classes, classes)


def _f1(counts: Counts) -> tuple[Values, NDArray[np.bool_]]:
    """F1 of each class, 0 where it occurs nowhere, and whether it occurs: (..., classes) each."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)[..., 1:]
    either = (counts.sum(axis=-1) + counts.sum(axis=-2))[..., 1:]
    f1 = np.divide(2 * hits, either, out=np.zeros(hits.shape), where=either > 0)
    return f1, either > 0
