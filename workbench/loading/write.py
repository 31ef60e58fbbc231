"""Writes tensors as safetensors files, one tensor at a time, each file whole or not at all."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from workbench.errors import BadRequest
from workbench.loading.formats.safetensors import DTYPES

SHARD_BYTES = 5 * 10**9
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


@dataclass(frozen=True)
class TensorToSave:
    """One tensor of a checkpoint to be; its values are asked for when their turn comes."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], torch.Tensor]

    @property
    def bytes(self) -> int:
        """The size of the values in bytes."""
        count = self.dtype.itemsize
        for size in self.shape:
            count *= size
        return count


def write_weights(folder: Path, tensors: Sequence[TensorToSave], max_shard_bytes: int = SHARD_BYTES) -> None:
    """Writes model.safetensors, or shards of at most `max_shard_bytes` (or one larger tensor) and their index.

    The files appear under their names when all of them are complete; weights that stood there before are replaced.
    """
    shards = _shards(tensors, max_shard_bytes)
    names = [SINGLE]
    if len(shards) > 1:
        names = [f"model-{i:05d}-of-{len(shards):05d}.safetensors" for i in range(1, len(shards) + 1)]
    pending: dict[Path, Path] = {}
    try:
        for name, shard in zip(names, shards, strict=True):
            path = folder / name
            pending[path] = _beside(path)
            with pending[path].open("wb") as file:
                _write_shard(file, shard)
                _to_disk(file)
        for path, temporary in pending.items():
            temporary.replace(path)
    finally:
        for temporary in pending.values():
            temporary.unlink(missing_ok=True)
    if len(shards) > 1:
        weight_map = {tensor.name: name for name, shard in zip(names, shards, strict=True) for tensor in shard}
        total = sum(tensor.bytes for tensor in tensors)
        write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))})
    _remove_older(folder, {*names, INDEX} if len(shards) > 1 else set(names))


def write_tensors(path: Path, tensors: Sequence[TensorToSave]) -> None:
    """Writes one safetensors file, whole or not at all."""
    with whole_file(path) as file:
        _write_shard(file, tensors)


def as_tensor_to_save(name: str, value: torch.Tensor) -> TensorToSave:
    """A tensor that is in memory."""
    return TensorToSave(name, tuple(value.shape), value.dtype, lambda: value)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Writes a JSON file, whole or not at all."""
    with whole_file(path) as file:
        file.write((json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))


def _shards(tensors: Sequence[TensorToSave], max_shard_bytes: int) -> list[list[TensorToSave]]:
    if max_shard_bytes < 1:
        raise BadRequest(f"max_shard_bytes must be at least 1; got {max_shard_bytes}.")
    shards: list[list[TensorToSave]] = [[]]
    used = 0
    for tensor in tensors:
        if shards[-1] and used + tensor.bytes > max_shard_bytes:
            shards.append([])
            used = 0
        shards[-1].append(tensor)
        used += tensor.bytes
    return shards


def _write_shard(file: BinaryIO, shard: Sequence[TensorToSave]) -> None:
    # Wide dtypes first keeps every tensor aligned to its items, as readers that map the file want it.
    ordered = sorted(shard, key=lambda tensor: -tensor.dtype.itemsize)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in ordered:
        begin, end = end, end + tensor.bytes
        header[tensor.name] = {
            "dtype": DTYPE_NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for tensor in ordered:
        file.write(bytes_of(values_of(tensor)))


def values_of(tensor: TensorToSave) -> torch.Tensor:
    """The values, on the CPU.

    Raises:
        BadRequest: they are not as announced.
    """
    values = tensor.read()
    if tuple(values.shape) != tensor.shape or values.dtype != tensor.dtype:
        raise BadRequest(
            f"{tensor.name} was announced as {tensor.dtype} {tensor.shape}, and is {values.dtype} {tuple(values.shape)}"
        )
    return values.detach().to("cpu")


def bytes_of(values: torch.Tensor) -> memoryview:
    """Values on the CPU as they are written, row after row."""
    if not values.numel():
        return memoryview(b"")
    return values.contiguous().reshape(-1).view(torch.uint8).numpy().data


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that appears under its name when it is complete and on the disk, or not at all."""
    temporary = _beside(path)
    try:
        with temporary.open("wb") as file:
            yield file
            _to_disk(file)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _remove_older(folder: Path, written: set[str]) -> None:
    """Takes away what an earlier save left, which a reader might prefer to the new files."""
    for path in [*folder.glob("model-*-of-*.safetensors"), folder / SINGLE, folder / INDEX]:
        if path.name not in written:
            path.unlink(missing_ok=True)
