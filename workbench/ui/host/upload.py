"""Files that a visitor uploads: read with the limits of who may come here, and deleted once they are read."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from workbench.errors import BadRequest
from workbench.evals.data.tables import Limits, Table, read_table
from workbench.ui.bench import Bench

Content = TypeVar("Content")

TABLE_ENDINGS = [".csv", ".tsv", ".jsonl"]
_TEXT_NAMES = ("text", "sentence", "content", "message", "sms", "review", "question", "title", "body")
_ROW_NAMES = ("id", "ids", "idx", "index", "row", "no", "nr", "number", "#", "", "unnamed: 0")
"""Of columns that only tell the rows apart."""
_LABEL_NAMES = ("label", "labels", "class", "category", "target", "gold", "sentiment")


def read_upload(bench: Bench, path: str | None, read: Callable[[Path, Limits], Content]) -> Content:
    """What `read` makes of an uploaded file; whether it succeeds or not, the file is deleted.

    Raises:
        BadRequest: there is no file, or `read` refuses it.
    """
    if path is None or not Path(path).is_file():
        raise BadRequest("The file is not here any more. Upload it again.")
    try:
        return read(Path(path), bench.settings.profile.files)
    finally:
        with suppress(OSError):
            os.unlink(path)


def read_uploaded_table(bench: Bench, path: str | None) -> Table:
    """The table of an uploaded CSV, TSV or JSONL file.

    Raises:
        BadRequest: there is no file, it is malformed, or beyond the limits.
    """
    return read_upload(bench, path, read_table)


def likely_columns(table: Table) -> tuple[str, str | None]:
    """The columns that by their names hold the text and the label; the first one and None where no name tells."""
    label = _named(table.columns, _LABEL_NAMES) if len(table.columns) > 1 else None
    others = [column for column in table.columns if column != label]
    telling = [column for column in others if not names_rows(column)]
    return _named(others, _TEXT_NAMES) or (telling or others)[0], label


def names_rows(column: str) -> bool:
    """Whether a column by its name only tells the rows apart."""
    return column.strip().lower() in _ROW_NAMES


def _named(columns: list[str], names: tuple[str, ...]) -> str | None:
    found = [column for name in names for column in columns if column.lower() == name]
    return found[0] if found else None
