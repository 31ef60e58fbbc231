"""Attention of single queries: right, and the same for a row whatever stands beside it."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.kernels import attention
from workbench.kernels.attention import attend_rows
from workbench.kernels.compiled import Kernels, kernels

needs_library = pytest.mark.skipif(kernels().library is None, reason="no C compiler here")
DTYPES = st.sampled_from([torch.float32, torch.bfloat16, torch.float16])
WIDTHS = st.integers(1, 150) | st.sampled_from([256, 300, 512])
"""From 256 on, values are gathered in vectors."""
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
@given(lengths=LENGTHS, heads=st.integers(1, 3), width=WIDTHS, dtype=DTYPES)
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
@given(lengths=LENGTHS, width=WIDTHS, dtype=DTYPES)
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


@needs_library
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_broken_row_stays_broken_and_alone(value: float) -> None:
    queries, keys, values = drawn([5, 40, 7], 2, 64, torch.float32)
    clean = attend_rows(queries, keys, values)
    keys[1][0, 33, 3] = value
    queries[1, 0, 3] = 1
    found = attend_rows(queries, keys, values)
    assert found[1, 0].isnan().all()
    found[1, 0] = clean[1, 0]
    assert torch.equal(found, clean)


@needs_library
def test_no_rows_and_no_tokens_are_no_crash() -> None:
    assert attend_rows(torch.zeros(0, 2, 4), [], []).shape == (0, 2, 4)
    nothing = [torch.zeros(2, 0, 4)]
    assert torch.equal(attend_rows(torch.ones(1, 2, 4), nothing, nothing), torch.zeros(1, 2, 4))


WRONG = {
    "one value less": lambda keys, values: values.pop(),
    "fewer heads": lambda keys, values: keys.__setitem__(1, keys[1][:1]),
    "narrower": lambda keys, values: keys.__setitem__(1, keys[1][..., :3]),
    "fewer tokens": lambda keys, values: values.__setitem__(1, values[1][:, :2]),
    "another type": lambda keys, values: values.__setitem__(1, values[1].half()),
    "a type it does not know": lambda keys, values: keys.__setitem__(0, keys[0].double()),
    "tokens apart": lambda keys, values: keys.__setitem__(1, keys[1].repeat(1, 2, 1)[:, ::2]),
    "elements apart": lambda keys, values: values.__setitem__(1, values[1].mT.contiguous().mT),
    "another device": lambda keys, values: keys.__setitem__(1, keys[1].to("meta")),
}


@needs_library
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_tensors_that_do_not_belong_together_are_refused(wrong: Callable[[list, list], object]) -> None:
    queries, keys, values = drawn([3, 4], 2, 8, torch.float32)
    wrong(keys, values)
    with pytest.raises(ValueError, match=r"\[2, 2, 8\] on cpu|need \(2, S, 8\)"):
        attend_rows(queries, keys, values)


def test_without_a_library_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "kernels", lambda: Kernels(None, "PyTorch", "No C compiler was found."))
    with pytest.raises(RuntimeError, match="No C compiler"):
        attend_rows(*drawn([1], 1, 4, torch.float32))
