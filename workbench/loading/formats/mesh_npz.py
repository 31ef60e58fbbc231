"""mesh-transformer-jax's slim checkpoints: a folder shard_0, shard_1, ... for each device, 16 .npz files in each.

The files hold nothing but arrays in order: the leaves of the parameters' tree, whose keys are sorted as text, so that
layer_10 stands before layer_2. A matrix is (in, out), and is cut along the side that a device computes; biases that
every device adds to its part of a sum are summed. bfloat16 is stored as two bytes without a type ("V2").
The layout: https://github.com/kingoflolz/mesh-transformer-jax (checkpoint.py, to_hf_weights.py)
"""

import math
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import torch

from workbench.errors import BadCheckpoint
from workbench.loading.checkpoint import DOWNLOAD_AGAIN, Format, TensorInfo, refuse_foreign, whole
from workbench.loading.layout import Band, LaidOutCheckpoint, Layout, SourceFile, Stretch, source_file

DTYPES = {
    "|V2": torch.bfloat16,
    "<V2": torch.bfloat16,
    "<f2": torch.float16,
    "<f4": torch.float32,
    "<f8": torch.float64,
    "<i4": torch.int32,
    "<i8": torch.int64,
    "<u4": torch.uint32,
}
LAYER_LEAVES = (
    ("attn.q_proj.weight", "out"),
    ("attn.v_proj.weight", "out"),
    ("attn.k_proj.weight", "out"),
    ("attn.out_proj.weight", "in"),
    ("mlp.fc_in.bias", "joined"),
    ("mlp.fc_in.weight", "out"),
    ("mlp.fc_out.bias", "summed"),
    ("mlp.fc_out.weight", "in"),
    ("ln_1.bias", "first"),
    ("ln_1.weight", "first"),
)
"""A layer's leaves in the tree's order (linear, linear_1, ...: q, v, k!), and how the shards' parts make each."""
FIRST_LEAVES = 2
"""Of the embedding: its bias, then its rows."""
LAST_LEAVES = (
    ("lm_head.bias", "joined"),
    ("lm_head.weight", "out"),
    ("transformer.ln_f.bias", "first"),
    ("transformer.ln_f.weight", "first"),
)
FIXED_LEAVES = FIRST_LEAVES + len(LAST_LEAVES)
WTE = "transformer.wte.weight"
ZIP_HEADER = struct.Struct("<4s22xHH")
"""Of a zip member: its mark, and the lengths of its name and its extra field."""
NPY_HEADER = struct.Struct("<8sH")
NPY_DESCRIPTION = re.compile(
    rb"\{'descr': '([^']{2,9})', 'fortran_order': False, 'shape': \(((?:\d{1,12},? ?){0,4})\), \}\s*"
)
"""As NumPy writes it; an array in Fortran's order is in no slim checkpoint."""
MOST_ARRAYS = 100_000


@dataclass(frozen=True)
class Leaf:
    """One array of one shard."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    stretch: Stretch


def open_mesh(first_shard: Path) -> LaidOutCheckpoint:
    """The tensors of a folder of shards under PyTorch's names, from the path of its shard_0.

    Raises:
        BadCheckpoint: a shard is missing, its files are not whole, or they are not the leaves of a GPT-J.
    """
    folder = first_shard.parent
    shards = [_leaves(shard) for shard in _shards(folder)]
    counts = {len(leaves) for leaves in shards}
    if len(counts) > 1:
        raise _not_mesh(folder, f"its shards hold different numbers of arrays: {sorted(counts)}")
    leaves = list(zip(*shards, strict=True))
    if leaves and leaves[-1][0].shape == () and not leaves[-1][0].dtype.is_floating_point:
        leaves.pop()  # the number of the training step, last in the tree
    layers, rest = divmod(len(leaves) - FIXED_LEAVES, len(LAYER_LEAVES))
    if layers < 1 or rest:
        reason = f"a shard holds {len(leaves)} arrays of weights; a slim checkpoint of L layers holds 10 L + 6"
        raise _not_mesh(folder, reason + ". A full checkpoint with the optimizer's state has to be made slim first")
    layouts = [_embedding(folder, leaves[0], leaves[1])]
    order = sorted(range(layers), key=lambda i: f"layer_{i}/")
    places = [(f"transformer.h.{i}.{name}", how) for i in order for name, how in LAYER_LEAVES] + list(LAST_LEAVES)
    layouts += [
        _joined(folder, name, how, held) for (name, how), held in zip(places, leaves[FIRST_LEAVES:], strict=True)
    ]
    _check_shapes(folder, {layout.info.name: layout.info for layout in layouts})
    return LaidOutCheckpoint({layout.info.name: layout for layout in layouts})


def _shards(folder: Path) -> list[Path]:
    """The folders of the shards in order, without a gap."""
    found = {path.name for path in folder.iterdir() if re.fullmatch(r"shard_\d+", path.name) and path.is_dir()}
    wanted = [f"shard_{i}" for i in range(len(found))]
    if not found or set(wanted) != found:
        missing = next((name for name in wanted if name not in found), "shard_0")
        raise BadCheckpoint(missing, f"the folder {folder.name} holds other shards, and not this one", "Download it.")
    return [folder / name for name in wanted]


def _leaves(shard: Path) -> list[Leaf]:
    """The arrays of one shard in the tree's order."""
    numbers = sorted(int(path.stem) for path in shard.glob("*.npz") if re.fullmatch(r"0|[1-9]\d{0,4}", path.stem))
    if not numbers or numbers != list(range(len(numbers))):
        missing = next((i for i, number in enumerate(numbers) if i != number), len(numbers))
        raise BadCheckpoint(f"{shard.name}/{missing}.npz", "the file is missing", "Download it.")
    return [leaf for number in numbers for leaf in _arrays(shard / f"{number}.npz")]


