"""Predictions as tables to look at and as files to take away.

A spreadsheet runs a cell that begins like a formula, so in CSV such a cell gets a leading apostrophe; the JSON lines
hold every text as it is. File names are ours, never the user's.
"""

import csv
import json
import math
import os
import re
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import Field, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pandas as pd

from workbench.errors import BadRequest, NotSaved
from workbench.json_values import json_value

CSV_NAME, JSONL_NAME = "predictions.csv", "predictions.jsonl"
_FORMULA_STARTS = frozenset("=+-@|%") | frozenset(
    "\uff1d\uff0b\uff0d\uff20\uff5c\uff05\ufe66\ufe62\ufe63\ufe6b\ufe6a\u2212"
)
"""What begins a formula, a command or a macro; the full-width and small forms, which some programs convert."""
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_UNSEEN = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
"""Unicode categories of characters that a program may skip: controls, the byte order mark, spaces."""


class Prediction(Protocol):
    """A dataclass of any method: plain values, texts, and mappings from labels to numbers."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


def frame(predictions: Sequence[Prediction]) -> pd.DataFrame:
    """A row each: a mapping's entries become columns of their own, other nested values JSON; all-empty columns go."""
    rows = [_flat(one) for one in predictions]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return pd.DataFrame(rows, columns=columns, dtype=object).dropna(axis="columns", how="all")


def write_predictions(predictions: Sequence[Prediction], folder: Path) -> tuple[Path, Path]:
    """Writes both files into a folder, which is made if need be; gives the paths of the CSV and the JSON lines.

    Each file is written whole or not at all: until it is, an earlier one stays as it was.

    Raises:
        BadRequest: the folder can't be made or written to.
    """
    prepare_folder(folder)
    table, lines = folder / CSV_NAME, folder / JSONL_NAME
    with written_whole(table) as part:
        write_csv(frame(predictions), part)
    with (
        written_whole(lines) as part,
        part.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream,
    ):
        # What UTF-8 can't hold, half of a surrogate pair, becomes the escape that JSON has for it.
        for one in predictions:
            stream.write(json.dumps(json_value(asdict(one)), ensure_ascii=False) + "\n")
    return table, lines


def prepare_folder(folder: Path) -> None:
    """Makes a folder for predictions, to be called before they are computed.

    Raises:
        BadRequest: it can't be made, or nothing can be written to it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # permissions alone do not tell whether a file can be made
            pass
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BadRequest(f"Predictions can't be written to {folder}: {reason}. Choose another folder.") from error


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A file beside the path, which takes its place at the end, or goes if writing fails.

    Raises:
        NotSaved: the disk is full, or the folder can't be written; an earlier file stays as it was.
    """
    part = path.with_name(path.name + ".part")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        raise NotSaved(
            f"{path} can't be written ({error.strerror or error}). Make room, or choose another folder."
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Writes a table with every cell quoted and none that a spreadsheet would run, column names included."""
    # Cells are kept as objects: pandas would make 10.0 of a 10 above an empty cell.
    cells = [[safe_cell(cell) for cell in row] for row in table.astype(object).itertuples(index=False, name=None)]
    harmless = pd.DataFrame(cells, columns=[safe_cell(str(name)) for name in table.columns], dtype=object)
    harmless.to_csv(path, index=False, quoting=csv.QUOTE_ALL, encoding="utf-8")


def safe_cell(value: Any) -> Any:
    """The value, or a text with a leading apostrophe where it begins like a formula and is no finite number."""
    if not isinstance(value, str):
        return value
    start = next((place for place, one in enumerate(value) if unicodedata.category(one) not in _UNSEEN), len(value))
    if value[start : start + 1] not in _FORMULA_STARTS or _is_number(value.strip()):
        return value
    return "'" + value


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None and math.isfinite(float(text))


def _flat(prediction: Prediction) -> dict[str, Any]:
    """The cells of one row."""
    row: dict[str, Any] = {}
    for field in fields(prediction):
        value = getattr(prediction, field.name)
        if isinstance(value, dict):
            row.update({f"{field.name}.{key}": _cell(entry) for key, entry in value.items()})
        else:
            row[field.name] = _cell(value)
    return {_encodable(name): value for name, value in row.items()}


def _cell(value: Any) -> str | int | float | None:
    """A plain value as it is, text that UTF-8 can hold, and JSON of anything else."""
    if value is None or isinstance(value, (int, float)):
        return value
    return _encodable(value if isinstance(value, str) else json.dumps(_plain(value), ensure_ascii=False))


def _plain(value: Any) -> Any:
    """Dataclasses as mappings, however deep."""
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return json_value(asdict(value) if is_dataclass(value) and not isinstance(value, type) else value)


def _encodable(text: str) -> str:
    """The text, with half of a surrogate pair, which UTF-8 can't hold, written as its escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
