"""How good predicted numbers are. Figures agree with scikit-learn's and scipy's."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def mean_squared_error(gold: Sequence[float], predicted: Sequence[float]) -> float:
    """NaN of nothing."""
    if not gold:
        return math.nan
    return float(np.mean((np.array(gold, dtype=np.float64) - np.array(predicted, dtype=np.float64)) ** 2))


def pearson(gold: Sequence[float], predicted: Sequence[float]) -> float:
    """Linear correlation; NaN where one side is all the same."""
    return _correlation(np.array(gold, dtype=np.float64), np.array(predicted, dtype=np.float64))


def spearman(gold: Sequence[float], predicted: Sequence[float]) -> float:
    """Rank correlation, equal numbers sharing their mean rank; NaN where one side is all the same."""
    return _correlation(_ranks(gold), _ranks(predicted))


def _correlation(first: Numbers, second: Numbers) -> float:
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    first, second = first - first.mean(), second - second.mean()
    # Each is scaled before it is squared, so that very small and very large numbers keep their digits.
    first, second = first / np.abs(first).max(), second / np.abs(second).max()
    cosine = (first @ second) / (np.linalg.norm(first) * np.linalg.norm(second))
    return float(np.clip(cosine, -1.0, 1.0))


def _ranks(numbers: Sequence[float]) -> Numbers:
    values, places, counts = np.unique(np.array(numbers, dtype=np.float64), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Numbers = (last - (counts - 1) / 2)[places]
    return ranks if len(values) else np.zeros(0)
