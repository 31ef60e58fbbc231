"""The rows of a benchmark, as its source gave them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.evals.rows import Row


@dataclass(frozen=True)
class Data:
    """What a task is asked about, and where it came from."""

    rows: Sequence[Row]
    shot_rows: Sequence[Row] = ()
    """Where worked examples are drawn from; of the Hub they are fetched when the first is looked at."""
    origin: Mapping[str, Any] = field(default_factory=dict)
    """origin ("hub", "file" or "samples"), path, name, split, revision, sha256, rows: what names the data in a run."""
