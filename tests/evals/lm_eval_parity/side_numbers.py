"""The numbers of one comparison, whichever side they come from."""

import math
from dataclasses import dataclass
from typing import Any

LOGLIKELIHOOD_TOLERANCE = 1e-4
METRIC_TOLERANCE = 1e-6
"""Relative where a metric is above 1, as perplexities are."""


@dataclass(frozen=True)
class Numbers:
    """What a side found."""

    loglikelihoods: list[list[float]]
    """Of each row, one a request in their order; none for generated texts."""
    texts: list[str]
    """Generated, one a row; none otherwise."""
    metrics: dict[str, tuple[float, float | None]]
    """Value and standard error; None: there is none."""

    def as_json(self) -> dict[str, Any]:
        """For the golden file."""
        return {
            "metrics": {name: list(pair) for name, pair in sorted(self.metrics.items())},
            "loglikelihoods": [[round(one, 7) for one in row] for row in self.loglikelihoods],
            "texts": self.texts,
        }


def from_json(value: dict[str, Any]) -> Numbers:
    """From the golden file."""
    metrics = {name: (pair[0], pair[1]) for name, pair in value["metrics"].items()}
    return Numbers(value["loglikelihoods"], value["texts"], metrics)


def largest_difference(ours: Numbers, theirs: Numbers) -> float:
    """Of two log-likelihoods; infinite where their counts differ."""
    if [len(row) for row in ours.loglikelihoods] != [len(row) for row in theirs.loglikelihoods]:
        return math.inf
    pairs = zip(ours.loglikelihoods, theirs.loglikelihoods, strict=True)
    return max((abs(a - b) for mine, other in pairs for a, b in zip(mine, other, strict=True)), default=0.0)


def different_metrics(ours: Numbers, theirs: Numbers) -> list[str]:
    """What of their metrics is not ours, in words."""
    found = []
    for name, (value, stderr) in theirs.metrics.items():
        if name not in ours.metrics:
            found.append(f"{name} is missing")
            continue
        mine, mine_stderr = ours.metrics[name]
        if not _close(mine, value):
            found.append(f"{name} {mine!r} is not {value!r}")
        if stderr is not None and (mine_stderr is None or not _close(mine_stderr, stderr)):
            found.append(f"the standard error of {name} {mine_stderr!r} is not {stderr!r}")
    return found


def _close(mine: float, other: float) -> bool:
    return abs(mine - other) <= METRIC_TOLERANCE * max(1.0, abs(other))
