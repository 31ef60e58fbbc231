"""Linear layers with float weights for the few rows of a decoding step."""

import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.kernels.compiled import FLOAT_TYPES, kernels

SMALLEST_LAYER = 4
"""Weight rows that the kernel needs."""
MOST_ROWS = 32
"""Of a step: beyond so many PyTorch's products are faster than reading the weights once."""


def row_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b in float32: (M, K) -> (M, N), on the CPU; weight (N, K) of any float type is read once.

    Compiled, a row's bits depend on that row alone.
    """
    library = kernels().library
    if library is None or len(weight) < SMALLEST_LAYER:
        return F.linear(x.to(weight.dtype), weight, bias).float()
    rows, weight = x.contiguous(), weight.contiguous()
    added = None if bias is None else bias.to(weight.dtype).contiguous()
    out = torch.empty(len(x), len(weight))
    failed = library.row_linear(
        FLOAT_TYPES[rows.dtype],
        rows.data_ptr(),
        rows.shape[0],
        rows.shape[1],
        FLOAT_TYPES[weight.dtype],
        weight.data_ptr(),
        None if added is None else added.data_ptr(),
        len(weight),
        FLOAT_TYPES[out.dtype],
        out.data_ptr(),
        torch.get_num_threads(),
    )
    if failed:
        raise MemoryError("no memory is left for a linear layer's activations")
    return out
