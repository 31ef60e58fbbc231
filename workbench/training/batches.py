"""Which tokens a training step sees: a function of seed and step alone, the same before and after a stop."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workbench.errors import BadRequest


@dataclass(frozen=True)
class Windows:
    """Windows of consecutive tokens, shuffled anew each epoch and shifted by a random offset.

    Raises:
        BadRequest: fewer tokens than one batch needs.
    """

    tokens: np.ndarray
    """(N,) the whole training text as token ids."""
    context: int
    """T: tokens a window; one more is read for the last target."""
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        needed = self.context * (self.batch_size + 1) + 1
        if len(self.tokens) < needed:
            raise BadRequest(
                f"The training text has {len(self.tokens):,} tokens; one batch of {self.batch_size} windows of "
                f"{self.context} needs at least {needed:,}. Give more text, or a smaller batch or context."
            )

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one pass over the text."""
        return (len(self.tokens) - self.context - 1) // self.context // self.batch_size

    def batch(self, step: int) -> Tensor:
        """The token ids of a step, (B, T + 1): inputs are all but the last, targets all but the first."""
        epoch, within = divmod(step, self.steps_per_epoch)
        random = np.random.default_rng((self.seed, epoch))
        shift = int(random.integers(self.context))
        order = random.permutation((len(self.tokens) - shift - 1) // self.context)
        chosen = order[within * self.batch_size : (within + 1) * self.batch_size]
        starts = chosen * self.context + shift
        rows = [self.tokens[start : start + self.context + 1] for start in starts]
        return torch.from_numpy(np.stack(rows).astype(np.int64))
