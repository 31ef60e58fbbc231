"""Tables and JSON files that somebody brought, read strictly: what is not plainly right is refused with its place.

Every cell stays the text it is: "NA", "007" and "" are no numbers and no gaps.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import BadRequest
from workbench.evals.data.delimited import rows
from workbench.evals.data.strict_json import JsonReader
from workbench.evals.data.text_file import LOCAL, PUBLIC, Limits, TextFile, open_text, shown

__all__ = ["LOCAL", "PUBLIC", "Limits", "Table", "read_json", "read_records", "read_table"]

_DELIMITERS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True)
class Table:
    """Rows of texts under named columns."""

    columns: list[str]
    rows: list[dict[str, str]]
    lines: list[int]
    """The file's line on which each row begins."""

    def column(self, name: str) -> list[str]:
        """A column's cells.

        Raises:
            BadRequest: there is no such column; the message lists those there are.
        """
        if name not in self.columns:
            there = ", ".join(repr(column) for column in self.columns)
            raise BadRequest(f"The table has no column {name!r}. It has {there}.")
        return [row[name] for row in self.rows]


def read_table(path: Path | str, limits: Limits) -> Table:
    """The table of a .csv, .tsv or .jsonl file; each has at least one row.

    A line of JSON is one flat object with the names of the first; its numbers, true and false are kept as they are
    written, and null is the empty text.

    Raises:
        BadRequest: malformed or beyond the limits; the message has the line, the column and what stands there.
    """
    path = Path(path)
    file = open_text(path, limits)
    suffix = path.suffix.lower()
    if suffix in _DELIMITERS:
        table = _delimited_table(file, _DELIMITERS[suffix])
    elif suffix == ".jsonl":
        table = _json_table(file)
    else:
        raise BadRequest(
            f"{shown(path.name)}: the ending {shown(suffix) or '(none)'} says nothing of a table. "
            "Name the file .csv (comma), .tsv (tab) or .jsonl (an object a line)."
        )
    if not table.rows:
        raise BadRequest(f"{shown(path.name)} has column names, but no rows.")
    return table


def read_json(path: Path | str, limits: Limits) -> Any:
    """The value of a .json file.

    Raises:
        BadRequest: malformed or beyond the limits; the message has the line, the column and what stands there.
    """
    path = Path(path)
    if path.suffix.lower() != ".json":
        raise BadRequest(f"{shown(path.name)} must be named .json.")
    return JsonReader(open_text(path, limits)).whole()


def read_records(path: Path | str, limits: Limits) -> list[tuple[int, dict[str, Any]]]:
    """The objects of a .jsonl file, each with its line; unlike a table's rows they may nest and differ.

    Raises:
        BadRequest: malformed or beyond the limits; the message has the line, the column and what stands there.
    """
    path = Path(path)
    if path.suffix.lower() != ".jsonl":
        raise BadRequest(f"{shown(path.name)} must be named .jsonl.")
    file = open_text(path, limits)
    return [(line, record) for line, _, record in _objects(file, as_written=False)]


def _delimited_table(file: TextFile, delimiter: str) -> Table:
    columns: list[str] = []
    table = Table(columns, [], [])
    line, counted = 1, 0
    for start, cells in rows(file, delimiter):
        line, counted = line + file.lines(counted, start), start
        if not columns:
            columns += _names(file, start, cells)
            continue
        _check_rows(file, start, len(table.rows))
        table.rows.append(dict(zip(columns, cells, strict=True)))
        table.lines.append(line)
    return table


def _json_table(file: TextFile) -> Table:
    columns: list[str] = []
    table = Table(columns, [], [])
    for line, start, record in _objects(file, as_written=True):
        row = dict(zip(_names(file, start, list(record)), record.values(), strict=True))
        columns = columns or list(row)
        for name in columns:
            if name not in row:
                raise file.refused(start, f"the object lacks '{shown(name)}', which the first one has")
        for name, value in row.items():
            if name not in columns:
                raise file.refused(start, f"the first object has no '{shown(name)}'")
            if not isinstance(value, str):
                kind = "a list" if isinstance(value, list) else "an object"
                raise file.refused(start, f"the value of '{shown(name)}' is {kind}; a table's cell is one text")
        table.rows.append({name: row[name] for name in columns})
        table.lines.append(line)
    return Table(columns, table.rows, table.lines)


def _objects(file: TextFile, as_written: bool) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Line, place and content of each line that is not blank."""
    reader = JsonReader(file, as_written, lines=True)
    start, line, count = 0, 0, 0
    while start < len(file.text):
        end = file.text.find("\n", start)
        end = len(file.text) if end < 0 else end
        line += 1
        if file.text[start:end].strip(" \t\r"):
            file.check_time(start)
            _check_rows(file, start, count)
            record = reader.whole(start)
            if not isinstance(record, dict):
                raise file.refused(start, "each line must hold one object, in braces")
            count += 1
            yield line, start, record
        start = end + 1


def _names(file: TextFile, position: int, cells: list[str]) -> list[str]:
    """Column names without the spaces around them."""
    names = [cell.strip() for cell in cells]
    if not names:
        raise file.refused(position, "the object is empty, so the table has no column")
    if "" in names:
        raise file.refused(position, f"column {names.index('') + 1} has no name")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise file.refused(position, f"two columns are named '{shown(twice)}'")
    return names


def _check_rows(file: TextFile, position: int, count: int) -> None:
    if count >= file.limits.rows:
        raise file.refused(position, f"more than {file.limits.rows:,} rows. Split the file")
