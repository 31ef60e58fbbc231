"""PyTorch's pickled format (`pytorch_model.bin`), read without running anything the pickle asks for.

`weights_only=True` keeps code from running; it does not keep out tensors that claim more than their file holds,
so each value is checked before it is touched. The file is mapped, and the mapped pages are given back piece by piece.
So what changes the file during a load changes what is read, and where it is cut the system ends the process (SIGBUS):
neither can be caught here. A file put in its place by a rename does no harm. Safetensors has none of this.
"""

import ctypes
import mmap
import os
import pickle
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from workbench.errors import BadCheckpoint
from workbench.loading.checkpoint import (
    DOWNLOAD_AGAIN,
    Format,
    TensorInfo,
    refuse_foreign,
    rows_a_piece,
    shard_paths,
)
from workbench.loading.formats.safetensors import DTYPES

MADV_DONTNEED = 4
PICKLE_BYTES = 64 * 2**20
"""The longest list of tensors; the values themselves lie in other members of the zip file."""
REFUSED = re.compile(r"(?:Unsupported (?:global|class|operand)|GLOBAL|Trying to \w+)\b:?\s*(?:GLOBAL\s+)?([\w.]+)?")


class TorchCheckpoint:
    """One pickled file, or several named by an index."""

    def __init__(self, path: Path):
        self.tensors: Mapping[str, TensorInfo]
        self._values: dict[str, torch.Tensor]
        self._mapped: list[tuple[int, int]] = []
        if path.name.endswith(".index.json"):
            wanted = shard_paths(path)
            found = {shard: self._open(shard) for shard in sorted(set(wanted.values()))}
            for name, shard in wanted.items():
                if name not in found[shard]:
                    raise BadCheckpoint(shard.name, f"{path.name} says that it holds {name!r}, and it does not")
            self._values = {name: found[shard][name] for name, shard in wanted.items()}
            files = {name: shard.name for name, shard in wanted.items()}
        else:
            self._values = self._open(path)
            files = dict.fromkeys(self._values, path.name)
        self.tensors = {
            name: TensorInfo(name, tuple(value.shape), value.dtype, value.numel() * value.itemsize, files[name])
            for name, value in self._values.items()
        }

    def pieces(self, name: str, rows: range | None = None, into: torch.Tensor | None = None) -> Iterator[torch.Tensor]:
        """The tensor's values in order, flat, whole rows at a time; each piece is valid until the next one."""
        value = self._values[name]
        if not value.dim():
            value = value[None]
        if not value.numel():
            return
        rows = range(len(value)) if rows is None else rows
        step = rows_a_piece(tuple(value.shape), value.itemsize)
        width = value.numel() // len(value)
        for start in range(rows.start, rows.stop, step):
            part = value[start : min(rows.stop, start + step)]
            piece = part.reshape(-1)
            if into is not None:
                piece = into[start * width : start * width + part.numel()].copy_(piece)
            yield piece
            self._give_back(part)

    def _open(self, path: Path) -> dict[str, torch.Tensor]:
        zipped = _check_container(path)
        values = _unpickle(path, zipped)
        if zipped:
            self._mapped += _mapped_ranges(path)
        return {name: _checked(path, name, value) for name, value in values.items()}

    def _give_back(self, part: torch.Tensor) -> None:
        """Lets the kernel forget the pages of a mapped file that held these values; they can be read again."""
        begin = part.data_ptr()
        end = begin + sum((size - 1) * stride for size, stride in zip(part.shape, part.stride(), strict=True))
        end = begin + (end - begin + 1) * part.itemsize
        # Only inside the mapped file: the same call on ordinary memory would empty it.
        if any(low <= begin and end <= high for low, high in self._mapped):
            begin -= begin % mmap.PAGESIZE
            _advise_unneeded(begin, end - begin)


def _check_container(path: Path) -> bool:
    """Whether the file is a zip file (torch >= 1.6) rather than a bare pickle; refuses what is neither."""
    try:
        with path.open("rb") as file:
            start = file.read(1024)
        refuse_foreign(path.name, start, path.stat().st_size)
        if start[:2] == b"\x80\x02":
            return False
        if start[:2] != b"PK":
            raise BadCheckpoint(path.name, "it is not a PyTorch checkpoint", DOWNLOAD_AGAIN + ".")
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise BadCheckpoint(path.name, f"it is cut short or damaged ({error})", DOWNLOAD_AGAIN + ".") from error
    for member in members:
        too_long = member.filename.endswith(".pkl") and member.file_size > PICKLE_BYTES
        if member.compress_type != zipfile.ZIP_STORED or too_long:
            raise BadCheckpoint(path.name, f"its member {member.filename!r} is not as PyTorch writes it")
    return True


def _unpickle(path: Path, zipped: bool) -> dict[str, Any]:
    try:
        values = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        raise _refused(path, str(error)) from error
    except Exception as error:  # a damaged pickle can raise nearly anything, even with an empty message
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise BadCheckpoint(path.name, f"it is cut short or damaged ({reason})", DOWNLOAD_AGAIN + ".") from error
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise BadCheckpoint(path.name, "it does not hold tensors by name, as a state dict does")
    return dict(values)


def _refused(path: Path, message: str) -> BadCheckpoint:
    if "Weights only load failed" not in message and "Unsupported" not in message:
        return BadCheckpoint(path.name, "it is cut short or damaged", DOWNLOAD_AGAIN + ".")
    found = REFUSED.search(message)
    what = f" ({found.group(1)})" if found and found.group(1) else ""
    hint = "Nothing of it was run. Use a safetensors copy from a source you trust."
    return BadCheckpoint(path.name, f"it tries to run code or build objects that are not tensors{what}", hint)


def _checked(path: Path, name: str, value: Any) -> torch.Tensor:
    """The value, if it is a plain tensor whose elements all lie in its storage."""
    if type(value) not in (torch.Tensor, torch.nn.Parameter):
        raise BadCheckpoint(path.name, f"the value of {name!r} is a {type(value).__name__}, not a tensor")
    if value.layout != torch.strided or value.device.type != "cpu" or value.dtype not in DTYPES.values():
        raise BadCheckpoint(
            path.name, f"the tensor {name!r} is {value.layout}, {value.dtype}; only plain ones are read"
        )
    sizes, strides = value.shape, value.stride()
    extent = 0
    if value.numel():
        extent = value.storage_offset() + 1 + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True))
    held = value.untyped_storage().nbytes() // value.itemsize
    # A stride of 0 repeats elements: a file of a kilobyte can claim a tensor of terabytes.
    if extent > held or value.numel() > held or min(strides, default=0) < 0:
        raise BadCheckpoint(path.name, f"the tensor {name!r} of shape {list(sizes)} claims more values than it holds")
    return value.detach()


def _mapped_ranges(path: Path) -> list[tuple[int, int]]:
    """Where in this process's memory the file is mapped; empty where the system does not tell."""
    if not sys.platform.startswith("linux"):
        return []
    real = os.path.realpath(path)
    ranges = []
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return []
    for line in lines:
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5] == real:
            low, high = fields[0].split("-")
            ranges.append((int(low, 16), int(high, 16)))
    return ranges


def _advise_unneeded(begin: int, length: int) -> None:
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    madvise(begin, length, MADV_DONTNEED)


FORMAT = Format("torch_bin", 1, ("pytorch_model.bin", "pytorch_model.bin.index.json"), TorchCheckpoint)
