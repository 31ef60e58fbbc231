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
        ValueError: the tensors do not belong together, or are not on the CPU.
    """
    library = _compiled(kernels())
    if queries.dim() != 3 or not queries.is_cpu or not len(queries) == len(keys) == len(values):
        told = f"{list(queries.shape)} on {queries.device}, with {len(keys)} keys and {len(values)} values"
        raise ValueError(f"queries {told}; they must be (N, H, D) on the CPU, with N of each")
    if not len(queries):
        return torch.empty_like(queries)
    rows, heads, width = queries.shape
    _check(queries, keys, values)
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


def _check(queries: Tensor, keys: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    _, heads, width = queries.shape
    dtype = keys[0].dtype
    for key, value in zip(keys, values, strict=True):
        shape = key.shape
        fits = len(shape) == 3 and shape[0] == heads and shape[2] == width and value.shape == shape
        fits = fits and key.dtype == value.dtype == dtype and dtype in FLOAT_TYPES and key.is_cpu and value.is_cpu
        if not fits or not (_is_dense(key) and _is_dense(value)):
            told = " and ".join(f"{list(one.shape)} {one.dtype} in steps of {one.stride()}" for one in (key, value))
            raise ValueError(f"keys and values {told}; these queries need ({heads}, S, {width}) of {dtype}, dense")


def _is_dense(cached: Tensor) -> bool:
    """Whether the tokens of each head lie one after another; of sizes of 1 and 0, steps mean nothing."""
    _, token, element = cached.stride()
    _, tokens, width = cached.shape
    return (token == width or tokens <= 1) and (element == 1 or width <= 1)


def _described(cached: Sequence[Tensor]) -> ctypes.Array[_Cached]:
    return (_Cached * len(cached))(*(_Cached(one.data_ptr(), one.stride(0), one.shape[1]) for one in cached))


def _compiled(found: Kernels) -> ctypes.CDLL:
    if found.library is None:
        raise RuntimeError(f"attend_rows needs the compiled kernels. {found.note}")
    return found.library
