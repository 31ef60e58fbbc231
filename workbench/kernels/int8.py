"""Linear layers with 8-bit weights, one scale a row, as bitsandbytes stores them.

Activations are quantised in 8 bits too, a scale for each row of them; those beyond 6 are multiplied as floats, row by
row (LLM.int8, Dettmers et al., 2022). The sums are exact integers: compiled, a row's bits depend on that row alone.
"""

import ctypes

import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.kernels.arguments import check_columns, is_vector, rows_of
from workbench.kernels.compiled import FLOAT_TYPES, kernels

FEW_ROWS = 16
"""Up to so many rows PyTorch's own product with 8-bit weights is faster than widening them."""
WIDENED_ROWS = 1024
"""Weight rows widened at a time."""


def int8_linear(x: Tensor, weight: Tensor, row_scales: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b: (..., K) -> (..., N) in x's type, on the CPU; W = weight * row_scales / 127.

    Args:
        weight: (N, K) int8.
        row_scales: (N,) in any float type, the largest size in each row.
        bias: (N,) in any float type.

    Raises:
        ValueError: the tensors do not belong together, are not on the CPU, or K is above 65,536.
    """
    fits = weight.dtype == torch.int8 and weight.dim() == 2 and weight.shape[1] == x.shape[-1]
    fits = fits and is_vector(row_scales, len(weight)) and is_vector(bias, len(weight))
    rows = rows_of(x, fits, weight, row_scales, bias)
    check_columns(x.shape[-1])
    if not len(rows):
        return x.new_empty(*x.shape[:-1], len(weight))
    library, scales = kernels().library, row_scales.float()
    if library is None:
        return _torch_linear(rows, weight, scales, bias).view(*x.shape[:-1], len(weight))
    return _compiled_linear(library, rows, weight, scales, bias).view(*x.shape[:-1], len(weight))


def _compiled_linear(
    library: ctypes.CDLL, x: Tensor, weight: Tensor, row_scales: Tensor, bias: Tensor | None
) -> Tensor:
    dtype = torch.bfloat16 if x.dtype == torch.bfloat16 else torch.float32
    rows = x.to(dtype).contiguous()
    weight, row_scales = weight.contiguous(), row_scales.contiguous()
    added = None if bias is None else bias.to(dtype).contiguous()
    out = torch.empty(len(x), len(weight), dtype=dtype)
    failed = library.int8_linear(
        FLOAT_TYPES[dtype],
        rows.data_ptr(),
        rows.shape[0],
        rows.shape[1],
        weight.data_ptr(),
        row_scales.data_ptr(),
        None if added is None else added.data_ptr(),
        len(weight),
        out.data_ptr(),
        torch.get_num_threads(),
    )
    if failed:
        raise MemoryError("no memory is left for a linear layer's activations")
    return out.to(x.dtype)


def _torch_linear(x: Tensor, weight: Tensor, row_scales: Tensor, bias: Tensor | None) -> Tensor:
    """The same product by PyTorch alone, with activations in bfloat16: its kernel takes no others quickly."""
    rows, weight = x.to(torch.bfloat16).contiguous(), weight.contiguous()
    scales = row_scales / 127
    if len(rows) <= FEW_ROWS and x.shape[-1] % 16 == 0:  # the only widths that it computes right
        # Scaled afterwards in float32: the kernel would round the scales to bfloat16.
        out = torch._weight_int8pack_mm(rows, weight, torch.ones(len(weight), dtype=torch.bfloat16)).float()
    else:
        parts = weight.split(WIDENED_ROWS)
        out = torch.cat([F.linear(rows, part.to(torch.bfloat16)) for part in parts], dim=-1).float()
    out *= scales
    if bias is not None:
        out += bias.float()
    return out.to(x.dtype)
