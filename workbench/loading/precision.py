"""How a model's weights are held: the table of precisions, the choice of one, and the reading of plain tensors."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from workbench.collect import collect
from workbench.errors import BadCheckpoint, BadRequest
from workbench.loading import precisions as drawer
from workbench.loading.checkpoint import Checkpoint, TensorInfo
from workbench.loading.filling import fill

BLOCK_MATRIX = re.compile(r"(?:transformer\.)?h\.\d+\..+_proj\.weight|(?:transformer\.)?h\.\d+\.mlp\.fc_\w+\.weight")
"""The matrices that a quantised precision holds in few bits: nine tenths of the model."""


class QuantisedMatrices(Protocol):
    """The blocks' matrices in few bits; everything else stays in a float type."""

    marker: str
    """How names end that only a folder saved so holds."""
    dtype: torch.dtype
    """Of a saved matrix."""
    packs: bool
    """Whether a saved matrix has another shape than the layer's: several weights in one element."""
    devices: tuple[str, ...]
    """The kinds of devices that compute with it."""

    def quantization_config(self) -> dict[str, Any]:
        """What config.json says of a folder saved so."""
        ...

    def bytes(self, rows: int, columns: int) -> int:
        """What one matrix weighs, its scales included."""
        ...

    def module(self, linear: nn.Linear, dtype: torch.dtype) -> nn.Module:
        """The module, still without weights, that takes a linear layer's place; `dtype` is its inputs'."""
        ...

    def companions(self, weight: str) -> tuple[str, ...]:
        """The names of the further tensors that a saved matrix comes with."""
        ...

    def quantise(self, module: nn.Module, checkpoint: Checkpoint, name: str, device: torch.device) -> nn.Parameter:
        """The matrix from a float tensor of a checkpoint, on the device, without a float copy of it."""
        ...

    def restore(self, module: nn.Module, checkpoint: Checkpoint, name: str, device: torch.device) -> nn.Parameter:
        """The matrix as a folder of this precision holds it, bit for bit."""
        ...


