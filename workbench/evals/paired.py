"""Two runs over the same examples: how far apart they are, and whether that can be chance.

Each example is its own control, so a difference shows that the two runs' separate intervals would hide. Its interval is
the percentile bootstrap's over examples (Efron, 1979), both runs resampled together. Where every example is right or
wrong, that needs no draws, and the test is McNemar's exact one with the mid-p value (Fagerland, Lydersen and Laake,
2013); elsewhere the p-value is twice the share of resampled differences on the rarer side of 0, which agrees with the
interval, but no smaller than McNemar's would be of as many examples that all speak for the same run: few examples look
alike by chance, and then so do all their resamples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from workbench.errors import BadRequest
from workbench.evals.metrics.estimates import estimate_values, resamples_of, values
from workbench.evals.metrics.metric import Estimate, Metric, Values
from workbench.evals.metrics.statistics import mean
from workbench.evals.prediction import Prediction

RESAMPLES = 10_000
TAIL = 0.025
"""Of the resampled differences, left out on either side of the interval."""
_NOTHING = Estimate(math.nan, None, 0)


@dataclass(frozen=True)
class Side:
    """A run as far as a comparison looks at it."""

    name: str
    task: str
    predictions: Sequence[Prediction]


@dataclass(frozen=True)
class Outcomes:
    """The examples by which run has them right: their ids, in the data's order."""

    both: tuple[str, ...]
    a_only: tuple[str, ...]
    b_only: tuple[str, ...]
    neither: tuple[str, ...]


@dataclass(frozen=True)
class LeftOut:
    """How many examples were not compared, and why."""

    only_in_a: int = 0
    only_in_b: int = 0
    changed: int = 0
    """The same id stands for another row."""
    uncounted: int = 0
    """They have not the metric's columns in both runs."""

    def __str__(self) -> str:
        reasons = {
            "only in A": self.only_in_a,
            "only in B": self.only_in_b,
            "with other content in A than in B": self.changed,
            "that do not count for the metric in both": self.uncounted,
        }
        return "; ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)


@dataclass(frozen=True)
class Comparison:
    """A metric of two runs over the examples that they share."""

    metric: str
    n: int
    a: Estimate
    b: Estimate
    """Of the shared examples; standard errors that need resamples are those of the comparison's own."""
    difference: float
    """A less B, on the metric's own scale."""
    low: float | None
    high: float | None
    """The difference's 95 % interval; None: fewer than two examples, or numbers beyond all bounds."""
    p_value: float | None
    """Of no difference, two-sided."""
    test: str
    """What gave the p-value: "mcnemar_mid_p" or "bootstrap"."""
    outcomes: Outcomes | None
    """None where examples are not simply right or wrong."""
    left_out: LeftOut = LeftOut()


@dataclass(frozen=True)
class Pair:
    """One of several comparisons."""

    a: str
    b: str
    comparison: Comparison
    p_holm: float | None
    """The p-value corrected for so many comparisons (Holm, 1979)."""


@dataclass(frozen=True)
class _Compared:
    """What a difference can be by chance."""

    low: float | None
    high: float | None
    p_value: float | None
    stderr_a: float | None = None
    """Of the resamples; None: there were none, or too few examples."""
    stderr_b: float | None = None


def compare_all(metric: Metric, sides: Sequence[Side], seed: int = 0, resamples: int = RESAMPLES) -> list[Pair]:
    """Every run with every later one.

    Raises:
        BadRequest: fewer than two runs, runs of different tasks, or two that have no example in common.
    """
    check_comparable(sides)
    pairs = [
        Pair(a.name, b.name, compare(metric, a.predictions, b.predictions, seed, resamples), None)
        for a, b in combinations(sides, 2)
    ]
    tested = [pair for pair in pairs if pair.comparison.p_value is not None]
    corrected = iter(holm([pair.comparison.p_value or 0.0 for pair in tested]))
    return [pair if pair.comparison.p_value is None else replace(pair, p_holm=next(corrected)) for pair in pairs]


def compare(
    metric: Metric, a: Sequence[Prediction], b: Sequence[Prediction], seed: int = 0, resamples: int = RESAMPLES
) -> Comparison:
    """Two runs' predictions, over the examples whose id and content are the same in both.

    Raises:
        BadRequest: there is no such example that counts for the metric.
    """
    first, second, left_out = matched(metric, a, b)
    sample = np.concatenate([values(metric, first), values(metric, second)], axis=1)
    outcomes = _outcomes(metric, sample, [one.id for one in first])
    compared = _by_resamples(metric, sample, seed, resamples) if outcomes is None else _by_counts(outcomes)
    found_a, found_b = (
        estimate_values(metric, side, bootstrap=False) or _NOTHING for side in np.split(sample, 2, axis=1)
    )
    if metric.stderr == "bootstrap":
        found_a, found_b = replace(found_a, stderr=compared.stderr_a), replace(found_b, stderr=compared.stderr_b)
    has_interval = len(sample) > 1
    return Comparison(
        metric=metric.name,
        n=len(sample),
        a=found_a,
        b=found_b,
        difference=found_a.value - found_b.value,
        low=compared.low if has_interval else None,
        high=compared.high if has_interval else None,
        p_value=compared.p_value if has_interval or outcomes else None,
        test="bootstrap" if outcomes is None else "mcnemar_mid_p",
        outcomes=outcomes,
        left_out=left_out,
    )


