"""Tensors that lie in stretches of files, as they are or transposed: how each lies there, and how it is read.

Formats that are only lists of such tensors describe them so; nothing is mapped, and no tensor is ever held whole.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import torch

from workbench.errors import BadCheckpoint
from workbench.loading.checkpoint import DOWNLOAD_AGAIN, TensorInfo, rows_a_piece

PIECES_A_STRIP = 4
"""A strip of a transposed matrix is read line by line: a wider one makes longer lines, and fewer of them."""


@dataclass(frozen=True)
class SourceFile:
    """A file as it was when its list of tensors was read."""

    path: Path
    stamp: tuple[int, ...]
    """Size, time of change and inode; another one means that it was changed since."""

    @property
    def size(self) -> int:
        """In bytes."""
        return self.stamp[0]


@dataclass(frozen=True)
class Stretch:
    """Bytes of a file."""

    file: SourceFile
    begin: int
    length: int


@dataclass(frozen=True)
class Band:
    """Consecutive rows of a tensor: the stretches, one after another, are (rows, columns) or that transposed."""

    rows: int
    columns: int
    stretches: tuple[Stretch, ...]
    transposed: bool = False


@dataclass(frozen=True)
class Layout:
    """Where one tensor's values are, and what makes them of the stored ones."""

    info: TensorInfo
    bands: tuple[Band, ...]
    stored: torch.dtype
    decode: Callable[[torch.Tensor], torch.Tensor] | None = None
    """From rows as they are stored, (rows, columns), to rows of values; None where they are the values."""
    computed: torch.Tensor | None = None
    """The values of a small tensor that stands in no file as it is; it has no bands."""


class LaidOutCheckpoint:
    """A checkpoint of which every tensor's place is known."""

    def __init__(self, layouts: Mapping[str, Layout]):
        self._layouts = layouts
        self.tensors: Mapping[str, TensorInfo] = {name: layout.info for name, layout in layouts.items()}

    def pieces(self, name: str, rows: range | None = None, into: torch.Tensor | None = None) -> Iterator[torch.Tensor]:
        """The tensor's values in order, flat, whole rows at a time; each piece is valid until the next one."""
        layout = self._layouts[name]
        info = layout.info
        if info.bytes == 0:
            return
        count = info.shape[0] if info.shape else 1
        rows = range(count) if rows is None else rows
        at = rows.start * (info.bytes // info.dtype.itemsize // count)
        for part in _rows(layout, rows):
            flat = part.reshape(-1)
            yield flat if into is None else into[at : at + flat.numel()].copy_(flat)
            at += flat.numel()


def source_file(path: Path) -> SourceFile:
    """A file as it is now.

    Raises:
        OSError: it can't be looked at.
    """
    return SourceFile(path, _stamp(os.stat(path)))


def layout_of(
    name: str, shape: tuple[int, ...], dtype: torch.dtype, stretches: Sequence[Stretch], transposed: bool = False
) -> Layout:
    """Of a tensor that lies in one band, in the type of its values.

    Args:
        shape: the tensor's; of a transposed one the file holds the other way round.
    """
    count = dtype.itemsize
    for size in shape:
        count *= size
    rows = shape[0] if shape else 1
    columns = count // dtype.itemsize // rows if rows else 0
    info = TensorInfo(name, shape, dtype, count, stretches[0].file.path.name)
    return Layout(info, (Band(rows, columns, tuple(stretches), transposed),), dtype)


def _rows(layout: Layout, rows: range) -> Iterator[torch.Tensor]:
    """These rows of a tensor's values, some at a time."""
    if layout.computed is not None:
        yield layout.computed[rows.start : rows.stop]
    first = 0
    for band in layout.bands:
        begin, end = max(rows.start, first), min(rows.stop, first + band.rows)
        if begin < end:
            for part in _read_band(band, range(begin - first, end - first), layout):
                yield part if layout.decode is None else layout.decode(part)
        first += band.rows


def _read_band(band: Band, rows: range, layout: Layout) -> Iterator[torch.Tensor]:
    """Rows of a band, (some rows, columns) at a time, as they are stored."""
    item = layout.stored.itemsize
    step = rows_a_piece((band.rows, band.columns), item) * (PIECES_A_STRIP if band.transposed else 1)
    with ExitStack() as stack:
        try:
            bytes_of = _Bytes(band.stretches, layout.info, stack)
            for start in range(rows.start, rows.stop, step):
                part = range(start, min(rows.stop, start + step))
                if band.transposed:
                    yield _strip(bytes_of, band, part, layout.stored)
                else:
                    values = torch.empty(len(part), band.columns, dtype=layout.stored)
                    bytes_of.read(start * band.columns * item, _memory(values))
                    yield values
        except OSError as error:
            reason = f"{layout.info.name!r} can't be read any more ({error.strerror or error})"
            raise BadCheckpoint(layout.info.file, reason) from error


def _strip(bytes_of: "_Bytes", band: Band, rows: range, dtype: torch.dtype) -> torch.Tensor:
    """Rows of a band that lies transposed, (rows, columns): a strip of each of the file's lines."""
    lines = torch.empty(band.columns, len(rows), dtype=dtype)
    memory, width = _memory(lines), len(rows) * dtype.itemsize
    if len(rows) == band.rows:
        bytes_of.read(0, memory)
    else:
        for line in range(band.columns):
            at = (line * band.rows + rows.start) * dtype.itemsize
            bytes_of.read(at, memory[line * width : (line + 1) * width])
    return lines.t()


class _Bytes:
    """The stretches of a band as one run of bytes, of open files."""

    def __init__(self, stretches: Sequence[Stretch], info: TensorInfo, stack: ExitStack):
        self._info = info
        self._parts: list[tuple[int, int, FileIO, int]] = []
        """Of each stretch: where it begins and ends in the run, its file, and where it begins in that."""
        opened: dict[Path, FileIO] = {}
        begin = 0
        for stretch in stretches:
            path = stretch.file.path
            if path not in opened:
                opened[path] = stack.enter_context(FileIO(path))
                if _stamp(os.fstat(opened[path].fileno())) != stretch.file.stamp:
                    raise BadCheckpoint(path.name, "it was changed while it was read", "Load it again.")
            end = begin + stretch.length
            self._parts.append((begin, end, opened[path], stretch.begin))
            begin = end

    def read(self, at: int, memory: memoryview) -> None:
        """Fills the memory with the bytes that begin at `at`."""
        for begin, end, file, offset in self._parts:
            while memory and begin <= at < end:
                file.seek(offset + at - begin)
                count = file.readinto(memory[: end - at])
                if not count:
                    reason = f"it ended while {self._info.name!r} was read"
                    raise BadCheckpoint(self._info.file, reason, DOWNLOAD_AGAIN + ".")
                memory, at = memory[count:], at + count


def _memory(values: torch.Tensor) -> memoryview:
    return values.view(-1).view(torch.uint8).numpy().data


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_ino
