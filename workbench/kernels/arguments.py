"""What a product is given, checked before C reads it: there, a wrong shape reads what lies beyond a tensor."""

import math

from torch import Tensor

MOST_COLUMNS = 2**16
"""Of a layer of integers: the sums of more could pass 32 bits."""


def rows_of(x: Tensor, fits: bool, *layer: Tensor | None) -> Tensor:
    """x (..., K) as (M, K).

    Args:
        fits: whether shapes and types belong together, as the caller knows.
        layer: the layer's other tensors.

    Raises:
        ValueError: they do not, K is 0, x is no float tensor, or a tensor is not on the CPU.
    """
    given = [x, *(part for part in layer if part is not None)]
    if not fits or not x.is_floating_point() or not x.shape[-1]:
        told = ", ".join(f"{list(part.shape)} {part.dtype}" for part in given)
        raise ValueError(f"tensors that make no product: {told}")
    if not all(part.is_cpu for part in given):
        devices = ", ".join(str(part.device) for part in given)
        raise ValueError(f"the kernels compute on the CPU alone, and the tensors are on {devices}")
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def check_columns(columns: int) -> None:
    """Whether a layer of integers is narrow enough for exact sums.

    Raises:
        ValueError: it is not.
    """
    if columns > MOST_COLUMNS:
        raise ValueError(f"a layer of {columns} columns; 32-bit sums hold those of {MOST_COLUMNS}")


def is_vector(part: Tensor | None, length: int) -> bool:
    """Whether a bias, or what else a layer has of each row, is one; None is a layer without."""
    return part is None or (part.dim() == 1 and part.shape[0] == length)
