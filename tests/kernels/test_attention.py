"""Attention of single queries: right, and the same for a row whatever stands beside it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.kernels import attention
from workbench.kernels.attention import attend_rows
from workbench.kernels.compiled import Kernels, kernels

needs_library = pytest.mark.skipif(kernels().library is None, reason="no C compiler here")
DTYPES = st.sampled_from([torch.float32, torch.bfloat16, torch.float16])
LENGTHS = st.lists(st.integers(1, 70), min_size=1, max_size=5)


def drawn(lengths: list[int], heads: int, width: int, dtype: torch.dtype) -> tuple[torch.Tensor, list, list]:
    """Queries, and keys and values as views into caches with room to spare."""
    draw = torch.Generator().manual_seed(len(lengths) * 1000 + width)
    queries = torch.randn(len(lengths), heads, width, generator=draw).to(dtype)
    caches = [torch.randn(2, heads, length + 9, width, generator=draw).to(dtype) for length in lengths]
    views = [(cache[0, :, :length], cache[1, :, :length]) for cache, length in zip(caches, lengths, strict=True)]
    return queries, [keys for keys, _ in views], [values for _, values in views]


@needs_library
@settings(max_examples=60, deadline=None)
@given(lengths=LENGTHS, heads=st.integers(1, 3), width=st.integers(1, 150), dtype=DTYPES)
def test_it_is_softmax_attention(lengths: list[int], heads: int, width: int, dtype: torch.dtype) -> None:
    queries, keys, values = drawn(lengths, heads, width, dtype)
    found = attend_rows(queries, keys, values)
    assert found.dtype == dtype
    for query, key, value, row in zip(queries, keys, values, found, strict=True):
        scores = (key.double() @ query.double()[..., None])[..., 0] / math.sqrt(width)
        exact = (torch.softmax(scores, -1)[:, None] @ value.double())[:, 0]
        near = 1e-5 if dtype == torch.float32 else 0.02
        assert float((row.double() - exact).abs().max()) < near


@needs_library
@settings(max_examples=40, deadline=None)
@given(lengths=LENGTHS, width=st.integers(1, 150), dtype=DTYPES)
def test_a_rows_bits_do_not_depend_on_its_neighbours(lengths: list[int], width: int, dtype: torch.dtype) -> None:
    queries, keys, values = drawn(lengths, 2, width, dtype)
    together = attend_rows(queries, keys, values)
    each = zip(queries, keys, values, strict=True)
    assert torch.equal(together, torch.cat([attend_rows(query[None], [key], [value]) for query, key, value in each]))


@needs_library
def test_scores_far_apart_do_not_overflow() -> None:
    keys = torch.tensor([[[1000.0], [-1000.0]]])
    values = torch.tensor([[[1.0], [2.0]]])
    assert attend_rows(torch.tensor([[[50.0]]]), [keys], [values]).item() == 1.0


def test_without_a_library_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "kernels", lambda: Kernels(None, "PyTorch", "No C compiler was found."))
    with pytest.raises(RuntimeError, match="No C compiler"):
        attend_rows(*drawn([1], 1, 4, torch.float32))
