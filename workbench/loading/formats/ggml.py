"""The file of ggml's GPT-J example: the model's sizes, its vocabulary, and tensors under PyTorch's names.

Floats are read as they are. Of the quantised types those are read that are plain blocks of 32 weights with a scale:
they become float32, exactly what ggml computes with. The layout: examples/gpt-j and src/ggml-quants.c in
https://github.com/ggml-org/ggml
"""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch

from workbench.errors import BadCheckpoint
from workbench.loading.checkpoint import DOWNLOAD_AGAIN, Format, TensorInfo, refuse_foreign
from workbench.loading.layout import Band, LaidOutCheckpoint, Layout, SourceFile, Stretch, layout_of, source_file

MAGIC = 0x67676D6C
OTHER_MAGICS = {0x67676D66: "ggmf", 0x67676A74: "ggjt", 0x46554747: "GGUF"}
SIZES = ("vocab_size", "n_positions", "n_embd", "n_head", "n_layer", "rotary_dim")
"""The numbers at the file's beginning, as config.json calls them; the type of the weights follows."""
BLOCK = 32
"""Weights that share a scale."""
QUANTISATION_VERSION = 2
"""The layout of the blocks since May 2023; the type of the weights is written with 1000 times this added."""
VERSION_FACTOR = 1000
FLOATS = {0: torch.float32, 1: torch.float16}
OTHER_TYPES = {
    4: "Q4_2", 5: "Q4_3", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K",
    30: "BF16",
}  # fmt: skip
MOST_DIMENSIONS = 4
MOST_TENSORS = 100_000
LONGEST_NAME = 1024
LONGEST_TOKEN = 65_536


@dataclass(frozen=True)
class Blocks:
    """A quantised type: so many bytes hold 32 weights."""

    name: str
    bytes: int
    decode: Callable[[torch.Tensor], torch.Tensor]
    """From blocks (..., bytes) in uint8 to weights (..., 32) in float32."""


def open_ggml(path: Path) -> LaidOutCheckpoint:
    """The tensors of a ggml file.

    Raises:
        BadCheckpoint: the file is not a whole one, or holds a quantised type that is not read; the type is named.
    """
    return LaidOutCheckpoint(_read(path)[1])


def ggml_config(path: Path) -> dict[str, Any]:
    """What config.json would say of the model, from the file's first numbers.

    Raises:
        BadCheckpoint: as `open_ggml`.
    """
    sizes, layouts = _read(path)
    inner = layouts.get("transformer.h.0.mlp.fc_in.bias")
    if inner is not None and inner.info.shape != (4 * sizes["n_embd"],):
        sizes["n_inner"] = inner.info.shape[0]
    return {"model_type": "gptj", **sizes}


def _read(path: Path) -> tuple[dict[str, int], dict[str, Layout]]:
    try:
        source = source_file(path)
        with path.open("rb") as file:
            refuse_foreign(path.name, file.read(1024), source.size)
            file.seek(0)
            reader = _Reader(file, source)
            sizes, version = reader.sizes()
            reader.step_over_vocabulary(sizes["vocab_size"])
            layouts: dict[str, Layout] = {}
            while reader.at < source.size:
                layout = reader.tensor(version)
                if layout.info.name in layouts or len(layouts) == MOST_TENSORS:
                    reason = f"the tensor {layout.info.name!r} twice, or more than {MOST_TENSORS} of them"
                    raise BadCheckpoint(path.name, f"it holds {reason}")
                layouts[layout.info.name] = layout
    except OSError as error:
        raise BadCheckpoint(path.name, f"it can't be read ({error.strerror or error})") from error
    return sizes, layouts


