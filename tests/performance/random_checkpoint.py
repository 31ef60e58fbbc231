"""Checkpoints of random weights as wide as GPT-J-6B, written in int8 one tensor at a time: six billion take 0.5 GB."""

import zlib
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from tests.performance.checkpoints import write_tokenizer
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.config_file import CONFIG
from workbench.loading.memory import parameter_shapes
from workbench.loading.precision import BLOCK_MATRIX
from workbench.loading.precisions.int8 import Int8Matrices
from workbench.loading.write import TensorToSave, write_json, write_weights

LARGEST = 127
SPREAD = 4.0
"""A row's largest weight over its standard deviation: what 4,096 normal numbers come to."""


def write_int8(folder: Path, config: GPTJConfig) -> None:
    """A folder as `save_pretrained` leaves it of an int8 model, with a made-up tokenizer of GPT-J's size.

    The weights have the deviation of a fresh model; the matrices whose results are added up over the blocks have less,
    by the root of their number, so that the sum does not grow with the depth.
    """
    write_tokenizer(folder)
    shapes = parameter_shapes(GPTJForCausalLM, config)
    write_weights(folder, [tensor for name, shape in shapes.items() for tensor in _tensors(name, shape, config)])
    described = {"architectures": ["GPTJForCausalLM"], "dtype": "bfloat16", **config.to_dict()}
    write_json(folder / CONFIG, {**described, "quantization_config": Int8Matrices().quantization_config()})


def _tensors(name: str, shape: tuple[int, ...], config: GPTJConfig) -> Iterator[TensorToSave]:
    seed = zlib.crc32(name.encode())
    if not BLOCK_MATRIX.fullmatch(name):
        yield TensorToSave(name, shape, torch.bfloat16, lambda: _float_values(name, shape, seed))
        return
    deviation = config.initializer_range
    if name.endswith(("out_proj.weight", "fc_out.weight")):
        deviation /= (2 * config.n_layer) ** 0.5
    layer = name.removesuffix("weight")
    yield TensorToSave(name, shape, torch.int8, lambda: _int8_values(shape, seed))
    yield TensorToSave(layer + "SCB", shape[:1], torch.float32, lambda: torch.full(shape[:1], SPREAD * deviation))
    yield TensorToSave(layer + "weight_format", (), torch.uint8, lambda: torch.zeros((), dtype=torch.uint8))


def _float_values(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    if name.endswith("bias"):
        return torch.zeros(shape, dtype=torch.bfloat16)
    if ".ln_" in name:
        return torch.ones(shape, dtype=torch.bfloat16)
    generator = torch.Generator().manual_seed(seed)
    return torch.empty(shape, dtype=torch.bfloat16).normal_(std=0.02, generator=generator)


def _int8_values(shape: tuple[int, ...], seed: int) -> Tensor:
    """Normal numbers in steps of a 127th of their row's largest, a few rows at a time."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.empty(shape, dtype=torch.int8)
    for rows in values.split(1024):
        drawn = torch.empty(rows.shape).normal_(std=LARGEST / SPREAD, generator=generator)
        rows.copy_(drawn.round_().clamp_(-LARGEST, LARGEST))
    return values
