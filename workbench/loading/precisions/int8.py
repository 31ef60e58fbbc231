"""LLM.int8 (Dettmers et al., 2022): the blocks' matrices in 8 bits, one scale a row.

The layers, and the files, are bitsandbytes'; it computes on CUDA, and on a CPU where gradients are asked for. A CPU
otherwise computes with kernels that read each weight once and keep each row apart from its neighbours. Matrices are
quantised a few rows at a time: the scales are row-wise, so the result is the same bit for bit as of the whole, and the
temporaries (five times the matrix at once, otherwise) stay small.
"""

import functools
import importlib
import logging
from typing import Any

import torch
from torch import nn

from workbench.errors import BadCheckpoint, MissingDependency
from workbench.kernels.compiled import kernels
from workbench.kernels.int8 import int8_linear
from workbench.loading.checkpoint import Checkpoint, TensorInfo, whole
from workbench.loading.filling import fill, share_out
from workbench.loading.precision import Precision, finite

OUTLIER_THRESHOLD = 6.0
"""Activations beyond it are multiplied as floats; the paper's value and the usual one, and OUTLIER of the kernels."""
ROWS_AT_ONCE = 64
"""Rows quantised together: what they take for a moment, ten bytes a weight, stays in a core's cache."""


class Int8Matrices:
    """The blocks' matrices as `Linear8bitLt`."""

    marker = ".SCB"
    dtype = torch.int8
    packs = False
    devices: tuple[str, ...] = ("cpu", "cuda")

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
        # It warns on each forward of anything but float16 that it casts the inputs; that is how it is meant here.
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        new: nn.Module = _layer_class()(
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
        info = checkpoint.tensors[name]
        rows, columns = info.shape
        weights = torch.empty(rows, columns, dtype=torch.int8, device=device)
        scales = torch.empty(rows, dtype=torch.float32, device=device)

        def read(share: range) -> None:
            at = share.start
            for piece in checkpoint.pieces(name, share):
                for part in piece.view(-1, columns).split(ROWS_AT_ONCE):
                    end = at + len(part)
                    weights[at:end], scales[at:end] = _quantised(part, info, device)
                    at = end

        share_out(info, read)
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
        fill(weights, checkpoint, name, lambda piece: piece)
        return _parameter(weights, finite(whole(checkpoint, scale_name), torch.float32, described).to(device))


@functools.cache
def _layer_class() -> type[nn.Module]:
    class Int8Linear(_bitsandbytes().nn.Linear8bitLt):  # type: ignore[misc, name-defined]
        """bitsandbytes' layer, with a forward pass of our own on a CPU."""

        @property
        def rows_alone(self) -> bool:
            """Whether a row's bits depend on that row alone."""
            return self.weight.device.type == "cpu" and kernels().library is not None

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """As bitsandbytes' where the input or the bias needs a gradient, or off the CPU."""
            learns = x.requires_grad or (self.bias is not None and self.bias.requires_grad)
            needs_gradient = torch.is_grad_enabled() and learns
            if self.weight.device.type != "cpu" or x.device.type != "cpu" or needs_gradient:
                computed: torch.Tensor = super().forward(x)
                return computed
            # After a first pass of its own bitsandbytes keeps the scales in its state.
            own = self.weight.SCB  # read once: another thread's first pass may move it meanwhile
            return int8_linear(x, self.weight.data, self.state.SCB if own is None else own, self.bias)

    return Int8Linear


def _quantised(rows: torch.Tensor, info: TensorInfo, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows (R, C) of a float tensor -> (R, C) in int8 and each row's largest absolute value (R,), as in bitsandbytes.

    On a CPU they are computed here, from the same operations in fewer passes.
    """
    if device.type != "cpu":
        half = finite(rows, torch.float16, info).to(device)
        quantised, largest, _ = _bitsandbytes().functional.int8_vectorwise_quant(half)
        return quantised, largest
    values = rows.float().half().float()  # by way of float32: bfloat16 to float16 at once takes three times as long
    largest = torch.maximum(values.amax(1), -values.amin(1))
    if not bool(torch.isfinite(largest).all()):
        finite(rows, torch.float16, info)  # raises, and tells why
    return values.mul_((127.0 / largest)[:, None]).round_().to(torch.int8), largest


def _parameter(weights: torch.Tensor, scales: torch.Tensor) -> nn.Parameter:
    if weights.device.type == "cpu":
        kernels()  # compiled now, not while somebody waits for the first token
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
