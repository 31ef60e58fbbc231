"""Writes tensors as flax_model.msgpack, one tensor at a time, the file whole or not at all."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch

from workbench.errors import BadRequest
from workbench.loading.formats.flax_msgpack import ARRAY, CUT, DTYPES, PARTS_BYTES, flax_name
from workbench.loading.write import TensorToSave, bytes_of, values_of, whole_file

FLAX_FILE = "flax_model.msgpack"
TYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}
FIXED_EXTENSIONS = {1: 0xD4, 2: 0xD5, 4: 0xD6, 8: 0xD7, 16: 0xD8}


def write_flax(folder: Path, tensors: Sequence[TensorToSave]) -> None:
    """Writes the tensors under Flax's names, matrices as (in, out), as Flax itself writes them.

    Raises:
        BadRequest: Flax has no place for a tensor's name.
    """
    tree: dict[str, Any] = {}
    for tensor in tensors:
        *path, last = flax_name(tensor.name, len(tensor.shape))
        place = tree
        for key in path:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise BadRequest(f"{tensor.name} would stand inside of another tensor.")
        place[last] = tensor
    with whole_file(folder / FLAX_FILE) as file:
        _write_map(file, tree)


def _write_map(file: BinaryIO, tree: Mapping[str, Any]) -> None:
    file.write(_map(len(tree)))
    for key, value in tree.items():
        file.write(_text(key))
        if isinstance(value, TensorToSave):
            _write_tensor(file, value, transposed=key == "kernel")
        else:
            _write_map(file, value)


def _write_tensor(file: BinaryIO, tensor: TensorToSave, transposed: bool) -> None:
    values = values_of(tensor)
    values = (values.t() if transposed else values).contiguous()
    if tensor.bytes <= PARTS_BYTES:
        _write_array(file, values)
        return
    parts = values.reshape(-1).split(PARTS_BYTES // values.itemsize)
    file.write(_map(3) + _text(CUT) + b"\xc3" + _text("shape") + _map(values.dim()))
    for number, size in enumerate(values.shape):
        file.write(_text(str(number)) + _number(size))
    file.write(_text("chunks") + _map(len(parts)))
    for number, part in enumerate(parts):
        file.write(_text(str(number)))
        _write_array(file, part)


def _write_array(file: BinaryIO, values: torch.Tensor) -> None:
    """The extension that Flax keeps an array in: [shape, type, bytes]."""
    count = math.prod(values.shape) * values.itemsize
    sizes = b"".join(_number(size) for size in values.shape)
    start = b"\x93" + bytes([0x90 | values.dim()]) + sizes + _text(TYPE_NAMES[values.dtype])
    start += _long(count, (0xC4, 0xC5, 0xC6))
    length = len(start) + count
    fixed = FIXED_EXTENSIONS.get(length)
    file.write(bytes([fixed]) if fixed is not None else _long(length, (0xC7, 0xC8, 0xC9)))
    file.write(bytes([ARRAY]) + start)
    file.write(bytes_of(values))


def _map(length: int) -> bytes:
    return bytes([0x80 | length]) if length < 16 else b"\xde" + length.to_bytes(2, "big")


def _text(text: str) -> bytes:
    data = text.encode("utf-8")
    return (bytes([0xA0 | len(data)]) if len(data) < 32 else _long(len(data), (0xD9, 0xDA, 0xDB))) + data


def _number(value: int) -> bytes:
    if value < 0x80:
        return bytes([value])
    width, code = next(
        (width, code) for width, code in ((1, 0xCC), (2, 0xCD), (4, 0xCE), (8, 0xCF)) if value < 256**width
    )
    return bytes([code]) + value.to_bytes(width, "big")


def _long(length: int, codes: tuple[int, int, int]) -> bytes:
    """A length in one, two or four bytes after the code for it."""
    width, code = next((width, code) for width, code in zip((1, 2, 4), codes, strict=True) if length < 256**width)
    return bytes([code]) + length.to_bytes(width, "big")
