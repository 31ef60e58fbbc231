"""Flax's format (`flax_model.msgpack`): a map of maps of arrays, in MessagePack.

Only what Flax writes is read: maps with text keys, arrays in its extension type 1 as [shape, type, bytes], and the
arrays beyond 1 GiB that it cuts into parts. The arrays' bytes are stepped over while the list of tensors is made.
MessagePack: https://github.com/msgpack/msgpack/blob/master/spec.md; the arrays: flax.serialization.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch

from workbench.errors import BadCheckpoint
from workbench.loading.checkpoint import DOWNLOAD_AGAIN, Format, refuse_foreign, shard_paths
from workbench.loading.layout import LaidOutCheckpoint, Layout, SourceFile, Stretch, layout_of, source_file

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "int64": torch.int64,
    "int32": torch.int32,
    "int16": torch.int16,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "bool": torch.bool,
}
ARRAY = 1
"""The extension type of an array."""
CUT = "__msgpack_chunked_array__"
"""The key that marks the map of an array in parts."""
PARTS_BYTES = 2**30
"""An array of more bytes is written in parts of so many."""
MOST_PARTS = 4096
DEEPEST = 16
LONGEST_TEXT = 1024
MOST_VALUES = 1_000_000
"""In all maps together: a list of tensors that takes more memory than this is none."""
MOST_DIMENSIONS = 8
LARGEST_SIZE = 2**48
TORCH_NAMES = {"kernel": "weight", "scale": "weight", "embedding": "weight"}
UNSIGNED = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
TEXTS = {0xD9: 1, 0xDA: 2, 0xDB: 4}
BINARIES = {0xC4: 1, 0xC5: 2, 0xC6: 4}
EXTENSIONS = {0xC7: 1, 0xC8: 2, 0xC9: 4}
FIXED_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
MAPS = {0xDE: 2, 0xDF: 4}
ARRAYS = {0xDC: 2, 0xDD: 4}


@dataclass(frozen=True)
class FlaxArray:
    """An array of the file, before its values are read."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    stretches: tuple[Stretch, ...]


def open_flax(path: Path) -> LaidOutCheckpoint:
    """The tensors of flax_model.msgpack, or of the files that its index names, under PyTorch's names.

    Raises:
        BadCheckpoint: a file is not a whole, well-formed one.
    """
    paths = sorted(set(shard_paths(path).values())) if path.name.endswith(".index.json") else [path]
    layouts: dict[str, Layout] = {}
    for one in paths:
        for flax_name, array in _read(one):
            layout = _laid_out(flax_name, array)
            if layout.info.name in layouts:
                raise BadCheckpoint(one.name, f"it holds the tensor {layout.info.name!r} twice")
            layouts[layout.info.name] = layout
    return LaidOutCheckpoint(layouts)


def flax_name(name: str, dimensions: int) -> tuple[str, ...]:
    """What Flax calls a tensor that PyTorch calls `name`: the keys from the outermost map to the array."""
    *path, last = name.split(".")
    if last == "weight":
        last = "embedding" if path[-1:] == ["wte"] else "kernel" if dimensions == 2 else "scale"
    return (*path, last)


def _laid_out(flax_name: tuple[str, ...], array: FlaxArray) -> Layout:
    """Flax's matrices are (in, out); PyTorch's are (out, in)."""
    *path, last = flax_name
    transposed = last == "kernel" and len(array.shape) == 2
    shape = array.shape[::-1] if transposed else array.shape
    name = ".".join([*path, TORCH_NAMES.get(last, last)])
    return layout_of(name, shape, array.dtype, array.stretches, transposed)


def _read(path: Path) -> Iterator[tuple[tuple[str, ...], FlaxArray]]:
    """Every array of one file with its keys."""
    try:
        with path.open("rb") as file:
            refuse_foreign(path.name, file.read(1024), path.stat().st_size)
            file.seek(0)
            reader = _Reader(file, source_file(path))
            tree = reader.value()
            if not isinstance(tree, dict):
                raise _not_flax(path, "it is not a map of arrays")
            if reader.at != reader.end:
                raise _not_flax(path, f"{reader.end - reader.at} bytes follow after its end")
    except OSError as error:
        raise BadCheckpoint(path.name, f"it can't be read ({error.strerror or error})") from error
    # A training state keeps the weights under "params".
    inner = tree.get("params")
    yield from _arrays(path, inner if len(tree) == 1 and isinstance(inner, dict) else tree)


def _arrays(
    path: Path, tree: dict[str, Any], keys: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], FlaxArray]]:
    for key, value in tree.items():
        place = (*keys, *key.split("/"))
        if isinstance(value, dict) and CUT in value:
            yield place, _joined(path, place, value)
        elif isinstance(value, dict):
            yield from _arrays(path, value, place)
        elif isinstance(value, FlaxArray):
            yield place, value
        else:
            raise _not_flax(path, f"{'/'.join(place)!r} is {value!r}, not an array")


def _joined(path: Path, place: tuple[str, ...], value: dict[str, Any]) -> FlaxArray:
    """An array that was cut into parts."""
    shape, parts = _numbered(value.get("shape")), _numbered(value.get("chunks"))
    name = "/".join(place)
    if (
        not parts
        or len(parts) > MOST_PARTS
        or not all(isinstance(part, FlaxArray) and len(part.shape) == 1 for part in parts)
    ):
        raise _not_flax(path, f"the parts of {name!r} are not arrays")
    if shape is None or not all(type(size) is int and 0 <= size <= LARGEST_SIZE for size in shape):
        raise _not_flax(path, f"the shape of {name!r} is not a list of sizes")
    count = sum(part.shape[0] for part in parts)
    if len({part.dtype for part in parts}) > 1 or math.prod(shape) != count or len(shape) > MOST_DIMENSIONS:
        raise _not_flax(path, f"the parts of {name!r} hold {count} values, and its shape is {shape}")
    stretches = tuple(stretch for part in parts for stretch in part.stretches)
    return FlaxArray(tuple(shape), parts[0].dtype, stretches)


