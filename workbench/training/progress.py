"""Where the training of a head stands, told after each step."""

import time
from dataclasses import dataclass

PHASES = ("loading", "features", "training", "saving")


@dataclass(frozen=True)
class FineTuneProgress:
    """A moment of a training run."""

    phase: str
    """One of PHASES."""
    step: int
    """Steps done; in the phase features, rows read."""
    steps: int
    epoch: float = 0.0
    loss: float | None = None
    """Of the step, the mean over its rows."""
    validation: dict[str, float] | None = None
    """The metrics, on the steps that validate."""
    best: dict[str, float] | None = None
    """The best validation so far, with its "step"."""
    examples_per_second: float | None = None
    seconds: float = 0.0
    """Spent on this run, all sittings together."""
    seconds_left: float | None = None
    """Of the phase, by its pace so far; None before there is one."""


class Pace:
    """A phase's clock.

    Args:
        spent: seconds of earlier phases and sittings.
        done: steps that were done before this sitting.
    """

    def __init__(self, phase: str, steps: int, spent: float = 0.0, done: int = 0):
        self.phase, self.steps, self._done = phase, steps, done
        self._spent, self._began = spent, time.monotonic()

    @property
    def seconds(self) -> float:
        """Spent on the run."""
        return self._spent + time.monotonic() - self._began

    def at(self, step: int) -> FineTuneProgress:
        """The progress after so many steps."""
        sitting = time.monotonic() - self._began
        fresh = step - self._done
        left = sitting / fresh * (self.steps - step) if fresh > 0 else None
        return FineTuneProgress(self.phase, step, self.steps, seconds=self._spent + sitting, seconds_left=left)
