"""Rows of a file, or of a folder of files named by split, that stand in place of a data set of the Hub."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import BadRequest
from workbench.evals.data.parquet_files import read_parquet
from workbench.evals.data.rows import Row
from workbench.evals.data.squad_files import json_entries
from workbench.evals.data.tables import read_records, read_table
from workbench.evals.data.text_file import Limits, shown

ENDINGS = (".jsonl", ".csv", ".tsv", ".parquet", ".json")
_SPLITS = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation"}
_SPLITS |= {"dev": "validation", "test": "test"}
_PIECES = 1 << 20


@dataclass(frozen=True)
class LocalData:
    """What was found."""

    rows: tuple[Row, ...]
    shot_rows: tuple[Row, ...]
    """Of the folder's files for worked examples; else the rows themselves."""
    sha256: str
    """Of the rows' file; of several, of their own digests one after another."""


def read_local(path: Path, split: str, shots_split: str, config: str | None, limits: Limits) -> LocalData:
    """The rows of a file; or of a folder, those of the files that are named after the split.

    A folder may keep its files in a folder named after the data set's configuration, or in one named data.

    Raises:
        BadRequest: no such file, no file of the split, no row, or a file that can't be read.
    """
    try:
        is_folder, is_there = path.is_dir(), path.exists()
    except OSError as error:  # a name too long, or a folder that may not be looked into
        raise BadRequest(f"{shown(str(path))} can't be opened: {error.strerror}.") from error
    if not is_there:
        raise BadRequest(f"There is no file or folder {shown(str(path))}.")
    if not is_folder:
        rows = _rows([path], limits)
        return LocalData(rows, rows, _sha256([path]))
    by_split = _files(path, config)
    files = by_split.get(split) or (next(iter(by_split.values())) if len(by_split) == 1 else [])
    if not files:
        there = ", ".join(sorted(by_split)) or "none"
        raise BadRequest(
            f"{shown(path.name)}: the folder has no file of the split {split}; it has files of these: {there}. Name a "
            f"file {split}.jsonl (or {', '.join(ENDINGS[1:])})."
        )
    rows = _rows(files, limits)
    other = by_split.get(shots_split)
    return LocalData(rows, rows if other is None or other == files else _rows(other, limits), _sha256(files))


def _files(folder: Path, config: str | None) -> dict[str, list[Path]]:
    """The data files of a folder by split, in their names' order; a file that names no split has its own name's."""
    places = [folder / name for name in (config, "data") if name is not None] + [folder]
    for place in places:
        found: dict[str, list[Path]] = {}
        if place.is_dir():
            for file in sorted(place.iterdir()):
                if file.is_file() and file.suffix.lower() in ENDINGS:
                    found.setdefault(_split_of(file.stem), []).append(file)
        if found:
            return found
    raise BadRequest(f"{shown(folder.name)}: the folder holds no data file. Taken are {', '.join(ENDINGS)}.")


def _split_of(stem: str) -> str:
    words = re.split(r"[^a-z0-9]+", stem.lower())
    return next((_SPLITS[word] for word in words if word in _SPLITS), stem)


def _rows(files: Sequence[Path], limits: Limits) -> tuple[Row, ...]:
    found = [one for file in files for one in _placed(file, limits)]
    if len(found) > limits.rows:
        raise BadRequest(f"{shown(files[0].name)}: more than {limits.rows:,} rows. Split the file.")
    if not found:
        raise BadRequest(f"{shown(files[0].name)} holds no row.")
    return tuple(Row(values, index, place) for index, (place, values) in enumerate(found))


def _placed(file: Path, limits: Limits) -> list[tuple[str, Mapping[str, Any]]]:
    """Each row of a file with its place in words."""
    suffix, name = file.suffix.lower(), shown(file.name)
    if suffix == ".jsonl":
        return [(f"{name}, line {line}", record) for line, record in read_records(file, limits)]
    if suffix in (".csv", ".tsv"):
        table = read_table(file, limits)
        return [(f"{name}, line {line}", row) for line, row in zip(table.lines, table.rows, strict=True)]
    if suffix == ".json":
        return [(f"{name}, {place}", entry) for place, entry in json_entries(file, limits)]
    if suffix == ".parquet":
        return [(f"{name}, row {number}", row) for number, row in enumerate(read_parquet(file, limits))]
    raise BadRequest(
        f"{name}: the ending {shown(suffix) or '(none)'} says nothing of rows. Taken are {', '.join(ENDINGS)}."
    )


def _sha256(files: Sequence[Path]) -> str:
    digests = []
    for file in files:
        digest = hashlib.sha256()
        with file.open("rb") as stream:
            while piece := stream.read(_PIECES):
                digest.update(piece)
        digests.append(digest.hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