def _numbered(value: Any) -> list[Any] | None:
    """The values of a map whose keys are "0", "1", ...; that is how Flax writes a tuple."""
    if not isinstance(value, dict) or set(value) != {str(i) for i in range(len(value))}:
        return None
    return [value[str(i)] for i in range(len(value))]


class _Reader:
    """Reads one value after another; no length is believed that the rest of the file could not hold."""

    def __init__(self, file: IO[bytes], source: SourceFile):
        self._file, self._source = file, source
        self.at, self.end = 0, source.size
        self._values = 0

    def value(self, depth: int = 0) -> Any:
        """A map as a dict, an array as FlaxArray, a number, True or False."""
        self._values += 1
        if self._values > MOST_VALUES:
            raise self._bad(f"it holds more than {MOST_VALUES} values")
        kind = self._byte()
        if 0x80 <= kind <= 0x8F or kind in MAPS:
            return self._map(self._length(kind, MAPS, 0x80, 0x0F), depth + 1)
        if kind in EXTENSIONS or kind in FIXED_EXTENSIONS:
            return self._array(FIXED_EXTENSIONS.get(kind) or self._number(EXTENSIONS[kind]))
        if kind in (0xC2, 0xC3):
            return kind == 0xC3
        if kind <= 0x7F or kind in UNSIGNED:
            return self._size(kind)
        raise self._bad(f"at byte {self.at - 1} is the code {kind:#04x}, which no file of weights has there")

    def _map(self, count: int, depth: int) -> dict[str, Any]:
        if depth > DEEPEST:
            raise self._bad(f"its maps are nested more than {DEEPEST} deep")
        found: dict[str, Any] = {}
        for _ in range(count):
            key = self._text()
            if key in found:
                raise self._bad(f"the key {key!r} stands twice in one map")
            found[key] = self.value(depth)
        return found

    def _array(self, length: int) -> FlaxArray:
        """The array of an extension that is `length` bytes long after its type."""
        kind = self._byte()
        end = self.at + length
        if kind != ARRAY:
            raise self._bad(f"at byte {self.at - 1} is the extension type {kind}; only arrays (1) are read")
        if self._length(self._byte(), ARRAYS, 0x90, 0x0F) != 3:
            raise self._bad(f"the array at byte {self.at} is not [shape, type, bytes]")
        dimensions = self._length(self._byte(), ARRAYS, 0x90, 0x0F)
        if dimensions > MOST_DIMENSIONS:
            raise self._bad(f"the array at byte {self.at} has {dimensions} dimensions")
        shape = tuple(self._size(self._byte()) for _ in range(dimensions))
        type_name = self._text()
        dtype = DTYPES.get(type_name)
        if dtype is None:
            raise self._bad(f"an array has the type {type_name!r}; known are {', '.join(DTYPES)}")
        kind = self._byte()
        if kind not in BINARIES:
            raise self._bad(f"the array at byte {self.at} holds no bytes")
        held, needed = self._number(BINARIES[kind]), math.prod(shape) * dtype.itemsize
        if held != needed or self.at + held != end or max(shape, default=0) > LARGEST_SIZE:
            raise self._bad(
                f"an array of shape {list(shape)} and type {type_name} needs {needed} bytes, and has {held}"
            )
        begin = self.at
        self._step_over(held)
        return FlaxArray(shape, dtype, (Stretch(self._source, begin, held),))

    def _text(self) -> str:
        length = self._length(self._byte(), TEXTS, 0xA0, 0x1F)
        if length > LONGEST_TEXT:
            raise self._bad(f"at byte {self.at} is a name of {length} bytes")
        try:
            return self._take(length).decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._bad(f"the name at byte {self.at - length} is not UTF-8") from error

    def _size(self, kind: int) -> int:
        if kind <= 0x7F:
            return kind
        if kind not in UNSIGNED:
            raise self._bad(f"at byte {self.at - 1} is the code {kind:#04x}, where a size belongs")
        return self._number(UNSIGNED[kind])

    def _length(self, kind: int, wide: dict[int, int], short: int, mask: int) -> int:
        """The length that a code carries in itself, or in the bytes that follow it."""
        if short <= kind <= short + mask:
            return kind & mask
        if kind not in wide:
            raise self._bad(f"at byte {self.at - 1} is the code {kind:#04x}, which no file of weights has there")
        return self._number(wide[kind])

    def _byte(self) -> int:
        return self._take(1)[0]

    def _number(self, length: int) -> int:
        return int.from_bytes(self._take(length), "big")

    def _take(self, length: int) -> bytes:
        data = self._file.read(length) if length <= self.end - self.at else b""
        if len(data) != length:
            raise self._cut()
        self.at += length
        return data

    def _step_over(self, length: int) -> None:
        if length > self.end - self.at:
            raise self._cut()
        self.at += length
        self._file.seek(self.at)

    def _cut(self) -> BadCheckpoint:
        return self._bad(f"it ends at byte {self.end}, in the middle of a value")

    def _bad(self, reason: str) -> BadCheckpoint:
        return _not_flax(self._source.path, reason)


def _not_flax(path: Path, reason: str) -> BadCheckpoint:
    return BadCheckpoint(path.name, f"it is cut short, damaged or not Flax's: {reason}", DOWNLOAD_AGAIN + ".")


FORMAT = Format("flax_msgpack", 2, ("flax_model.msgpack", "flax_model.msgpack.index.json"), open_flax)
