"""Linear layers with float weights for the few rows of a decoding step."""

import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.kernels.arguments import is_vector, rows_of
from workbench.kernels.compiled import FLOAT_TYPES, kernels

SMALLEST_LAYER = 4
"""Weight rows that the kernel needs."""
MOST_ROWS = 32
"""Of a step: beyond so many PyTorch's products are faster than reading the weights once."""


def row_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b in float32: (M, K) -> (M, N), on the CPU; weight (N, K) of any float type is read once.

    Compiled, a row's bits depend on that row alone, if the layer has 4 rows or more.

    Raises:
        ValueError: the tensors do not belong together, or are not on the CPU.
    """
    fits = x.dim() == 2 and weight.dim() == 2 and weight.shape[1] == x.shape[1] and is_vector(bias, len(weight))
    rows = rows_of(x, fits and weight.is_floating_point(), weight, bias)
    if not len(rows):
        return torch.empty(0, len(weight))
    library = kernels().library
    if library is None or len(weight) < SMALLEST_LAYER or weight.dtype not in FLOAT_TYPES:
        added = None if bias is None else bias.to(weight.dtype)
        return F.linear(x.to(weight.dtype), weight, added).float()
    rows = (rows if rows.dtype in FLOAT_TYPES else rows.float()).contiguous()
    weight = weight.contiguous()
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
        out.data_ptr(),
        torch.get_num_threads(),
    )
    if failed:
        raise MemoryError("no memory is left for a linear layer's activations")
    return out