def matched(
    metric: Metric, a: Sequence[Prediction], b: Sequence[Prediction]
) -> tuple[list[Prediction], list[Prediction], LeftOut]:
    """The predictions of both that count for the metric and are of the same examples, in the data's order.

    Raises:
        BadRequest: there is none.
    """
    first, second = {one.id: one for one in a}, {one.id: one for one in b}
    shared = [(one, second[one.id]) for one in first.values() if one.id in second]
    same = [(one, other) for one, other in shared if one.digest == other.digest]
    columns = set(metric.columns)
    counted = [(one, other) for one, other in same if columns <= one.scores.keys() & other.scores.keys()]
    left_out = LeftOut(
        only_in_a=len(first) - len(shared),
        only_in_b=len(second) - len(shared),
        changed=len(shared) - len(same),
        uncounted=len(same) - len(counted),
    )
    if not counted:
        why = str(left_out) or "both are empty"
        raise BadRequest(
            f"The two runs have no example in common to compare by {metric.name}: {why}. Choose runs of the same task "
            f"on the same data, and a metric that both have."
        )
    counted.sort(
        key=lambda pair: (pair[0].row + pair[1].row, pair[0].id)
    )  # the same order whichever run is named first
    return [one for one, _ in counted], [other for _, other in counted], left_out


def check_comparable(sides: Sequence[Side]) -> None:
    """Refuses fewer than two runs, and runs of different tasks.

    Raises:
        BadRequest: so it is.
    """
    if len(sides) < 2:
        raise BadRequest("A comparison needs at least two runs. Choose another one.")
    tasks = list(dict.fromkeys(side.task for side in sides))
    if len(tasks) > 1:
        raise BadRequest(f"Runs of different tasks can't be compared: {', '.join(tasks)}. Choose runs of one task.")


def mcnemar_mid_p(a_only: int, b_only: int) -> float:
    """The two-sided mid-p value of so many examples that only one of two runs has right; 1 where there is none."""
    flips, fewer = a_only + b_only, min(a_only, b_only)
    log_term = math.lgamma(flips + 1) - math.lgamma(fewer + 1) - math.lgamma(flips - fewer + 1) - flips * math.log(2)
    # The binomial's lower tail as multiples of its last term, which alone may be too small for a number.
    term, tail, count = 1.0, 0.5, fewer
    while count and term > 1e-18 * tail:
        term *= count / (flips - count + 1)
        tail += term
        count -= 1
    return min(1.0, 2 * math.exp(log_term + math.log(tail)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p-value corrected for all (Holm, 1979)."""
    corrected = [0.0] * len(p_values)
    floor = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = floor
    return corrected


def _by_counts(outcomes: Outcomes) -> _Compared:
    """Of right and wrong answers, for which the bootstrap needs no draws: its percentiles after endless resamples.

    Each example of a resample adds 1 to the difference, takes 1 off or leaves it; the sum's distribution is that of one
    such step to the power of n, in terms of its Fourier transform.
    """
    a_only, b_only = len(outcomes.a_only), len(outcomes.b_only)
    n = a_only + b_only + len(outcomes.both) + len(outcomes.neither)
    step = np.zeros(2 * n + 1)
    step[[0, 1, -1]] = (n - a_only - b_only) / n, a_only / n, b_only / n
    differences = np.roll(np.fft.irfft(np.fft.rfft(step) ** n, len(step)), n)  # from -n to n
    tail = TAIL - 1e-12  # for the last digits of the sums
    low = int(np.searchsorted(differences.cumsum(), tail)) - n
    high = n - int(np.searchsorted(differences[::-1].cumsum(), tail))
    return _Compared(low / n, high / n, mcnemar_mid_p(a_only, b_only))


def _by_resamples(metric: Metric, sample: Values, seed: int, resamples: int) -> _Compared:
    """Of any metric: both runs' columns, side by side, are resampled together."""
    columns = len(metric.columns)
    blocks = []
    for drawn in resamples_of(len(sample), resamples, (abs(seed) % 2**32,)):
        both = np.take(sample, drawn, axis=0, mode="clip")
        blocks.append((metric.statistic(both[..., :columns]), metric.statistic(both[..., columns:])))
    a, b = (np.concatenate(side) for side in zip(*blocks, strict=True))
    with np.errstate(invalid="ignore"):
        differences = a - b
        stderrs = [_finite(float(side.std(ddof=1))) if len(sample) > 1 else None for side in (a, b)]
    if not np.isfinite(differences).all():
        return _Compared(None, None, None, *stderrs)
    low, high = np.quantile(differences, [TAIL, 1 - TAIL])
    p_value = max(_bootstrap_p(differences), mcnemar_mid_p(len(sample), 0))
    return _Compared(float(low), float(high), p_value, *stderrs)


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _bootstrap_p(differences: Values) -> float:
    """Never 0: the observed sample counts as one more on either side."""
    rarer = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return min(1.0, 2 * (rarer + 1) / (len(differences) + 1))


def _outcomes(metric: Metric, sample: Values, ids: Sequence[str]) -> Outcomes | None:
    if metric.statistic is not mean or not np.isin(sample, (0.0, 1.0)).all():
        return None
    found: dict[tuple[bool, bool], list[str]] = {(a, b): [] for a in (True, False) for b in (True, False)}
    for identity, (a, b) in zip(ids, (sample == 1.0).tolist(), strict=True):
        found[a, b].append(identity)
    return Outcomes(*(tuple(some) for some in found.values()))
