"""A metric's value on many predictions, its standard error, and the interval around it.

Standard errors equal those of lm-evaluation-harness 0.4.13: the mean's own formula (sample standard deviation over the
root of n), or the sample standard deviation of 100,000 resamples, which are drawn here as there, index for index.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.evals.metrics.metric import Estimate, Metric, Statistic, Values
from workbench.evals.prediction import Prediction

RESAMPLES = 100_000
SEEDED_TOGETHER = 1_000
"""Resamples that one random generator draws; the next thousand get the next seed."""
NORMAL_95 = 1.959963984540054
"""Standard deviations on either side of the middle that hold 95 % of a normal distribution."""
_BLOCK_DRAWS = 65_536
"""Indices in memory at a time: what a core's own cache holds."""


def counted(metric: Metric, predictions: Sequence[Prediction]) -> list[Prediction]:
    """The predictions that have all of the metric's columns."""
    return [one for one in predictions if all(column in one.scores for column in metric.columns)]


def values(metric: Metric, predictions: Sequence[Prediction]) -> Values:
    """The metric's columns of the predictions that have them all: (n, columns)."""
    rows = [[one.scores[column] for column in metric.columns] for one in counted(metric, predictions)]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(metric.columns))


def estimate(metric: Metric, predictions: Sequence[Prediction], bootstrap: bool = True) -> Estimate | None:
    """The metric on the predictions that count for it; None if none does.

    Args:
        predictions: in the data's order, on which the resamples depend.
        bootstrap: whether to spend the seconds that a standard error from resamples takes; without it is None.
    """
    return estimate_values(metric, values(metric, predictions), bootstrap)


def estimate_values(metric: Metric, sample: Values, bootstrap: bool = True) -> Estimate | None:
    """The same from the columns alone: (n, columns)."""
    n = len(sample)
    if not n:
        return None
    value = float(metric.statistic(sample))
    stderr = None
    if n > 1 and metric.stderr == "mean":
        stderr = mean_stderr(sample[:, 0])
    elif n > 1 and bootstrap:
        stderr = bootstrap_stderr(metric.statistic, sample)
    is_known = stderr is not None and math.isfinite(value) and math.isfinite(stderr)
    return Estimate(value, stderr if is_known else None, n)


def mean_stderr(column: Values) -> float:
    """The standard error of a mean: (n,), at least two."""
    return float(column.std(ddof=1)) / math.sqrt(len(column))


def bootstrap_stderr(statistic: Statistic, sample: Values, resamples: int = RESAMPLES) -> float:
    """The sample standard deviation of a statistic over resamples of (n, columns)."""
    with np.errstate(invalid="ignore"):
        return float(np.concatenate(list(_replicates(statistic, sample, resamples))).std(ddof=1))


def interval(metric: Metric, found: Estimate) -> tuple[float, float] | None:
    """The 95 % interval around an estimate; None where there is no standard error.

    A share has Wilson's (1927), with the number of examples that would give this standard error to a share of right
    and wrong: exact for accuracies, and it neither leaves [0, 1] nor vanishes when all is right. A loss, which is
    positive, has the normal one of its logarithm; whatever else the normal one.
    """
    if found.stderr is None:
        return None
    if metric.is_share and 0 <= found.value <= 1:
        return _wilson(found.value, found.stderr, found.n)
    reach = NORMAL_95 * found.stderr
    if not metric.higher_is_better and found.value > 0:
        factor = math.exp(min(reach / found.value, 700.0))
        return found.value / factor, found.value * factor
    return found.value - reach, found.value + reach


def resamples_of(n: int, resamples: int, seed: Sequence[int] = ()) -> Iterator[NDArray[np.int64]]:
    """Indices drawn with replacement, in blocks (some, n).

    Each thousand has a generator of its own, seeded with `seed` and the thousand's number; where the seed is empty they
    are what `random.Random(number).choices` draws.
    """
    for first in range(0, resamples, SEEDED_TOGETHER):
        # Seeded by a list, numpy's generator gives the doubles of Python's own.
        generator = np.random.RandomState([*seed, first // SEEDED_TOGETHER])
        left = min(SEEDED_TOGETHER, resamples - first)
        while left:
            rows = min(left, max(1, _BLOCK_DRAWS // n))
            yield (generator.random_sample((rows, n)) * n).astype(np.int64)
            left -= rows


def _replicates(statistic: Statistic, sample: Values, resamples: int) -> Iterator[Values]:
    """The statistic of each resample, in blocks (some,)."""
    for drawn in resamples_of(len(sample), resamples):
        yield statistic(np.take(sample, drawn, axis=0, mode="clip"))


def _wilson(share: float, stderr: float, n: int) -> tuple[float, float]:
    # Multiplied out: the square of a tiny error is nothing, and Python's power of a huge number an exception.
    size = share / stderr * (1 - share) / stderr + 1 if stderr > 0 else float(n)
    squared = NORMAL_95**2
    middle = (share + squared / (2 * size)) / (1 + squared / size)
    reach = NORMAL_95 / (1 + squared / size) * math.sqrt(share * (1 - share) / size + squared / (4 * size * size))
    return max(0.0, middle - reach), min(1.0, middle + reach)