@dataclass(frozen=True)
class Precision:
    """One way of holding a model."""

    name: str
    dtype: torch.dtype | None = None
    """The float type of every weight; None for a quantised precision, whose other weights follow the checkpoint."""
    matrices: QuantisedMatrices | None = None

    def bytes(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> int:
        """What one parameter weighs; `dtype` is that of the float weights."""
        if self.matrices is not None and BLOCK_MATRIX.fullmatch(name):
            return self.matrices.bytes(*shape)
        count = dtype.itemsize
        for size in shape:
            count *= size
        return count

    def computes_on(self, device: str) -> bool:
        """Whether a kind of device ("cpu", "cuda") computes with it."""
        return self.matrices is None or device in self.matrices.devices

    def prepare(self, model: nn.Module, dtype: torch.dtype) -> None:
        """Gives a model without weights its float type and its quantised layers."""
        model.to(dtype)
        if self.matrices is None:
            return
        for name, module in list(model.named_modules()):
            if isinstance(module, nn.Linear) and BLOCK_MATRIX.fullmatch(f"{name}.weight"):
                parent, _, attribute = name.rpartition(".")
                setattr(model.get_submodule(parent), attribute, self.matrices.module(module, dtype))


@dataclass(frozen=True)
class Chosen:
    """What a load uses."""

    precision: Precision
    dtype: torch.dtype
    """Of the float weights, and of the activations."""


def precisions() -> dict[str, Precision]:
    """Every precision by its name."""
    return collect(drawer, "PRECISION")


def named(name: str) -> Precision:
    """One precision.

    Raises:
        BadRequest: there is none of this name.
    """
    table = precisions()
    if name not in table:
        raise BadRequest(f"precision must be one of {', '.join(table)}; got {name!r}.")
    return table[name]


def rest_dtype(precision: Precision, checkpoint_dtype: torch.dtype | None = None) -> torch.dtype:
    """The type of the weights outside the quantised matrices, when none is asked for.

    A quantised model keeps embedding, LayerNorms and head in 16 bits: in float32 they alone would double GPT-J-6B's
    size outside the blocks. A 16-bit checkpoint keeps its own type, bit for bit; from float32 it is bfloat16, which has
    float32's range, so no weight or activation can overflow.
    """
    if precision.dtype is not None:
        return precision.dtype
    return checkpoint_dtype if checkpoint_dtype in (torch.float16, torch.bfloat16) else torch.bfloat16


def choose(tensors: Mapping[str, TensorInfo], precision: str | None, dtype: torch.dtype | str | None) -> Chosen:
    """The precision and the float type of a load, from what the folder holds and what was asked for.

    Without a precision a quantised folder keeps its own and a float one takes `dtype`, or else the checkpoint's type.

    Raises:
        BadRequest: an unknown precision or dtype, two that disagree, or one that the folder can't become.
    """
    wanted = _as_dtype(dtype)
    held = float_dtype(tensors)
    saved = saved_precision(tensors)
    if precision is None:
        precision = saved.name if saved is not None else _float_precision(wanted or held).name
    chosen = named(precision)
    if saved is not None and chosen is not saved and chosen.name != saved.name:
        raise BadRequest(
            f"This folder holds {saved.name} weights, which can't become {chosen.name}. "
            f"Leave the precision out, or load the original checkpoint."
        )
    if chosen.dtype is not None and wanted not in (None, chosen.dtype):
        raise BadRequest(f"precision={chosen.name!r} and dtype={wanted} disagree; give one of them")
    return Chosen(chosen, wanted or rest_dtype(chosen, held))


def saved_precision(tensors: Mapping[str, TensorInfo]) -> Precision | None:
    """The quantised precision in which a folder was saved, as its tensors tell; None for float weights."""
    for precision in precisions().values():
        if precision.matrices is not None and any(name.endswith(precision.matrices.marker) for name in tensors):
            return precision
    return None


def float_dtype(tensors: Mapping[str, TensorInfo]) -> torch.dtype:
    """The float type that holds most of a checkpoint's bytes; float32 stands for float64 and for none."""
    sizes: dict[torch.dtype, int] = {}
    for info in tensors.values():
        if info.dtype.is_floating_point and not info.name.endswith((".SCB", ".absmax", ".quant_map", ".row_scales")):
            sizes[info.dtype] = sizes.get(info.dtype, 0) + info.bytes
    most = max(sizes, key=lambda dtype: sizes[dtype], default=torch.float32)
    return torch.float32 if most == torch.float64 else most


def read_float(checkpoint: Checkpoint, name: str, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """A float tensor of a checkpoint, cast piece by piece on its way to the device.

    Raises:
        BadCheckpoint: it is not a float tensor, or holds NaN or infinite values.
    """
    info = checkpoint.tensors[name]
    out = torch.empty(info.shape, dtype=dtype, device=device)
    return fill(out, checkpoint, name, lambda piece: finite(piece, dtype, info))


def finite(piece: torch.Tensor, dtype: torch.dtype, info: TensorInfo) -> torch.Tensor:
    """A piece of a float tensor in another float type.

    Raises:
        BadCheckpoint: it is not of a float type, holds NaN or infinite values, or does not fit the type.
    """
    if not piece.is_floating_point():
        raise BadCheckpoint(info.file, f"the tensor {info.name!r} is {piece.dtype}, where float weights belong")
    cast = piece.to(dtype)
    # One pass without a temporary: the smallest and largest value are NaN as soon as any value is.
    if all(bool(torch.isfinite(bound)) for bound in torch.aminmax(cast)):
        return cast
    if all(bool(torch.isfinite(bound)) for bound in torch.aminmax(piece)):
        hint = "Choose bfloat16 or float32."
        raise BadCheckpoint(info.file, f"the tensor {info.name!r} has values too large for {dtype}", hint)
    hint = "The checkpoint is broken, or was trained until it diverged."
    raise BadCheckpoint(info.file, f"the tensor {info.name!r} holds NaN or infinite values", hint)


def _as_dtype(dtype: torch.dtype | str | None) -> torch.dtype | None:
    if dtype is None or dtype == "auto":
        return None
    found = getattr(torch, dtype.removeprefix("torch."), None) if isinstance(dtype, str) else dtype
    if found not in [precision.dtype for precision in precisions().values() if precision.dtype is not None]:
        raise BadRequest(f"dtype must be float32, bfloat16 or float16; got {dtype!r}.")
    return found


def _float_precision(dtype: torch.dtype) -> Precision:
    return next(precision for precision in precisions().values() if precision.dtype == dtype)
