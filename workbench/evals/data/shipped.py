"""Rows that come with the project, for tasks whose data set is of its own writing."""

from pathlib import Path
from typing import Any

from workbench.evals.data.tables import LOCAL, read_records


def shipped_rows(task_file: str) -> tuple[dict[str, Any], ...]:
    """The rows of rows/NAME.jsonl, beside the file NAME.py of a task.

    Raises:
        BadRequest: there is no such file, or it can't be read; the message names it.
    """
    path = Path(task_file)
    return tuple(row for _, row in read_records(path.parent / "rows" / f"{path.stem}.jsonl", LOCAL))
