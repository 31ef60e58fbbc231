"""Rows of a data set, whose cells are read strictly: what is not plainly right is refused with its place."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import BadRequest

SHOWN_CHARACTERS = 80
SHOWN_COLUMNS = 20
_SURROGATE = re.compile("[\ud800-\udfff]")
_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,20}\s*")


@dataclass(frozen=True)
class Row:
    """One row, with accessors that name row and column where a cell is not what a task needs."""

    values: Mapping[str, Any]
    index: int = 0
    """In the data, counted from 0."""
    place: str = ""
    """How a person finds it: "valid.jsonl, line 12"; empty: by its index."""

    def value(self, name: str) -> Any:
        """A cell as it is.

        Raises:
            BadRequest: there is no such column; the message lists those there are.
        """
        if name not in self.values:
            raise BadRequest(f"{self._where}: there is no column {name!r}; there are {listed(self.values)}.")
        return self.values[name]

    def text(self, name: str, empty: bool = False) -> str:
        """A cell's text.

        Raises:
            BadRequest: no text, or an empty one where `empty` does not allow it.
        """
        value = self.value(name)
        if not _is_text(value):
            raise self.refused(name, "must be a text")
        if not empty and not value.strip():
            raise self.refused(name, "is empty")
        return value

    def whole(self, name: str, low: int, high: int) -> int:
        """A whole number from low to high; its text will do.

        Raises:
            BadRequest: anything else.
        """
        value = self.value(name)
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value)
        if isinstance(value, float) and math.isfinite(value) and value == int(value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.refused(name, f"must be a whole number from {low} to {high}")
        return value

    def texts(self, name: str, least: int = 1) -> tuple[str, ...]:
        """A list of texts, at least so many; a JSON list as text will do, as CSV has it.

        Raises:
            BadRequest: anything else.
        """
        return self._texts(name, self.parsed(name), least)

    def lists(self, name: str, *members: str) -> tuple[tuple[str, ...], ...]:
        """The lists of texts, equally long, that an object has under these names; its JSON as text will do.

        Raises:
            BadRequest: anything else.
        """
        value = self.parsed(name)
        if not isinstance(value, Mapping) or any(member not in value for member in members):
            raise self.refused(name, f"must be an object with {' and '.join(members)}")
        found = tuple(self._texts(name, value[member], 1) for member in members)
        if len({len(one) for one in found}) > 1:
            raise self.refused(name, f"must have as many {' as '.join(members)}")
        return found

    def parsed(self, name: str) -> Any:
        """A cell, or the list or object that its text holds as JSON, as CSV has it.

        Raises:
            BadRequest: no such column, or no JSON.
        """
        value = self.value(name)
        if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
            try:
                return json.loads(value)
            except (ValueError, RecursionError) as error:
                reason = 'begins like a JSON list or object and is none; a list is written ["a", "b"]'
                raise self.refused(name, reason) from error
        return value

    def gold(self, name: str, low: int, high: int) -> int:
        """The number of the right answer, from low to high.

        Raises:
            BadRequest: none is given, or it is out of range.
        """
        if self.value(name) in (None, "", -1, "-1"):
            raise self.refused(name, "has no right answer, without which nothing can be measured")
        return self.whole(name, low, high)

    def one_of(self, name: str, options: Sequence[str]) -> int:
        """Which of the options a cell is, counted from 0; spaces around it do not matter.

        Raises:
            BadRequest: none of them.
        """
        value = self.value(name)
        text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else None
        if text is None or text not in options:
            raise self.refused(name, f"must be one of {', '.join(options)}")
        return options.index(text)

    def identity(self, column: str | None) -> str:
        """The example's name: what stands in this column, or else the row's number."""
        value = self.values.get(column) if column is not None else None
        return str(self.index) if value is None or value == "" else str(value)

    def refused(self, name: str, why: str) -> BadRequest:
        """The error that says which cell can't be used, and what stands there."""
        shown = ascii(self.values.get(name))[:SHOWN_CHARACTERS]
        return BadRequest(f"{self._where}: {name} {why}; it is {shown}.")

    def _texts(self, name: str, value: Any, least: int) -> tuple[str, ...]:
        if not isinstance(value, (list, tuple)) or not all(map(_is_text, value)):
            raise self.refused(name, "must be a list of texts")
        if len(value) < least:
            raise self.refused(name, f"must have at least {least} entries")
        return tuple(value)

    @property
    def _where(self) -> str:
        return self.place or f"Row {self.index}"


def listed(columns: Iterable[str]) -> str:
    """Names of columns, fit for a message: the first 20, and each cut to 40 characters."""
    names = [ascii(column)[: SHOWN_CHARACTERS // 2] for column in columns]
    more = f" and {len(names) - SHOWN_COLUMNS} more" if len(names) > SHOWN_COLUMNS else ""
    return ", ".join(names[:SHOWN_COLUMNS]) + more


def _is_text(value: object) -> bool:
    """Half of a surrogate pair, which JSON's escapes can bring, is no text that UTF-8 could hold."""
    return isinstance(value, str) and not _SURROGATE.search(value)


@dataclass(frozen=True)
class Data:
    """What a task is asked about, and where it came from."""

    rows: Sequence[Row]
    shot_rows: Sequence[Row] = ()
    """Where worked examples are drawn from; of the Hub they are fetched when the first is looked at."""
    origin: Mapping[str, Any] = field(default_factory=dict)
    """origin ("hub", "file", "project" or "samples"), path, name, split, revision, sha256, rows: what names the data in
    a run."""
