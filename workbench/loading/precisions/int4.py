"""Four bits a weight for a CPU: codes for 16 levels, a table of levels for each 128 columns of a row.

Files and arithmetic are our own (kernels/int4.py): a quarter of bfloat16's bytes are read for a token, with less error
than nf4's and without its bfloat16 products. GPUs are served by nf4.
"""

from typing import Any

import torch
from torch import Tensor, nn

from workbench.errors import BadCheckpoint
from workbench.kernels.compiled import kernels
from workbench.kernels.int4 import GROUP, HALF, back_through, groups_of, int4_linear, quantise
from workbench.loading.checkpoint import Checkpoint, TensorInfo, whole
from workbench.loading.filling import fill, share_out
from workbench.loading.precision import Precision, finite

METHOD = "gptj-workbench-int4"


class Int4Matrices:
    """The blocks' matrices as `Int4Linear`."""

    marker = ".row_scales"
    dtype = torch.uint8
    packs = True
    devices: tuple[str, ...] = ("cpu",)

    def quantization_config(self) -> dict[str, Any]:
        """What config.json says of a folder saved so."""
        return {"quant_method": METHOD, "bits": 4, "group_size": GROUP, "modules_to_not_convert": ["lm_head"]}

    def bytes(self, rows: int, columns: int) -> int:
        """Half a byte a weight and a byte a group, in whole groups, and a float32 scale a row."""
        return rows * (groups_of(columns) * (HALF + 1) + 4)

    def module(self, linear: nn.Linear, dtype: torch.dtype) -> nn.Module:
        """An Int4Linear on the meta device."""
        kernels()  # compiled now, not while somebody waits for the first token
        return Int4Linear(linear.in_features, linear.out_features, linear.bias is not None, "meta", dtype)

    def companions(self, weight: str) -> tuple[str, ...]:
        """The numbers of the groups' tables, and the row scales."""
        layer = weight.removesuffix("weight")
        return layer + "group_tables", layer + "row_scales"

    def quantise(self, module: nn.Module, checkpoint: Checkpoint, name: str, device: torch.device) -> nn.Parameter:
        """The nearest codes, a few rows at a time: every row is quantised for itself."""
        info = checkpoint.tensors[name]
        rows, columns = info.shape
        codes = torch.empty(rows, groups_of(columns) * HALF, dtype=torch.uint8)
        tables = torch.empty(rows, groups_of(columns), dtype=torch.uint8)
        scales = torch.empty(rows)

        def read(share: range) -> None:
            at = share.start
            for piece in checkpoint.pieces(name, share):
                part = slice(at, at + piece.numel() // columns)
                values = finite(piece, torch.float32, info).view(-1, columns)
                codes[part], tables[part], scales[part] = quantise(values)
                at = part.stop

        share_out(info, read)
        return _filled(module, codes, tables, scales)

    def restore(self, module: nn.Module, checkpoint: Checkpoint, name: str, device: torch.device) -> nn.Parameter:
        """The saved bytes and scales."""
        info = checkpoint.tensors[name]
        rows, groups = int(module.out_features), groups_of(int(module.in_features))  # type: ignore[arg-type]
        table_name, scale_name = self.companions(name)
        _check(checkpoint, name, (rows, groups * HALF), torch.uint8, info)
        _check(checkpoint, table_name, (rows, groups), torch.uint8, info)
        _check(checkpoint, scale_name, (rows,), torch.float32, info)
        codes = fill(torch.empty(info.shape, dtype=torch.uint8), checkpoint, name, lambda piece: piece)
        scales = finite(whole(checkpoint, scale_name), torch.float32, checkpoint.tensors[scale_name])
        return _filled(module, codes, whole(checkpoint, table_name), scales)


class Int4Linear(nn.Linear):
    """A linear layer on a CPU whose weights are codes (N, groups x 64); gradients reach its input and its bias."""

    group_tables: Tensor
    row_scales: Tensor

    def __init__(self, in_features: int, out_features: int, bias: bool, device: str, dtype: torch.dtype):
        super().__init__(in_features, out_features, bias, device, dtype)
        self.register_buffer("group_tables", None)
        self.register_buffer("row_scales", None)

    @property
    def rows_alone(self) -> bool:
        """Whether a row's bits depend on that row alone."""
        return kernels().library is not None

    def forward(self, x: Tensor) -> Tensor:
        """x (..., K) -> (..., N)."""
        found: Tensor = _Product.apply(x, self.weight, self.group_tables, self.row_scales, self.bias)
        return found


class _Product(torch.autograd.Function):
    """int4_linear with its gradients; that of the rounded activations is taken as that of the exact ones."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, codes: Tensor, tables: Tensor, scales: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(codes, tables, scales)
        ctx.columns = x.shape[-1]
        return int4_linear(x, codes, tables, scales, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        codes, tables, scales = ctx.saved_tensors
        to_x = back_through(gradient, codes, tables, scales, ctx.columns) if ctx.needs_input_grad[0] else None
        to_bias = gradient.flatten(0, -2).sum(0) if ctx.needs_input_grad[4] else None
        return to_x, None, None, None, to_bias


def _check(checkpoint: Checkpoint, name: str, shape: tuple[int, ...], dtype: torch.dtype, owner: TensorInfo) -> None:
    found = checkpoint.tensors.get(name)
    if found is None:
        raise BadCheckpoint(owner.file, f"the tensor {name!r}, which belongs to {owner.name!r}, is missing")
    if found.shape != shape or found.dtype != dtype:
        told = f"{list(found.shape)} {found.dtype}, not {list(shape)} {dtype}"
        raise BadCheckpoint(found.file, f"the tensor {name!r} is {told}")


def _filled(module: nn.Module, codes: Tensor, tables: Tensor, scales: Tensor) -> nn.Parameter:
    """Gives a layer its tables and scales, and the codes as a parameter to be."""
    module.group_tables, module.row_scales = tables, scales
    return nn.Parameter(codes, requires_grad=False)


PRECISION = Precision("int4", matrices=Int4Matrices())
