"""The safetensors format: a JSON header and raw tensors, read strictly and without mapping the file.

Mapped pages count as resident memory until the kernel takes them back, so tensors are read into fresh memory:
what a load costs is then what the model weighs. Layout: https://github.com/huggingface/safetensors
"""

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch

from workbench.errors import BadCheckpoint
from workbench.loading.checkpoint import (
    DOWNLOAD_AGAIN,
    Format,
    TensorInfo,
    parse_json,
    refuse_foreign,
    rows_a_piece,
    shard_paths,
)

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
HEADER_BYTES = 100_000_000
"""The longest header, the published reader's own bound."""
LARGEST_SIZE = 2**48


@dataclass(frozen=True)
class Extent:
    """Where a tensor's bytes lie: from `begin` up to `end`, in bytes from the start of the file."""

    path: Path
    begin: int
    end: int
    stamp: tuple[int, ...]
    """Of the file when its header was read: another one means that it was changed since."""


class SafetensorsCheckpoint:
    """One safetensors file, or several named by an index."""

    def __init__(self, path: Path):
        self.tensors: Mapping[str, TensorInfo]
        self._extents: dict[str, Extent]
        if path.name.endswith(".index.json"):
            self.tensors, self._extents = _read_shards(path)
        else:
            self.tensors, self._extents = read_header(path)

    def pieces(self, name: str, rows: range | None = None, into: torch.Tensor | None = None) -> Iterator[torch.Tensor]:
        """The tensor's values in order, flat, whole rows at a time; each piece is valid until the next one."""
        info, extent = self.tensors[name], self._extents[name]
        if info.bytes == 0:
            return
        count = info.shape[0] if info.shape else 1
        rows = range(count) if rows is None else rows
        row_bytes, step = info.bytes // count, rows_a_piece(info.shape, info.dtype.itemsize)
        whole = None if into is None else into.view(torch.uint8)
        buffer = torch.empty(min(step, len(rows)) * row_bytes if whole is None else 0, dtype=torch.uint8)
        try:
            with extent.path.open("rb", buffering=0) as file:
                if _stamp(file) != extent.stamp:
                    raise BadCheckpoint(info.file, "it was changed while it was read", "Load it again.")
                file.seek(extent.begin + rows.start * row_bytes)
                for start in range(rows.start, rows.stop, step):
                    stop = min(rows.stop, start + step)
                    end = (stop - start) * row_bytes
                    part = buffer[:end] if whole is None else whole[start * row_bytes :][:end]
                    _fill(file, part, info)
                    yield part.view(info.dtype)
        except OSError as error:
            reason = f"{name!r} can't be read any more ({error.strerror or error})"
            raise BadCheckpoint(info.file, reason) from error


def read_header(path: Path) -> tuple[dict[str, TensorInfo], dict[str, Extent]]:
    """The tensors of one file and where they lie; every byte of the file must belong to exactly one of them.

    Raises:
        BadCheckpoint: the file is not a whole, well-formed safetensors file.
    """
    try:
        with path.open("rb") as file:
            stamp = _stamp(file)
            size = stamp[0]
            start = file.read(1024)
            refuse_foreign(path.name, start, size)
            length = int.from_bytes(start[:8], "little")
            if size < 10 or length < 2 or start[8:9] != b"{":
                raise BadCheckpoint(path.name, "it is not a safetensors file", DOWNLOAD_AGAIN + ".")
            if length > min(HEADER_BYTES, size - 8):
                raise _cut(path, f"its header claims {length} bytes")
            file.seek(8)
            header = parse_json(path.name, file.read(length))
    except OSError as error:
        raise BadCheckpoint(path.name, f"it can't be read ({error.strerror or error})") from error
    header.pop("__metadata__", None)
    entries = [_entry(path, name, values) for name, values in header.items()]
    end = _check_gapless(path, sorted(entries, key=lambda entry: (entry[1], entry[0].bytes)))
    if end != size - 8 - length:
        raise _cut(path, f"its header describes {end} bytes of tensors, and {size - 8 - length} are there")
    data = 8 + length
    extents = {info.name: Extent(path, data + begin, data + begin + info.bytes, stamp) for info, begin in entries}
    return {info.name: info for info, _ in entries}, extents


def _entry(path: Path, name: str, values: Any) -> tuple[TensorInfo, int]:
    """One tensor of a header and the offset of its first byte."""
    if not isinstance(values, dict) or set(values) != {"dtype", "shape", "data_offsets"}:
        raise BadCheckpoint(path.name, f"the header's entry {name!r} is not dtype, shape and data_offsets")
    dtype = DTYPES.get(values["dtype"]) if isinstance(values["dtype"], str) else None
    if dtype is None:
        known = ", ".join(DTYPES)
        raise BadCheckpoint(path.name, f"the tensor {name!r} has the dtype {values['dtype']!r}; known are {known}")
    shape, offsets = values["shape"], values["data_offsets"]
    if not _whole_numbers(shape) or not _whole_numbers(offsets) or len(offsets) != 2 or len(shape) > 8:
        raise BadCheckpoint(path.name, f"the tensor {name!r} has an impossible shape {shape!r} or offsets {offsets!r}")
    count = math.prod(shape) * dtype.itemsize
    if offsets[1] - offsets[0] != count:
        reason = f"the tensor {name!r} of shape {shape} and dtype {values['dtype']} needs {count} bytes"
        raise BadCheckpoint(path.name, f"{reason}, and its offsets {offsets} give {offsets[1] - offsets[0]}")
    return TensorInfo(name, tuple(shape), dtype, count, path.name), offsets[0]


def _whole_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value <= LARGEST_SIZE for value in values)


def _check_gapless(path: Path, entries: list[tuple[TensorInfo, int]]) -> int:
    """The end of the last tensor; refuses tensors that overlap or leave bytes between them."""
    end = 0
    for info, begin in entries:
        if begin != end:
            what = "overlaps another" if begin < end else "leaves a gap before it"
            raise BadCheckpoint(path.name, f"the tensor {info.name!r} {what} (it begins at byte {begin}, not {end})")
        end = begin + info.bytes
    return end


def _read_shards(index: Path) -> tuple[dict[str, TensorInfo], dict[str, Extent]]:
    tensors: dict[str, TensorInfo] = {}
    extents: dict[str, Extent] = {}
    wanted = shard_paths(index)
    headers = {path: read_header(path) for path in sorted(set(wanted.values()))}
    for name, path in wanted.items():
        found, where = headers[path]
        if name not in found:
            raise BadCheckpoint(path.name, f"{index.name} says that it holds {name!r}, and it does not")
        tensors[name], extents[name] = found[name], where[name]
    return tensors, extents


def _stamp(file: IO[bytes]) -> tuple[int, ...]:
    """An open file's size, time of change and inode."""
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns, status.st_ino


def _fill(file: Any, part: torch.Tensor, info: TensorInfo) -> None:
    view = part.numpy().data
    while len(view):
        count = file.readinto(view)
        if not count:
            raise BadCheckpoint(info.file, f"it ended while {info.name!r} was read", DOWNLOAD_AGAIN + ".")
        view = view[count:]


def _cut(path: Path, reason: str) -> BadCheckpoint:
    return BadCheckpoint(path.name, f"it is cut short or damaged: {reason}", DOWNLOAD_AGAIN + ".")


FORMAT = Format("safetensors", 0, ("model.safetensors", "model.safetensors.index.json"), SafetensorsCheckpoint)
