"""Parquet files that somebody brought: bounded by what they hold, not by how small they are packed."""

from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from workbench.errors import BadRequest
from workbench.evals.data.text_file import Limits, shown

BATCH_ROWS = 64


def read_parquet(path: Path, limits: Limits) -> list[dict[str, Any]]:
    """All rows of a Parquet file.

    Raises:
        BadRequest: no Parquet, broken, or beyond the limits.
    """
    name, rows = shown(path.name), list[dict[str, Any]]()
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            _check(file.metadata, name, limits)
            unpacked = 0
            # In small pieces, since a text that is written once may stand in every row.
            for batch in file.iter_batches(BATCH_ROWS):
                unpacked += batch.nbytes
                if unpacked > limits.bytes:
                    raise BadRequest(f"{name} unpacks to more than {limits.bytes:,} bytes. Split the file.")
                rows += batch.to_pylist()
    except (OSError, ValueError, NotImplementedError, pyarrow.ArrowException) as error:
        raise BadRequest(f"{name} can't be read as Parquet: {shown(str(error))}") from error
    for number, row in enumerate(rows):
        for column, cell in row.items():
            if isinstance(cell, str) and len(cell) > limits.cell_characters:
                reason = f"a text of {len(cell):,} characters; at most {limits.cell_characters:,} are taken"
                raise BadRequest(f"{name}, row {number}, {shown(column)}: {reason}.")
    return rows


def _check(metadata: pyarrow.parquet.FileMetaData, name: str, limits: Limits) -> None:
    """Refuses by its table of contents what would unpack to too much."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    if metadata.num_rows > limits.rows:
        raise BadRequest(f"{name} has {metadata.num_rows:,} rows; at most {limits.rows:,} are taken. Split the file.")
    if metadata.num_columns > limits.columns:
        raise BadRequest(f"{name} has {metadata.num_columns:,} columns; at most {limits.columns} are taken.")
    unpacked = sum(group.total_byte_size for group in groups)
    if unpacked > limits.bytes:
        raise BadRequest(f"{name} unpacks to {unpacked:,} bytes; at most {limits.bytes:,} are taken. Split the file.")
    values = sum(group.column(index).num_values for group in groups for index in range(group.num_columns))
    if values > 2 * limits.rows * limits.columns:
        raise BadRequest(f"{name} holds {values:,} values, those in lists counted; that is more than is taken.")
