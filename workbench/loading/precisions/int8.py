"""LLM.int8 (Dettmers et al., 2022) through bitsandbytes: the blocks' matrices in 8 bits, one scale a row.

On CUDA and on CPU. Matrices are quantised a few rows at a time: the scales are row-wise, so the result is the same bit
for bit as of the whole, and the temporaries (five times the matrix at once, otherwise) stay small.
"""

import importlib
import logging
from typing import Any

import torch
from torch import nn

from workbench.errors import BadCheckpoint, MissingDependency
from workbench.loading.checkpoint import Checkpoint, whole
from workbench.loading.precision import Precision, finite

OUTLIER_THRESHOLD = 6.0
"""Activations beyond it are multiplied in 16 bits; the paper's value and the usual one."""


class Int8Matrices:
    """The blocks' matrices as `Linear8bitLt`."""

    marker = ".SCB"
    dtype = torch.int8
    packs = False

    def quantization_config(self) -> dict[str, Any]:
        """What config.json says of a folder saved so."""
        return {
            "quant_method": "bitsandbytes",
            "load_in_8bit": True,
            "load_in_4bit": False,
            "llm_int8_threshold": OUTLIER_THRESHOLD,
            "llm_int8_has_fp16_weight": False,
            "llm_int8_enable_fp32_cpu_offload": False,
            "llm_int8_skip_modules": ["lm_head", "score", "qa_outputs"],
        }

    def bytes(self, rows: int, columns: int) -> int:
        """One byte a weight and a float32 scale a row."""
        return rows * columns + 4 * rows

    def module(self, linear: nn.Linear, dtype: torch.dtype) -> nn.Module:
        """A Linear8bitLt on the meta device."""
        bnb = _bitsandbytes()
        # It warns on each forward of anything but float16 that it casts the inputs; that is how it is meant here.
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        new: nn.Module = bnb.nn.Linear8bitLt(
            linear.in_features,
            linear.out_features,
            bias=linear.bias is not None,
            has_fp16_weights=False,
            threshold=OUTLIER_THRESHOLD,
            device="meta",
        )
        if linear.bias is not None:
            new.bias = nn.Parameter(torch.empty(linear.out_features, dtype=dtype, device="meta"))
        return new

    def companions(self, weight: str) -> tuple[str, ...]:
        """The row scales, and the layout that old versions had several of."""
        layer = weight.removesuffix("weight")
        return layer + "SCB", layer + "weight_format"

    def quantise(self, module: nn.Module, checkpoint: Checkpoint, name: str, device: torch.device) -> nn.Parameter:
        """Row-wise absolute-maximum quantisation, on the device."""
        bnb = _bitsandbytes()
        info = checkpoint.tensors[name]
        rows, columns = info.shape
        weights = torch.empty(rows, columns, dtype=torch.int8, device=device)
        scales = torch.empty(rows, dtype=torch.float32, device=device)
        at = 0
        for piece in checkpoint.pieces(name):
            part = finite(piece, torch.float16, info).view(-1, columns).to(device)
            quantised, row_scales, _ = bnb.functional.int8_vectorwise_quant(part)
            weights[at : at + len(part)] = quantised
            scales[at : at + len(part)] = row_scales
            at += len(part)
        return _parameter(weights, scales)

    def restore(self, module: nn.Module, checkpoint: Checkpoint, name: str, device: torch.device) -> nn.Parameter:
        """The saved bytes and scales."""
        info = checkpoint.tensors[name]
        scale_name, format_name = self.companions(name)
        if scale_name not in checkpoint.tensors:
            raise BadCheckpoint(info.file, f"the tensor {scale_name!r}, the scales of {name!r}, is missing")
        described = checkpoint.tensors[scale_name]
        if described.shape != info.shape[:1] or described.dtype != torch.float32:
            found = f"{list(described.shape)} {described.dtype}"
            raise BadCheckpoint(described.file, f"{scale_name!r} is {found}, not [{info.shape[0]}] torch.float32")
        if format_name in checkpoint.tensors and int(whole(checkpoint, format_name).max()) != 0:
            raise BadCheckpoint(info.file, f"{name!r} is in an old, device-bound layout; only row order is read")
        weights = torch.empty(info.shape, dtype=torch.int8, device=device)
        flat, at = weights.view(-1), 0
        for piece in checkpoint.pieces(name):
            flat[at : at + piece.numel()] = piece
            at += piece.numel()
        return _parameter(weights, finite(whole(checkpoint, scale_name), torch.float32, described).to(device))


def _parameter(weights: torch.Tensor, scales: torch.Tensor) -> nn.Parameter:
    made: nn.Parameter = _bitsandbytes().nn.Int8Params(
        weights, requires_grad=False, has_fp16_weights=False, CB=weights, SCB=scales
    )
    return made


def _bitsandbytes() -> Any:
    # On import it looks for an optional package of the Hub and warns that it is not there; it is not needed.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    try:
        return importlib.import_module("bitsandbytes")
    except ImportError as error:
        raise MissingDependency("int8 needs the package bitsandbytes: pip install bitsandbytes") from error


PRECISION = Precision("int8", matrices=Int8Matrices())
