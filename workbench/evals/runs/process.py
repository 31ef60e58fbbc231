"""Which of several processes this one is, where `torchrun` or `accelerate launch` started them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from workbench.errors import BadRequest

Item = TypeVar("Item")


@dataclass(frozen=True)
class Process:
    """One process of `count` that share a run."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    """Among those on the same machine: which of its GPUs is this one's."""

    @property
    def is_first(self) -> bool:
        """Whether it is the one that merges and tells people."""
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> list[Item]:
        """This process's items: every `count`-th, so that each gets its part of the long and of the short ones."""
        return list(items[self.rank :: self.count])


def this_process(environment: Mapping[str, str] = os.environ) -> Process:
    """The process that RANK, WORLD_SIZE and LOCAL_RANK name; alone without them.

    Raises:
        BadRequest: they are no whole numbers that fit together.
    """
    rank, count = environment.get("RANK") or "0", environment.get("WORLD_SIZE") or "1"
    local_rank = environment.get("LOCAL_RANK") or "0"
    numbers = [int(text) if text.isascii() and text.isdigit() else -1 for text in (rank, count, local_rank)]
    if min(numbers) < 0 or max(numbers[0], numbers[2]) >= numbers[1]:
        raise BadRequest(
            f"RANK is {rank!r}, WORLD_SIZE is {count!r} and LOCAL_RANK is {local_rank!r}; the ranks must be whole "
            "numbers below the size, as torchrun sets them. Unset them to work alone."
        )
    return Process(*numbers)
