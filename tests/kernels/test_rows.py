"""Products with float weights for a few rows: right, and the same for a row whatever stands beside it."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.kernels import rows
from workbench.kernels.compiled import Kernels, kernels

needs_library = pytest.mark.skipif(kernels().library is None, reason="no C compiler here")
DTYPES = [torch.float32, torch.bfloat16, torch.float16]


def drawn(count: int, width: int, dtype: torch.dtype, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed)).to(dtype)


@settings(max_examples=80, deadline=None)
@given(
    count=st.integers(1, 12),
    columns=st.integers(1, 400),
    width=st.integers(1, 60),
    dtypes=st.tuples(st.sampled_from(DTYPES), st.sampled_from(DTYPES)),
    seed=st.integers(0, 99),
)
def test_it_is_the_exact_product_within_float32(
    count: int, columns: int, width: int, dtypes: tuple[torch.dtype, torch.dtype], seed: int
) -> None:
    x, weight, bias = (
        drawn(count, columns, dtypes[0], seed),
        drawn(width, columns, dtypes[1]),
        drawn(1, width, dtypes[1]),
    )
    exact = x.double() @ weight.double().T + bias[0].double()
    found = rows.row_linear(x, weight, bias[0])
    assert found.dtype == torch.float32
    # Layers below the kernel's smallest are PyTorch's, in the weights' own type.
    near = 1e-5 if kernels().library is not None and width >= rows.SMALLEST_LAYER else 0.05
    assert float((found - exact).abs().max()) <= near * (1 + float(exact.abs().max()))


@needs_library
@settings(max_examples=40, deadline=None)
@given(count=st.integers(2, 20), columns=st.integers(1, 300), width=st.integers(4, 40), dtype=st.sampled_from(DTYPES))
def test_a_rows_bits_do_not_depend_on_its_neighbours(count: int, columns: int, width: int, dtype: torch.dtype) -> None:
    x, weight = drawn(count, columns, dtype), drawn(width, columns, dtype)
    together = rows.row_linear(x, weight)
    assert torch.equal(together, torch.cat([rows.row_linear(row[None], weight) for row in x]))


WRONG = {
    "narrower": lambda layer: layer.update(weight=layer["weight"][:, :-1]),
    "one dimension": lambda layer: layer.update(weight=layer["weight"][0]),
    "another type": lambda layer: layer.update(weight=layer["weight"].int()),
    "short bias": lambda layer: layer.update(bias=layer["bias"][:-1]),
    "whole numbers": lambda layer: layer.update(x=layer["x"].int()),
    "another device": lambda layer: layer.update(x=layer["x"].to("meta")),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_tensors_that_do_not_belong_together_are_refused(wrong: Callable[[dict], None]) -> None:
    given_ = {
        "x": drawn(3, 64, torch.float32),
        "weight": drawn(8, 64, torch.bfloat16),
        "bias": drawn(1, 8, torch.float32)[0],
    }
    wrong(given_)
    with pytest.raises(ValueError, match=r"make no product|on the CPU alone"):
        rows.row_linear(**given_)


def test_no_rows_give_no_rows() -> None:
    assert rows.row_linear(torch.zeros(0, 64), drawn(8, 64, torch.bfloat16)).shape == (0, 8)


def test_float64_is_computed_too() -> None:
    x, weight = drawn(3, 64, torch.float64), drawn(8, 64, torch.float64)
    torch.testing.assert_close(rows.row_linear(x, weight), (x @ weight.T).float())
    torch.testing.assert_close(rows.row_linear(x, weight.float()), (x @ weight.T).float())


@pytest.mark.parametrize("dtype", DTYPES)
def test_without_a_library_pytorch_computes(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight = drawn(3, 64, dtype), drawn(16, 64, dtype)
    expected = rows.row_linear(x, weight)
    monkeypatch.setattr(rows, "kernels", lambda: Kernels(None, "PyTorch"))
    torch.testing.assert_close(rows.row_linear(x, weight), expected, rtol=0.02, atol=0.1)
