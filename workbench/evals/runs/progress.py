"""How far a run has come, what it comes to so far, and how long it will still take."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workbench.evals.metrics.estimates import estimate
from workbench.evals.metrics.metric import Estimate, Metric
from workbench.evals.prediction import Prediction

TOLD_EVERY_SECONDS = 0.25
_LARGEST_SHARE = 0.05
"""Of the time, that computing metrics for a live table may take."""


@dataclass(frozen=True)
class Progress:
    """A run as it stands."""

    done: int
    """Examples, those of earlier sittings included."""
    total: int
    seconds: float = 0.0
    """Since this sitting began."""
    seconds_left: float | None = None
    """None: nothing tells yet."""
    metrics: Mapping[str, Estimate] = field(default_factory=dict)
    """Of the examples so far, the longest first; without the standard errors that need resamples."""
    latest: tuple[Prediction, ...] = ()
    """Since the last progress."""
    note: str = ""
    """What a person should know of it; usually empty."""


class Meter:
    """Measures a run in its course.

    Args:
        sizes: of each example by its row, in any unit; the time left is told by what the done ones took.
        kept: predictions of earlier sittings, by their rows.
    """

    def __init__(self, metrics: Sequence[Metric], sizes: Mapping[int, int], kept: Mapping[int, Prediction]):
        self._metrics, self._sizes, self._all = metrics, sizes, [*kept.values()]
        self._left = sum(size for row, size in sizes.items() if row not in kept)
        self._did = 0
        self._latest: list[Prediction] = []
        self._began = self._told = time.monotonic()
        self._pause = TOLD_EVERY_SECONDS

    def add(self, prediction: Prediction) -> None:
        """One more example."""
        self._all.append(prediction)
        self._latest.append(prediction)
        self._did += self._sizes[prediction.row]
        self._left -= self._sizes[prediction.row]

    @property
    def is_due(self) -> bool:
        """Whether somebody watching should be told."""
        return time.monotonic() - self._told >= self._pause

    def progress(self, note: str = "") -> Progress:
        """The run as it stands now."""
        start = time.monotonic()
        found = {metric.name: estimate(metric, self._all, bootstrap=False) for metric in self._metrics}
        seconds = time.monotonic() - self._began
        progress = Progress(
            done=len(self._all),
            total=len(self._sizes),
            seconds=seconds,
            seconds_left=seconds * self._left / self._did if self._did else None,
            metrics={name: one for name, one in found.items() if one is not None},
            latest=tuple(self._latest),
            note=note,
        )
        self._latest = []
        self._told = time.monotonic()
        self._pause = max(TOLD_EVERY_SECONDS, (self._told - start) / _LARGEST_SHARE)
        return progress
