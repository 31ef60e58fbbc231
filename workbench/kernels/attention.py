"""Attention of a decoding step: each query over the cached keys and values of its own stream."""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from workbench.kernels.compiled import FLOAT_TYPES, Kernels, kernels


class _Cached(ctypes.Structure):
    """`cached` of attention.c."""

    _fields_ = (("start", ctypes.c_void_p), ("head_stride", ctypes.c_long), ("tokens", ctypes.c_long))


def attend_rows(queries: Tensor, keys: Sequence[Tensor], values: Sequence[Tensor]) -> Tensor:
    """softmax(q k^T / sqrt(D)) v for each row: (N, H, D) -> (N, H, D); a row's bits depend on that row alone.

    Args:
        keys, values: of each row (H, S, D), whose tokens lie one after another in memory; S differs between rows.

    Raises:
        RuntimeError: the kernels are not compiled.
    """
    library = _compiled(kernels())
    rows, heads, width = queries.shape
    asked = queries.float().contiguous()
    out = torch.zeros(rows, heads, width)
    failed = library.attend_rows(
        FLOAT_TYPES[keys[0].dtype],
        asked.data_ptr(),
        _described(keys),
        _described(values),
        len(keys),
        heads,
        width,
        out.data_ptr(),
        torch.get_num_threads(),
    )
    if failed:
        raise MemoryError("no memory is left for attention")
    return out.to(queries.dtype)


def _described(cached: Sequence[Tensor]) -> ctypes.Array[_Cached]:
    return (_Cached * len(cached))(*(_Cached(one.data_ptr(), one.stride(0), one.shape[1]) for one in cached))


def _compiled(found: Kernels) -> ctypes.CDLL:
    if found.library is None:
        raise RuntimeError(f"attend_rows needs the compiled kernels. {found.note}")
    return found.library
