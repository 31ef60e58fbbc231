"""Which rows a step of fine-tuning sees, and how far it goes: functions of the seed and the step alone."""

import math
from dataclasses import dataclass

import numpy as np

WARM_UP = 0.06
"""The share of the steps in which the learning rate rises."""
BUCKET_STEPS = 32
"""Rows of so many steps are sorted by length before they are dealt out: less padding, and still a random order."""


def rate(step: int, steps: int, warmup_steps: int, peak: float, final_fraction: float, linear: bool = False) -> float:
    """The learning rate of a step: it rises to the peak, then falls to `final_fraction` of it."""
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = min(1.0, (step - warmup_steps) / max(1, steps - warmup_steps))
    falling = 1 - progress if linear else (1 + math.cos(math.pi * progress)) / 2
    return peak * (final_fraction + (1 - final_fraction) * falling)


@dataclass(frozen=True)
class Batches:
    """Rows in an order that is new each epoch, rows of like length together."""

    lengths: tuple[int, ...]
    """Tokens of each row."""
    step_size: int
    """Rows a step; the last step of an epoch has what is left."""
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Steps until each row was seen once."""
        return math.ceil(len(self.lengths) / self.step_size)

    def epoch(self, epoch: int) -> list[list[int]]:
        """The rows of each step of an epoch, the longest of a step first."""
        random = np.random.default_rng((self.seed, 1, epoch))
        shuffled = random.permutation(len(self.lengths))
        lengths = np.array(self.lengths)
        dealt: list[list[int]] = []
        for start in range(0, len(shuffled), self.step_size * BUCKET_STEPS):
            bucket = shuffled[start : start + self.step_size * BUCKET_STEPS]
            bucket = bucket[np.argsort(-lengths[bucket], kind="stable")]
            dealt += [bucket[at : at + self.step_size].tolist() for at in range(0, len(bucket), self.step_size)]
        return [dealt[place] for place in random.permutation(len(dealt))]
