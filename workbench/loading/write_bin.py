"""Writes tensors as pytorch_model.bin, one tensor at a time, the file whole or not at all.

`torch.save` wants all tensors in memory at once. The file is a zip archive of a pickle, which only describes the
tensors, and of each tensor's bytes: the description is pickled here from stand-ins, and the bytes follow one by one.
"""

import io
import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from workbench.loading.write import TensorToSave, bytes_of, values_of, whole_file

BIN_FILE = "pytorch_model.bin"
STORAGES = {
    torch.float64: torch.DoubleStorage,
    torch.float32: torch.FloatStorage,
    torch.float16: torch.HalfStorage,
    torch.bfloat16: torch.BFloat16Storage,
    torch.int64: torch.LongStorage,
    torch.int32: torch.IntStorage,
    torch.int16: torch.ShortStorage,
    torch.int8: torch.CharStorage,
    torch.uint8: torch.ByteStorage,
    torch.bool: torch.BoolStorage,
}
ALIGNMENT = 64
"""Where a tensor's bytes may begin, so that the file can be mapped."""
PADDING_FIELD = b"FB"
"""The name of the zip header's field that fills up to it, as PyTorch's own writer calls it."""


def write_bin(folder: Path, tensors: Sequence[TensorToSave]) -> None:
    """Writes the tensors as a state dict that `torch.load` reads, `weights_only` and mapped included."""
    with whole_file(folder / BIN_FILE) as file, zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        _write_member(archive, "data.pkl", _description(tensors))
        _write_member(archive, "byteorder", sys.byteorder.encode())
        for number, tensor in enumerate(tensors):
            _write_member(archive, f"data/{number}", bytes_of(values_of(tensor)))
        _write_member(archive, "version", b"3\n")


@dataclass(frozen=True)
class _Storage:
    """Stands for a tensor's bytes."""

    dtype: torch.dtype
    key: str
    count: int


class _Tensor:
    """Stands for a tensor: unpickled, it is one."""

    def __init__(self, tensor: TensorToSave, key: str):
        self.shape = tensor.shape
        self.storage = _Storage(tensor.dtype, key, tensor.bytes // tensor.dtype.itemsize)

    def __reduce__(self) -> tuple[Any, ...]:
        strides = torch.empty(self.shape, device="meta").stride()
        return torch._utils._rebuild_tensor_v2, (self.storage, 0, self.shape, strides, False, OrderedDict())


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        """What PyTorch's reader finds a storage by."""
        if isinstance(obj, _Storage):
            return "storage", STORAGES[obj.dtype], obj.key, "cpu", obj.count
        return None


def _description(tensors: Sequence[TensorToSave]) -> bytes:
    out = io.BytesIO()
    _Pickler(out, protocol=2).dump({tensor.name: _Tensor(tensor, str(i)) for i, tensor in enumerate(tensors)})
    return out.getvalue()


def _write_member(archive: zipfile.ZipFile, name: str, data: bytes | memoryview) -> None:
    member = zipfile.ZipInfo(f"archive/{name}")
    # The local header is 30 bytes, the name, and the extra fields: first zipfile's own 20 for sizes beyond 4 GiB.
    begin = archive.fp.tell() + 30 + len(member.filename) + 20 + 4  # type: ignore[union-attr]
    fill = -begin % ALIGNMENT
    member.extra = PADDING_FIELD + fill.to_bytes(2, "little") + b"Z" * fill
    with archive.open(member, "w", force_zip64=True) as out:
        out.write(data)
