"""TensorFlow's format (`tf_model.h5`): an HDF5 file of groups with one data set a weight.

h5py reads the file's structure, and nothing more: the values lie in it as they are, and are read from their places
like those of every other format. Matrices are (in, out), and the layers are called h_._0, h_._1, ...
"""

import importlib
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from workbench.errors import BadCheckpoint, MissingDependency
from workbench.loading.checkpoint import DOWNLOAD_AGAIN, Format, refuse_foreign, shard_paths
from workbench.loading.layout import LaidOutCheckpoint, Layout, SourceFile, Stretch, layout_of, source_file

DTYPES = {
    "<f2": torch.float16,
    "<f4": torch.float32,
    "<f8": torch.float64,
    "<i4": torch.int32,
    "<i8": torch.int64,
    "|i1": torch.int8,
    "|u1": torch.uint8,
}
TORCH_NAMES = {"kernel": "weight", "gamma": "weight", "beta": "bias", "embeddings": "weight"}
PLACE = re.compile(r"(?:.*/)?(h_\._\d+|wte|ln_f|lm_head|score|qa_outputs)/(.+)")
"""In a data set's path, what follows the model's own name: the group, the class and the trunk stand before it."""
TRUNK = re.compile(r"h_\._\d+|wte|ln_f")
MOST_DIMENSIONS = 8


def open_h5(path: Path) -> LaidOutCheckpoint:
    """The tensors of tf_model.h5, or of the files that its index names, under PyTorch's names.

    Raises:
        BadCheckpoint: a file is not a whole HDF5 file, or holds anything but plain arrays of numbers.
        MissingDependency: h5py is not installed.
    """
    paths = sorted(set(shard_paths(path).values())) if path.name.endswith(".index.json") else [path]
    layouts: dict[str, Layout] = {}
    for one in paths:
        for layout in _read(one):
            if layout.info.name in layouts:
                raise BadCheckpoint(one.name, f"it holds the tensor {layout.info.name!r} twice")
            layouts[layout.info.name] = layout
    return LaidOutCheckpoint(layouts)


def torch_name(place: str) -> str:
    """What PyTorch calls the weight that lies at this path; the path itself where no GPT-J has such a weight."""
    found = PLACE.fullmatch(place.removesuffix(":0"))
    if found is None:
        return place
    home, rest = found.group(1), found.group(2).split("/")
    prefix = "transformer." if TRUNK.fullmatch(home) else ""
    return prefix + ".".join([home.replace("_._", "."), *rest[:-1], TORCH_NAMES.get(rest[-1], rest[-1])])


def _read(path: Path) -> list[Layout]:
    """The tensors of one file."""
    h5py = _h5py()
    try:
        with path.open("rb") as file:
            refuse_foreign(path.name, file.read(1024), path.stat().st_size)
        source = source_file(path)
        with h5py.File(path, "r", locking=False) as root:
            if root.userblock_size:
                raise _damaged(path, "something stands before its beginning")
            return [_laid_out(h5py, source, place, found) for place, found in _datasets(h5py, path, root, "", set())]
    except BadCheckpoint:
        raise
    except Exception as error:  # the library tells of damage by nearly every kind of error
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise _damaged(path, reason) from error


def _datasets(h5py: Any, path: Path, group: Any, place: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Every data set with its path; no link is followed, and no group is entered twice."""
    for name in group:
        here = f"{place}/{name}" if place else name
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise _damaged(path, f"{here!r} is a link to another place")
        found = group[name]
        if isinstance(found, h5py.Dataset):
            yield here, found
            continue
        address = h5py.h5o.get_info(found.id).addr
        if not isinstance(found, h5py.Group) or address in seen:
            raise _damaged(path, f"{here!r} is no data set and no group of its own")
        seen.add(address)
        yield from _datasets(h5py, path, found, here, seen)


def _laid_out(h5py: Any, source: SourceFile, place: str, found: Any) -> Layout:
    """Where one data set's values lie in the file."""
    path, shape, dtype = source.path, found.shape, DTYPES.get(found.dtype.str)
    if dtype is None or shape is None or len(shape) > MOST_DIMENSIONS:
        raise _damaged(path, f"{place!r} is {shape} of {found.dtype}, not an array of numbers")
    properties = found.id.get_create_plist()
    plain = properties.get_layout() == h5py.h5d.CONTIGUOUS and not properties.get_external_count()
    length, begin = math.prod(shape) * dtype.itemsize, found.id.get_offset()
    if not plain or (begin is None and length):
        raise _damaged(path, f"the values of {place!r} do not lie in the file in one piece, as TensorFlow writes them")
    begin = begin or 0
    if found.id.get_storage_size() != length or begin + length > source.size:
        raise _damaged(path, f"{place!r} of shape {list(shape)} needs {length} bytes, which the file does not hold")
    transposed = place.removesuffix(":0").endswith("/kernel") and len(shape) == 2
    values = (Stretch(source, begin, length),)
    return layout_of(torch_name(place), shape[::-1] if transposed else shape, dtype, values, transposed)


def _h5py() -> Any:
    try:
        return importlib.import_module("h5py")
    except ImportError as error:
        raise MissingDependency("tf_model.h5 needs the package h5py: pip install h5py") from error


def _damaged(path: Path, reason: str) -> BadCheckpoint:
    return BadCheckpoint(path.name, f"it is cut short, damaged or not TensorFlow's: {reason}", DOWNLOAD_AGAIN + ".")


FORMAT = Format("tf_h5", 3, ("tf_model.h5", "tf_model.h5.index.json"), open_h5)