class _Reader:
    """Reads the parts of a file in order; no length is believed that the rest of the file could not hold."""

    def __init__(self, file: IO[bytes], source: SourceFile):
        self._file, self._source = file, source
        self.at = 0

    def sizes(self) -> tuple[dict[str, int], int]:
        """The model's sizes, and the version of the quantised blocks."""
        (magic,) = self._numbers(1)
        if magic != MAGIC:
            other = OTHER_MAGICS.get(magic)
            found = f"it is a {other} file, another of ggml's formats" if other else "it is not a ggml file"
            raise BadCheckpoint(self._source.path.name, found)
        sizes = dict(zip(SIZES, self._numbers(len(SIZES)), strict=True))
        (weights_type,) = self._numbers(1)
        wrong = [f"{name} {size}" for name, size in sizes.items() if not 0 < size < 2**24]
        if wrong:
            raise self._damaged(f"it says {', '.join(wrong)}")
        return sizes, weights_type // VERSION_FACTOR

    def step_over_vocabulary(self, vocab_size: int) -> None:
        """The tokens' bytes: a vocabulary without merges, which makes no tokenizer."""
        (count,) = self._numbers(1)
        if count != vocab_size:
            raise self._damaged(f"it holds {count} tokens, and its vocab_size is {vocab_size}")
        for _ in range(count):
            (length,) = self._numbers(1)
            if not 0 <= length <= LONGEST_TOKEN:
                raise self._damaged(f"a token at byte {self.at} has {length} bytes")
            self._step_over(length)

    def tensor(self, version: int) -> Layout:
        """The next tensor; its sizes are written from the fastest to the slowest."""
        dimensions, name_length, kind = self._numbers(3)
        if not 0 <= dimensions <= MOST_DIMENSIONS or not 0 < name_length <= LONGEST_NAME:
            raise self._damaged(
                f"a tensor at byte {self.at} has {dimensions} dimensions and a name of {name_length} bytes"
            )
        shape = self._numbers(dimensions)[::-1]
        name = self._take(name_length).decode("utf-8", "backslashreplace")
        if any(size < 0 for size in shape):
            raise self._damaged(f"the tensor {name!r} has the shape {list(shape)}")
        if kind in FLOATS:
            stretch = self._stretch(name, math.prod(shape) * FLOATS[kind].itemsize)
            return layout_of(name, shape, FLOATS[kind], (stretch,))
        blocks = BLOCKS.get(kind)
        if blocks is None or version != QUANTISATION_VERSION:
            type_name = blocks.name if blocks is not None else OTHER_TYPES.get(kind, f"number {kind}")
            layout = "" if blocks is None else f" in its old layout (version {version})"
            known = ", ".join(["F32", "F16", *(block.name for block in BLOCKS.values())])
            reason = f"the tensor {name!r} is of the type {type_name}{layout}, which is not read; read are {known}"
            raise BadCheckpoint(self._source.path.name, reason, "Convert the original checkpoint instead.")
        return self._quantised(name, shape, blocks)

    def _quantised(self, name: str, shape: tuple[int, ...], blocks: Blocks) -> Layout:
        if len(shape) != 2 or shape[1] % BLOCK:
            raise self._damaged(f"the rows of {name!r}, {list(shape)}, are no whole blocks of {BLOCK}")
        rows, columns = shape
        row_bytes = columns // BLOCK * blocks.bytes
        info = TensorInfo(name, shape, torch.float32, rows * columns * 4, self._source.path.name)

        def decode(stored: torch.Tensor) -> torch.Tensor:
            return blocks.decode(stored.reshape(-1, blocks.bytes)).reshape(-1, columns)

        band = Band(rows, row_bytes, (self._stretch(name, rows * row_bytes),))
        return Layout(info, (band,), torch.uint8, decode)

    def _stretch(self, name: str, length: int) -> Stretch:
        stretch = Stretch(self._source, self.at, length)
        if length > self._source.size - self.at:
            left = self._source.size - self.at
            raise self._damaged(f"the tensor {name!r} needs {length} bytes, and {left} are left")
        self._step_over(length)
        return stretch

    def _numbers(self, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}i", self._take(4 * count))

    def _take(self, length: int) -> bytes:
        data = self._file.read(length) if length <= self._source.size - self.at else b""
        if len(data) != length:
            raise self._damaged(f"it ends at byte {self._source.size}, in the middle of something")
        self.at += length
        return data

    def _step_over(self, length: int) -> None:
        if length > self._source.size - self.at:
            raise self._damaged(f"it ends at byte {self._source.size}, in the middle of something")
        self.at += length
        self._file.seek(self.at)

    def _damaged(self, reason: str) -> BadCheckpoint:
        return BadCheckpoint(self._source.path.name, f"it is cut short or damaged: {reason}", DOWNLOAD_AGAIN + ".")


def _halves(blocks: torch.Tensor, begin: int) -> torch.Tensor:
    """The float16 number that begins at a byte of each block, (..., 1) in float32."""
    return blocks[..., begin : begin + 2].contiguous().view(torch.float16).float()


def _nibbles(packed: torch.Tensor) -> torch.Tensor:
    """(..., 16) -> (..., 32): the low halves of all bytes, then the high ones."""
    return torch.cat([packed & 0x0F, packed >> 4], dim=-1)


def _fifth_bits(packed: torch.Tensor) -> torch.Tensor:
    """(..., 4) -> (..., 32): each bit as 0 or 16, the lowest first."""
    bits = packed[..., None] >> torch.arange(8, dtype=torch.uint8) & 1
    return bits.flatten(-2) << 4


def _q4_0(blocks: torch.Tensor) -> torch.Tensor:
    return (_nibbles(blocks[..., 2:]).float() - 8) * _halves(blocks, 0)


def _q4_1(blocks: torch.Tensor) -> torch.Tensor:
    return _nibbles(blocks[..., 4:]).float() * _halves(blocks, 0) + _halves(blocks, 2)


def _q5_0(blocks: torch.Tensor) -> torch.Tensor:
    return ((_nibbles(blocks[..., 6:]) | _fifth_bits(blocks[..., 2:6])).float() - 16) * _halves(blocks, 0)


def _q5_1(blocks: torch.Tensor) -> torch.Tensor:
    levels = _nibbles(blocks[..., 8:]) | _fifth_bits(blocks[..., 4:8])
    return levels.float() * _halves(blocks, 0) + _halves(blocks, 2)


def _q8_0(blocks: torch.Tensor) -> torch.Tensor:
    return blocks[..., 2:].contiguous().view(torch.int8).float() * _halves(blocks, 0)


BLOCKS = {
    2: Blocks("Q4_0", 18, _q4_0),
    3: Blocks("Q4_1", 20, _q4_1),
    6: Blocks("Q5_0", 22, _q5_0),
    7: Blocks("Q5_1", 24, _q5_1),
    8: Blocks("Q8_0", 34, _q8_0),
}
FILES = ("ggml-model.bin", "ggml-model-f32.bin", "ggml-model-f16.bin", *(
    f"ggml-model-{blocks.name.lower()}.bin" for blocks in reversed(BLOCKS.values())
))  # fmt: skip
FORMAT = Format("ggml", 4, FILES, open_ggml, ggml_config)
