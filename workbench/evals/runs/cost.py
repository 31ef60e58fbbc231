"""What a run took: a sitting for each time that somebody worked on it. Unlike results, it is another one every time."""

import json
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from workbench.errors import NotSaved
from workbench.evals.runs.files import COST_FILE, json_bytes, write_whole

SAVED_EVERY_SECONDS = 3.0


@dataclass(frozen=True)
class Sitting:
    """From a start to a stop, a crash or the end."""

    began: str
    """The day and time, UTC."""
    seconds: float = 0.0
    examples: int = 0
    """That were computed."""
    tokens: int = 0
    """Of their answers."""
    process: int = 0
    """Its rank, where several share a run."""


@dataclass(frozen=True)
class Cost:
    """All sittings of a run."""

    sittings: tuple[Sitting, ...] = ()
    model_bytes: int = 0
    """Of the model's weights."""

    @property
    def seconds(self) -> float:
        """Of all sittings, one after another; of several processes, which work at the same time, the longest."""
        ranks = {sitting.process for sitting in self.sittings}
        return max((sum(one.seconds for one in self.sittings if one.process == rank) for rank in ranks), default=0.0)

    @property
    def examples(self) -> int:
        """That were computed, those computed again included."""
        return sum(sitting.examples for sitting in self.sittings)

    @property
    def tokens(self) -> int:
        """Of all answers."""
        return sum(sitting.tokens for sitting in self.sittings)

    @property
    def began(self) -> str:
        """The first sitting's start; empty without any."""
        return min((sitting.began for sitting in self.sittings), default="")


def cost_name(rank: int = 0) -> str:
    """The file in which a process keeps its sittings."""
    return COST_FILE if rank == 0 else f"cost.{rank}.json"


def read_cost(folder: Path, name: str = COST_FILE) -> Cost:
    """The cost in a folder; an empty one where none can be read: no result depends on it."""
    try:
        record = json.loads((folder / name).read_bytes())
        return Cost(tuple(Sitting(**sitting) for sitting in record["sittings"]), int(record["model_bytes"]))
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return Cost()


def write_cost(folder: Path, cost: Cost, name: str = COST_FILE) -> None:
    """Puts a cost in the place of the earlier one.

    Raises:
        NotSaved: the disk is full, or the folder can't be written.
    """
    write_whole(folder / name, [json_bytes(asdict(cost))])


@dataclass
class SittingClock:
    """This sitting, saved at its first example and every few seconds, so that a kill loses little of it."""

    folder: Path
    rank: int
    model_bytes: int
    examples: int = 0
    tokens: int = 0
    _earlier: Cost = field(init=False)
    _start: float = field(default_factory=time.monotonic)
    _began: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    _saved: float = -math.inf

    def __post_init__(self) -> None:
        self._earlier = read_cost(self.folder, cost_name(self.rank))

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._start

    def count(self, tokens: int) -> None:
        """One more example."""
        self.examples += 1
        self.tokens += tokens
        if time.monotonic() - self._saved > SAVED_EVERY_SECONDS:
            self.save()

    def save(self) -> None:
        """Writes all sittings so far, where there is room: no result depends on it."""
        self._saved = time.monotonic()
        now = Sitting(self._began, round(self.seconds, 3), self.examples, self.tokens, self.rank)
        with suppress(NotSaved):
            write_cost(self.folder, Cost((*self._earlier.sittings, now), self.model_bytes), cost_name(self.rank))


def merged(costs: Sequence[Cost]) -> Cost:
    """The cost of all processes."""
    sittings = tuple(sitting for cost in costs for sitting in cost.sittings)
    return Cost(sittings, max((cost.model_bytes for cost in costs), default=0))
