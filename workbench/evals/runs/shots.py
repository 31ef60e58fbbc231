"""Worked examples: drawn once by a seed, the same before every example, and never the example that is asked."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from workbench.errors import BadRequest
from workbench.evals.data.rows import Row
from workbench.evals.runs.protocol import content_digest, digest_of

MOST_SHOTS = 1000
_RESERVES = 8
"""Drawn beyond those wanted, to step in where a worked example is the one that is asked."""
Example = TypeVar("Example")


@dataclass(frozen=True)
class Shots(Generic[Example]):
    """The worked examples of a run."""

    seed: int
    count: int = 0
    rows: tuple[Row, ...] = ()
    """Those that stand before the examples, then the reserves."""
    examples: tuple[Example, ...] = ()
    """The same, read."""
    digests: tuple[str, ...] = ()
    """The same, of their content."""

    def before(self, row: Row, digest: str) -> tuple[Example, ...]:
        """The worked examples for one row: the same for all, unless one of them is this very example.

        Raises:
            BadRequest: so many rows are the same that none is left to step in.
        """
        if digest not in self.digests:
            return self.examples[: self.count]
        others = [example for shot, example in zip(self.digests, self.examples, strict=True) if shot != digest]
        if len(others) < self.count:
            raise BadRequest(
                f"{row.place or f'Row {row.index}'}: only {len(others)} of the {len(self.rows)} rows drawn as worked "
                f"examples differ from this one, and {self.count} are asked for. Ask for fewer shots."
            )
        return tuple(others[: self.count])

    @property
    def record(self) -> dict[str, Any]:
        """For the protocol: count, seed, the rows drawn and those in reserve, and a digest of all their content."""
        if not self.count:
            return {"count": 0, "seed": self.seed, "rows": [], "reserves": [], "sha256": None}
        drawn = [row.index for row in self.rows]
        return {
            "count": self.count,
            "seed": self.seed,
            "rows": drawn[: self.count],
            "reserves": drawn[self.count :],
            "sha256": digest_of(list(self.digests)),
        }


def draw_shots(rows: Sequence[Row], count: int, seed: int, read: Callable[[Row], Example]) -> Shots[Example]:
    """So many rows, drawn without putting back.

    Raises:
        BadRequest: there are fewer, or one of those drawn can't be read.
    """
    if not count:
        return Shots(seed)
    if count > len(rows):
        there = f"there are {len(rows):,} rows to draw them from" if rows else "the task has no rows to draw them from"
        raise BadRequest(f"{count:,} worked examples are asked for, and {there}. Ask for fewer shots.")
    # A sample's beginning depends on its size, so the size is the same whoever is asked about.
    places = random.Random(seed).sample(range(len(rows)), min(len(rows), count + _RESERVES))
    drawn = tuple(rows[place] for place in places)
    examples = tuple(read(row) for row in drawn)
    return Shots(seed, count, drawn, examples, tuple(map(content_digest, examples)))