def _arrays(path: Path) -> Iterator[Leaf]:
    """The arrays of one .npz file: arr_0, arr_1, ..."""
    name = f"{path.parent.name}/{path.name}"
    try:
        source = source_file(path)
        with path.open("rb") as file:
            refuse_foreign(name, file.read(1024), source.size)
            with zipfile.ZipFile(file) as archive:
                members = {member.filename: member for member in archive.infolist()}
            for i in range(len(members)):
                member = members.get(f"arr_{i}.npy")
                if member is None or len(members) > MOST_ARRAYS:
                    raise _damaged(name, f"it holds no arr_{i}.npy beside {len(members)} others")
                yield _array(file, source, member, name)
    except (OSError, zipfile.BadZipFile, zipfile.LargeZipFile, ValueError, struct.error, NotImplementedError) as error:
        raise _damaged(name, str(error).splitlines()[0][:200] if str(error) else type(error).__name__) from error


def _array(file: IO[bytes], source: SourceFile, member: zipfile.ZipInfo, name: str) -> Leaf:
    """One array's header, and where its values lie."""
    if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
        raise _damaged(name, f"{member.filename} is compressed")
    file.seek(member.header_offset)
    mark, name_length, extra_length = ZIP_HEADER.unpack(file.read(ZIP_HEADER.size))
    if mark != b"PK\x03\x04":
        raise _damaged(name, f"{member.filename} is not where its list of contents says")
    begin = member.header_offset + ZIP_HEADER.size + name_length + extra_length
    file.seek(begin)
    magic, length = NPY_HEADER.unpack(file.read(NPY_HEADER.size))
    found = NPY_DESCRIPTION.fullmatch(file.read(length))
    if magic != b"\x93NUMPY\x01\x00" or found is None:
        raise _damaged(name, f"{member.filename} does not begin as an array does")
    stored, sizes = found.group(1).decode(), found.group(2).split(b",")
    shape, dtype = tuple(int(size) for size in sizes if size.strip()), DTYPES.get(stored)
    if dtype is None:
        raise _damaged(name, f"{member.filename} is of the type {stored!r}; known are {', '.join(DTYPES)}")
    at, needed = file.tell(), math.prod(shape) * dtype.itemsize
    held = min(begin + member.file_size, source.size) - at
    if held != needed:
        raise _damaged(name, f"{member.filename} of shape {list(shape)} needs {needed} bytes, and has {held}")
    return Leaf(shape, dtype, Stretch(source, at, needed))


def _embedding(folder: Path, biases: Sequence[Leaf], rows: Sequence[Leaf]) -> Layout:
    """Rows of the vocabulary, one after another; every one gets the sum of the biases, which GPT-J has no place for."""
    bands = _bands(folder, WTE, "rows", rows)
    bias = _sum(folder, "transformer.wte.bias", biases)
    shape = (sum(band.rows for band in bands), bands[0].columns)
    if bias.shape != shape[1:]:
        raise _not_mesh(folder, f"the embedding is {list(shape)}, and its bias is {list(bias.shape)}")
    info = TensorInfo(WTE, shape, torch.float32, math.prod(shape) * 4, _file(rows[0]))
    return Layout(info, bands, rows[0].dtype, lambda stored: stored.float() + bias)


