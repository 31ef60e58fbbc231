"""Linear layers with 8-bit weights, one scale a row, as bitsandbytes stores them.

Activations are quantised in 8 bits too, a scale for each row of them; those beyond 6 are multiplied as floats, row by
row (LLM.int8, Dettmers et al., 2022). The sums are exact integers, so a row's bits depend on that row alone.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.kernels.compiled import FLOAT_TYPES, kernels

FEW_ROWS = 16
"""Up to so many rows PyTorch's own product with 8-bit weights is faster than widening them."""
WIDENED_ROWS = 1024
"""Weight rows widened at a time."""


def int8_linear(x: Tensor, weight: Tensor, row_scales: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b: (..., K) -> (..., N) in x's type, on the CPU; W = weight * row_scales / 127.

    Args:
        weight: (N, K) int8.
        row_scales: (N,) float32, the largest size in each row.
        bias: (N,) in any float type.
    """
    rows = x.reshape(-1, x.shape[-1])
    library = kernels().library
    product = _torch_linear if library is None else _compiled_linear
    return product(rows, weight, row_scales, bias).view(*x.shape[:-1], len(weight))


def _compiled_linear(x: Tensor, weight: Tensor, row_scales: Tensor, bias: Tensor | None) -> Tensor:
    library = kernels().library
    dtype = torch.float32 if x.dtype == torch.float16 else x.dtype
    rows = x.to(dtype).contiguous()
    weight, row_scales = weight.contiguous(), row_scales.contiguous()
    added = None if bias is None else bias.to(dtype).contiguous()
    out = torch.empty(len(x), len(weight), dtype=dtype)
    failed = library.int8_linear(  # type: ignore[union-attr]
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
    rows = x.to(torch.bfloat16)
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
