"""How far probabilities can be trusted: expected calibration error (Guo et al. 2017) and the reliability diagram."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BINS = 15
"""As in the paper."""


@dataclass(frozen=True)
class Bin:
    """The predictions whose confidence is above `low` and at most `high`; the first one takes 0 too."""

    low: float
    high: float
    count: int
    accuracy: float
    """NaN of an empty bin."""
    confidence: float
    """Their mean confidence; NaN of an empty bin."""


@dataclass(frozen=True)
class Reliability:
    """The diagram's bins and the error they sum up to."""

    bins: tuple[Bin, ...]
    ece: float
    """Mean distance of accuracy and confidence, weighted by count; NaN of nothing."""


def reliability(confidences: Sequence[float], correct: Sequence[bool], bins: int = BINS) -> Reliability:
    """Compares the probability of each predicted label with how often such predictions are right.

    Args:
        confidences: the predicted labels' probabilities.
        correct: whether each is the right answer.
        bins: how many, of equal width.
    """
    confidence = np.clip(np.array(confidences, dtype=np.float64), 0.0, 1.0)
    right = np.array(correct, dtype=np.bool_)
    edges = np.linspace(0.0, 1.0, bins + 1)
    places = np.searchsorted(edges[1:-1], confidence, side="left")
    found = []
    for number in range(bins):
        inside = places == number
        count = int(inside.sum())
        found.append(
            Bin(
                float(edges[number]),
                float(edges[number + 1]),
                count,
                float(right[inside].mean()) if count else math.nan,
                float(confidence[inside].mean()) if count else math.nan,
            )
        )
    total = sum(one.count * abs(one.accuracy - one.confidence) for one in found if one.count)
    return Reliability(tuple(found), total / len(right) if len(right) else math.nan)
