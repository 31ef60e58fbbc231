"""Products with 8-bit weights: right, exact where integers are, and the same for a row whatever stands beside it."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workbench.kernels import compiled, int8
from workbench.kernels.compiled import Kernels

needs_compiler = pytest.mark.skipif(not any(map(shutil.which, compiled.COMPILERS)), reason="no C compiler here")
DTYPES = st.sampled_from([torch.float32, torch.bfloat16, torch.float16])


def layer(rows: int, columns: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Weights, scales and bias drawn at random, with the ends of int8 among the weights."""
    draw = torch.Generator().manual_seed(seed)
    weights = torch.randint(-128, 128, (rows, columns), generator=draw, dtype=torch.int8)
    return weights, torch.rand(rows, generator=draw) + 0.1, torch.randn(rows, generator=draw)


def activations(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def exactly(x: torch.Tensor, weights: torch.Tensor, scales: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """The kernel's own numbers by plain PyTorch: the same integers, the same few float32 operations."""
    outliers = torch.where(x.abs() > 6, x, 0)
    rest = torch.where(x.abs() > 6, 0, x)
    largest = rest.abs().amax(-1, keepdim=True)
    steps = torch.full_like(largest, 127)  # a plain 127 / x is computed as 127 times the rounded 1 / x
    inverse = torch.where(largest > 0, steps / largest, 0)
    integers = (rest * inverse).round().clamp(-127, 127)
    sums = (integers.double() @ weights.double().T).float() * (largest / steps)
    for column in outliers.any(0).nonzero()[:, 0]:
        sums = sums + outliers[:, column, None] * weights[:, column].float()
    return sums * (scales / torch.full_like(scales, 127)) + bias


@pytest.fixture(params=["compiled", "torch"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of computing, one after the other."""
    if request.param == "torch":
        monkeypatch.setattr(int8, "kernels", lambda: Kernels(None, "PyTorch"))
    elif compiled.kernels().library is None:
        pytest.skip("no C compiler here")
    return str(request.param)


@needs_compiler
@settings(max_examples=100, deadline=None)
@given(rows=st.integers(1, 20), columns=st.integers(1, 300), width=st.integers(1, 70), seed=st.integers(0, 99))
def test_the_compiled_product_is_the_formulas_bit_for_bit(rows: int, columns: int, width: int, seed: int) -> None:
    weights, scales, bias = layer(width, columns, seed)
    x = activations(rows, columns, seed) * 2.5  # beyond 6 now and then
    assert torch.equal(int8.int8_linear(x, weights, scales, bias), exactly(x, weights, scales, bias))


@needs_compiler
@settings(max_examples=40, deadline=None)
@given(rows=st.integers(2, 60), columns=st.integers(1, 5000), dtype=DTYPES, seed=st.integers(0, 99))
@example(rows=47, columns=8193, dtype=torch.bfloat16, seed=0)  # many rows take columns in parts
def test_a_rows_bits_do_not_depend_on_its_neighbours(rows: int, columns: int, dtype: torch.dtype, seed: int) -> None:
    weights, scales, bias = layer(37, columns, seed)
    x = (activations(rows, columns, seed) * 3).to(dtype)
    together = int8.int8_linear(x, weights, scales, bias)
    alone = torch.cat([int8.int8_linear(row[None], weights, scales, bias) for row in x])
    assert torch.equal(together, alone)


@pytest.mark.parametrize("rows", [1, 3, 17, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_either_way_is_near_the_exact_product(either: str, rows: int, dtype: torch.dtype) -> None:
    weights, scales, bias = layer(64, 512)
    x = activations(rows, 512).to(dtype)
    exact = x.double() @ (weights.double() * scales.double()[:, None] / 127).T + bias
    found = int8.int8_linear(x, weights, scales, bias)
    assert found.dtype == dtype
    assert float((found - exact).norm() / exact.norm()) < 0.015


def test_leading_dimensions_stay(either: str) -> None:
    weights, scales, _ = layer(8, 16)
    x = activations(6, 16)
    assert torch.equal(
        int8.int8_linear(x.view(2, 3, 16), weights, scales).view(6, 8), int8.int8_linear(x, weights, scales)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_view_with_gaps_is_read_as_it_is(either: str, dtype: torch.dtype) -> None:
    weights, scales, bias = layer(8, 16)
    wide = activations(3, 32).to(dtype)
    assert torch.equal(
        int8.int8_linear(wide[:, ::2], weights, scales, bias),
        int8.int8_linear(wide[:, ::2].contiguous(), weights, scales, bias),
    )


@needs_compiler
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_broken_row_stays_broken_and_alone(value: float) -> None:
    weights, scales, bias = layer(8, 100)
    weights[weights == 0] = 1
    x = activations(3, 100)
    clean = int8.int8_linear(x, weights, scales, bias)
    x[1, 7] = value
    found = int8.int8_linear(x, weights, scales, bias)
    assert not found[1].isfinite().any()
    assert torch.equal(found[[0, 2]], clean[[0, 2]])


@needs_compiler
def test_a_row_too_small_for_a_scale_gives_the_bias() -> None:
    weights, scales, bias = layer(8, 100)
    assert torch.equal(int8.int8_linear(torch.full((1, 100), 1e-38), weights, scales, bias)[0], bias)


@needs_compiler
def test_a_row_with_more_infinities_than_are_set_apart_stays_broken() -> None:
    weights, scales, bias = layer(8, 400)
    assert int8.int8_linear(torch.full((1, 400), math.inf), weights, scales, bias).isnan().all()


def test_float64_is_computed_in_float32_or_less(either: str) -> None:
    weights, scales, bias = layer(8, 64)
    x = activations(3, 64)
    found = int8.int8_linear(x.double(), weights, scales.double(), bias)
    assert found.dtype == torch.float64
    assert torch.equal(found.float(), int8.int8_linear(x, weights, scales, bias))


def test_no_rows_give_no_rows(either: str) -> None:
    weights, scales, bias = layer(8, 64)
    assert int8.int8_linear(torch.zeros(2, 0, 64), weights, scales, bias).shape == (2, 0, 8)


def test_a_layer_too_wide_for_exact_sums_is_refused(either: str) -> None:
    weights, scales, _ = layer(1, 65_537)
    with pytest.raises(ValueError, match="65537 columns"):
        int8.int8_linear(torch.zeros(1, 65_537), weights, scales)


WRONG = {
    "narrower": lambda layer: layer.update(weight=layer["weight"][:, :-1]),
    "one dimension": lambda layer: layer.update(weight=layer["weight"][0]),
    "another type": lambda layer: layer.update(weight=layer["weight"].short()),
    "short scales": lambda layer: layer.update(row_scales=layer["row_scales"][:-1]),
    "more scales": lambda layer: layer.update(row_scales=layer["row_scales"].repeat(2)),
    "short bias": lambda layer: layer.update(bias=layer["bias"][:-1]),
    "whole numbers": lambda layer: layer.update(x=layer["x"].int()),
    "another device": lambda layer: layer.update(x=layer["x"].to("meta")),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_tensors_that_do_not_belong_together_are_refused(either: str, wrong: Callable[[dict], None]) -> None:
    weights, scales, bias = layer(8, 64)
    given_ = {"x": activations(3, 64), "weight": weights, "row_scales": scales, "bias": bias}
    wrong(given_)
    with pytest.raises(ValueError, match=r"make no product|on the CPU alone"):
        int8.int8_linear(**given_)


@needs_compiler
def test_a_row_of_nothing_but_outliers_is_still_near() -> None:
    weights, scales, bias = layer(8, 256)
    x = activations(2, 256) * 1000
    exact = x.double() @ (weights.double() * scales.double()[:, None] / 127).T + bias
    found = int8.int8_linear(x, weights, scales, bias)
    assert float((found - exact).norm() / exact.norm()) < 0.015


def test_zeros_give_the_bias(either: str) -> None:
    weights, scales, bias = layer(8, 64)
    assert torch.equal(int8.int8_linear(torch.zeros(2, 64), weights, scales, bias), bias.expand(2, 8))


@needs_compiler
@pytest.mark.parametrize("flags", [("-march=haswell",), ("-march=native", "-mno-avx512f"), ()])
@pytest.mark.parametrize(("rows", "columns"), [(7, 1000), (47, 4200)])
def test_other_machines_instructions_give_the_same_bits(
    flags: tuple[str, ...], rows: int, columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, scales, bias = layer(37, columns)
    x = activations(rows, columns) * 3
    expected = int8.int8_linear(x, weights, scales, bias)
    monkeypatch.setattr(compiled, "VARIANTS", (flags,))
    other = compiled.build(tmp_path)
    if other.library is None:
        pytest.skip(other.note)
    monkeypatch.setattr(int8, "kernels", lambda: other)
    assert torch.equal(int8.int8_linear(x, weights, scales, bias), expected)