def _joined(folder: Path, name: str, how: str, leaves: Sequence[Leaf]) -> Layout:
    """One tensor from its parts in all shards."""
    first = leaves[0]
    if how == "summed":
        values = _sum(folder, name, leaves)
        info = TensorInfo(name, tuple(values.shape), torch.float32, values.nbytes, _file(first))
        return Layout(info, (), torch.float32, computed=values)
    bands = _bands(folder, name, how, leaves)
    rows = sum(band.rows for band in bands)
    shape = (rows, bands[0].columns) if how in ("in", "out") else (rows,)
    return Layout(
        TensorInfo(name, shape, first.dtype, math.prod(shape) * first.dtype.itemsize, _file(first)), bands, first.dtype
    )


def _bands(folder: Path, name: str, how: str, leaves: Sequence[Leaf]) -> tuple[Band, ...]:
    """How the shards' parts lie: matrices as (in, out), to be transposed; rows and vectors as they are."""
    shapes, dtypes = [leaf.shape for leaf in leaves], {leaf.dtype for leaf in leaves}
    dimensions = 2 if how in ("rows", "in", "out") else 1
    same = {"rows": 1, "in": 1, "out": 0}.get(how)
    fits = all(len(shape) == dimensions and 0 not in shape for shape in shapes)
    if not fits or (same is not None and len({shape[same] for shape in shapes}) > 1):
        raise _not_mesh(folder, f"the parts of {name!r} have the shapes {[list(shape) for shape in shapes]}")
    if len(dtypes) > 1 or not leaves[0].dtype.is_floating_point:
        raise _not_mesh(folder, f"the parts of {name!r} are of the types {sorted(map(str, dtypes))}")
    stretches = tuple(leaf.stretch for leaf in leaves)
    if how == "in":
        return (Band(shapes[0][1], sum(shape[0] for shape in shapes), stretches, transposed=True),)
    if how == "out":
        return tuple(Band(leaf.shape[1], leaf.shape[0], (leaf.stretch,), transposed=True) for leaf in leaves)
    if how == "first":
        return (Band(shapes[0][0], 1, stretches[:1]),)
    return tuple(Band(leaf.shape[0], math.prod(leaf.shape[1:]), (leaf.stretch,)) for leaf in leaves)


def _sum(folder: Path, name: str, leaves: Sequence[Leaf]) -> torch.Tensor:
    """A vector that every shard holds a summand of, in float32."""
    if len({leaf.shape for leaf in leaves}) > 1:
        raise _not_mesh(folder, f"the parts of {name!r} have different shapes")
    parts = {str(i): _joined(folder, str(i), "joined", [leaf]) for i, leaf in enumerate(leaves)}
    checkpoint = LaidOutCheckpoint(parts)
    total = whole(checkpoint, "0").float()
    for i in range(1, len(leaves)):
        total += whole(checkpoint, str(i)).float()
    return total


def _check_shapes(folder: Path, tensors: Mapping[str, TensorInfo]) -> None:
    """Whether the leaves are what their place in the order says: another tree would give other shapes."""
    vocabulary, width = tensors[WTE].shape
    inner = tensors["transformer.h.0.mlp.fc_in.bias"].shape[0]
    wanted = {
        "lm_head.weight": (vocabulary, width),
        "lm_head.bias": (vocabulary,),
        "mlp.fc_in.weight": (inner, width),
        "mlp.fc_in.bias": (inner,),
        "mlp.fc_out.weight": (width, inner),
    }
    for name, info in tensors.items():
        kind = re.sub(r"^transformer\.(h\.\d+\.)?", "", name)
        expected = wanted.get(kind, (width, width) if kind.startswith("attn.") else (width,))
        if name != WTE and info.shape != expected:
            raise _not_mesh(folder, f"where {name!r} belongs, of shape {list(expected)}, is one of {list(info.shape)}")


def _file(leaf: Leaf) -> str:
    """The file's name from the checkpoint's folder on."""
    path = leaf.stretch.file.path
    return f"{path.parent.name}/{path.name}"


def _not_mesh(folder: Path, reason: str) -> BadCheckpoint:
    return BadCheckpoint(folder.name, f"it is no slim checkpoint of a GPT-J: {reason}")


def _damaged(name: str, reason: str) -> BadCheckpoint:
    return BadCheckpoint(name, f"it is cut short or damaged: {reason}", DOWNLOAD_AGAIN + ".")


FORMAT = Format("mesh_npz", 5, ("shard_0",), open_mesh)
