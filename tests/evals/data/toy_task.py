"""A task of two choices over made-up rows, and the files that hold them."""

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from workbench.evals.data.rows import Row
from workbench.evals.methods.multiple_choice import Choices, MultipleChoice
from workbench.evals.task import Source, Task

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def read(row: Row) -> Choices:
    """The row's goal and its two ways."""
    return Choices(row.text("goal"), (row.text("sol1"), row.text("sol2")), row.gold("label", 0, 1))


def row(number: int, **changes: Any) -> dict[str, Any]:
    """A row, its cells changed."""
    return {"id": f"q{number}", "goal": f"Goal {number}", "sol1": "one", "sol2": "two", "label": number % 2} | changes


ROWS = [row(number) for number in range(6)]
TASK = Task(
    name="toy",
    about="A toy.",
    columns=("goal", "sol1", "sol2", "label"),
    read=read,
    method=MultipleChoice(),
    samples=tuple(ROWS[:3]),
    source=Source("toys/Choices", split="validation", shots_split="train"),
    id_column="id",
)
OWN = dataclasses.replace(TASK, name="own_toy", source=None)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """A file of the rows, of the kind that its ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".csv", ".tsv"):
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]), delimiter="," if path.suffix == ".csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path
