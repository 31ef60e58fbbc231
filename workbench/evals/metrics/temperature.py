"""Temperature scaling (Guo et al. 2017): one number by which all scores are divided, so that probabilities are honest.

It changes no answer, only how sure it is said to be. It is fitted on one half of the examples and judged on the other,
and the other way round, so that what is shown is not what was fitted.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

LEAST_EXAMPLES = 20
"""Of fewer, a half says nothing."""
_TEMPERATURES = np.geomspace(0.05, 100.0, 153)
_IMPOSSIBLE = -1e9


def softmaxed(scores: Sequence[Sequence[float]], temperature: float = 1.0) -> list[NDArray[np.float64]]:
    """Each example's probabilities from the log-scores of its choices, however many it has."""
    logs = _logs(_padded(scores), temperature)
    return [np.exp(row[: len(own)]) for row, own in zip(logs, scores, strict=True)]


def cross_fitted(scores: Sequence[Sequence[float]], gold: Sequence[int]) -> list[NDArray[np.float64]]:
    """Each example's probabilities with the temperature that fits the other half best.

    Args:
        scores: log-scores, a row an example.
        gold: the right choice's place in each row.
    """
    padded, right = _padded(scores), np.array(gold)
    halves = np.arange(len(padded)) % 2
    found: list[NDArray[np.float64]] = [np.array([])] * len(padded)
    for half in (0, 1):
        other = halves != half
        logs = _logs(padded, fitted_temperature(padded[other], right[other]))
        for place in np.flatnonzero(halves == half).tolist():
            found[place] = np.exp(logs[place, : len(scores[place])])
    return found


def fitted_temperature(scores: Matrix, gold: NDArray[np.int64]) -> float:
    """The temperature under which the right choices are likeliest.

    Args:
        scores: (examples, choices).
        gold: (examples,).
    """
    rows = np.arange(len(gold))
    losses = [-_logs(scores, temperature)[rows, gold].sum() for temperature in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def _padded(scores: Sequence[Sequence[float]]) -> Matrix:
    """(examples, most choices); what an example has not is impossible."""
    padded = np.full((len(scores), max(map(len, scores))), _IMPOSSIBLE)
    for row, own in zip(padded, scores, strict=True):
        row[: len(own)] = np.array(own) - max(own)
    return padded


def _logs(scores: Matrix, temperature: float) -> Matrix:
    scaled = scores / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    logs: Matrix = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
    return logs
