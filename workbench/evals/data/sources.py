"""Where a task's rows come from: the Hub, a file or folder in its place, the project, or a task's made-up samples."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from workbench.errors import BadRequest
from workbench.evals.data.hub_data import HubData, LaterRows
from workbench.evals.data.local_data import ENDINGS, read_local
from workbench.evals.data.rows import Data, Row, listed
from workbench.evals.data.text_file import Limits
from workbench.evals.task import Source, Task

SHOT_POOL = 10_000
"""Of the Hub, worked examples are drawn from so many rows at the beginning of their split."""


def load_data(task: Task[Any], data: Path | Literal["samples"] | None, limit: int | None, limits: Limits) -> Data:
    """The rows for a task, each of them read once already, so that what is wrong with the data shows before any work.

    Args:
        data: a file or a folder with the columns of the task's data set; "samples": the task's own; None: the Hub, or
            the samples of a task whose data set they are.
        limit: at most so many rows; None: all.
        limits: of a file.

    Raises:
        BadRequest: the data can't be had, or a row is not what the task needs; the message has its place.
    """
    if limit is not None and limit < 1:
        raise BadRequest(f"limit must be at least 1; got {limit}.")
    if data == "samples" or (data is None and task.complete):
        found = _samples(task)
    elif data is not None:
        found = _local(task, data, limits)
    elif task.source is None:
        raise BadRequest(
            f"{task.name} reads a file of yours: give one with --data {task.name}=FILE ({', '.join(ENDINGS)}) whose "
            f"columns are {', '.join(task.columns)}."
        )
    else:
        found = _hub(task, task.source, limit)
    check_rows(task, found.rows)
    rows = found.rows[:limit]
    return Data(rows, found.shot_rows, {**found.origin, "rows": len(rows)})


def check_rows(task: Task[Any], rows: Sequence[Row]) -> None:
    """Reads every row as the task does, and sees to it that no two have the same id.

    Raises:
        BadRequest: no row, a missing column, a cell that is not what the task needs, or an id that comes twice.
    """
    if not rows:
        raise BadRequest(f"{task.name}: the data hold no row.")
    missing = [column for column in task.columns if column not in rows[0].values]
    if missing:
        raise BadRequest(
            f"{rows[0].place or 'The data'}: {task.name} needs the columns {', '.join(task.columns)}; "
            f"{', '.join(missing)} can't be found among {listed(rows[0].values)}."
        )
    seen: dict[str, Row] = {}
    for row in rows:
        _read(task, row)
        first = seen.setdefault(row.identity(task.id_column), row)
        if first is not row:
            raise row.refused(task.id_column or "", f"came before, at {first.place or f'row {first.index}'}")


def _read(task: Task[Any], row: Row) -> None:
    """Raises BadRequest, which names the row, where the task can't read it."""
    place = row.place or f"Row {row.index}"
    try:
        task.read(row)
    except BadRequest as error:
        raise error if place in str(error) else BadRequest(f"{place}: {error}") from error


def _samples(task: Task[Any]) -> Data:
    rows = tuple(Row(values, index, f"{task.name}'s sample {index}") for index, values in enumerate(task.samples))
    content = json.dumps(task.samples, sort_keys=True).encode()
    origin = "project" if task.complete else "samples"
    return Data(rows, rows, _origin(origin, sha256=hashlib.sha256(content).hexdigest()))


def _local(task: Task[Any], path: Path, limits: Limits) -> Data:
    source = task.source or Source("", "test")
    found = read_local(path, source.split, source.shots_split or source.split, source.name, limits)
    return Data(found.rows, found.shot_rows, _origin("file", path=path.name, sha256=found.sha256))


def _origin(
    origin: str,
    path: str | None = None,
    name: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    sha256: str | None = None,
) -> dict[str, Any]:
    return {"origin": origin, "path": path, "name": name, "split": split, "revision": revision, "sha256": sha256}


def _hub(task: Task[Any], source: Source, limit: int | None) -> Data:
    columns = ", ".join(task.columns)
    hub = HubData(
        source,
        f"or give a file with the columns {columns} in its place: “My own file” on the page, --data {task.name}=FILE "
        "in a command",
    )
    rows = hub.rows(source.split, limit)
    shot_rows = LaterRows(lambda: hub.rows(source.shots_split or source.split, SHOT_POOL))
    return Data(rows, shot_rows, _origin("hub", source.path, source.name, source.split, hub.revision))
