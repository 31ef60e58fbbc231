"""Products with 4-bit weights: bit for bit those of the 8-bit weights they stand for, and quantised alike anywhere."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import BadRequest
from workbench.kernels import compiled, int4, int8
from workbench.kernels.compiled import Kernels

needs_compiler = pytest.mark.skipif(not any(map(shutil.which, compiled.COMPILERS)), reason="no C compiler here")
DTYPES = st.sampled_from([torch.float32, torch.bfloat16, torch.float16])


def drawn(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def layer(rows: int, columns: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Codes, tables and scales drawn at random: any are allowed."""
    draw = torch.Generator().manual_seed(seed)
    groups = int4.groups_of(columns)
    codes = torch.randint(0, 256, (rows, groups * 64), generator=draw, dtype=torch.uint8)
    tables = torch.randint(0, 256, (rows, groups), generator=draw, dtype=torch.uint8)
    return codes, tables, torch.rand(rows, generator=draw) + 0.1


def restored(codes: torch.Tensor, tables: torch.Tensor, scales: torch.Tensor, columns: int) -> torch.Tensor:
    return int4.unpacked(codes, tables, columns).float() * scales[:, None] / 127


def by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int4, "kernels", lambda: Kernels(None, "PyTorch"))


@pytest.fixture(params=["compiled", "torch"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of computing, one after the other."""
    if request.param == "torch":
        by_torch(monkeypatch)
    elif compiled.kernels().library is None:
        pytest.skip("no C compiler here")
    return str(request.param)


@needs_compiler
@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 70), columns=st.integers(1, 700), width=st.integers(1, 70), dtype=DTYPES, seed=st.integers(0, 9)
)
def test_the_product_is_that_of_the_8_bit_weights_bit_for_bit(
    rows: int, columns: int, width: int, dtype: torch.dtype, seed: int
) -> None:
    codes, tables, scales = layer(width, columns, seed)
    x = (drawn(rows, columns, seed) * 2.5).to(dtype)  # beyond 6 now and then
    bias = drawn(1, width, seed)[0]
    weights = int4.unpacked(codes, tables, columns).contiguous()
    expected = int8.int8_linear(x, weights, scales, bias)
    assert torch.equal(int4.int4_linear(x, codes, tables, scales, bias), expected)


@needs_compiler
@settings(max_examples=20, deadline=None)
@given(rows=st.integers(2, 40), columns=st.integers(4000, 9000), dtype=DTYPES, seed=st.integers(0, 9))
def test_a_rows_bits_do_not_depend_on_its_neighbours(rows: int, columns: int, dtype: torch.dtype, seed: int) -> None:
    codes, tables, scales = layer(37, columns, seed)
    x = (drawn(rows, columns, seed) * 3).to(dtype)
    together = int4.int4_linear(x, codes, tables, scales)
    alone = torch.cat([int4.int4_linear(row[None], codes, tables, scales) for row in x])
    assert torch.equal(together, alone)


@pytest.mark.parametrize("rows", [1, 3, 17, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_either_way_is_near_the_exact_product(either: str, rows: int, dtype: torch.dtype) -> None:
    codes, tables, scales = layer(64, 500)
    x = drawn(rows, 500).to(dtype)
    exact = x.double() @ restored(codes, tables, scales, 500).double().T
    found = int4.int4_linear(x, codes, tables, scales)
    assert found.dtype == dtype
    assert float((found - exact).norm() / exact.norm()) < 0.015


def test_leading_dimensions_stay(either: str) -> None:
    codes, tables, scales = layer(8, 16)
    x = drawn(6, 16)
    found = int4.int4_linear(x.view(2, 3, 16), codes, tables, scales)
    assert torch.equal(found.view(6, 8), int4.int4_linear(x, codes, tables, scales))


@needs_compiler
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_broken_row_stays_broken_and_alone(value: float) -> None:
    codes, tables, scales = layer(8, 100)
    tables.fill_(127)  # whose levels are all other than 0
    x = drawn(3, 100)
    clean = int4.int4_linear(x, codes, tables, scales)
    x[1, 7] = value
    found = int4.int4_linear(x, codes, tables, scales)
    assert not found[1].isfinite().any()
    assert torch.equal(found[[0, 2]], clean[[0, 2]])


@needs_compiler
@pytest.mark.parametrize("flags", [("-march=haswell",), ("-march=native", "-mno-avx512f"), ()])
def test_other_machines_instructions_give_the_same_bits(
    flags: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, few, many = drawn(37, 1000), drawn(5, 1000) * 3, drawn(40, 1000) * 3
    packed = int4.quantise(weights)
    expected = [int4.int4_linear(x, *packed) for x in (few, many)]
    monkeypatch.setattr(compiled, "VARIANTS", (flags,))
    other = compiled.build(tmp_path)
    if other.library is None:
        pytest.skip(other.note)
    monkeypatch.setattr(int4, "kernels", lambda: other)
    assert all(map(torch.equal, int4.quantise(weights), packed))
    assert all(map(torch.equal, [int4.int4_linear(x, *packed) for x in (few, many)], expected))


@needs_compiler
@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 300), columns=st.integers(1, 400), power=st.integers(-40, 30), seed=st.integers(0, 99))
def test_pytorch_quantises_to_the_same_bits(rows: int, columns: int, power: int, seed: int) -> None:
    weights = drawn(rows, columns, seed) * 10.0**power
    weights[0] = 0
    compiled_ = int4.quantise(weights)
    with pytest.MonkeyPatch.context() as patch:
        by_torch(patch)
        assert all(map(torch.equal, int4.quantise(weights), compiled_))


def test_normal_weights_lose_less_than_in_nf4_with_a_scale_for_64(either: str) -> None:
    weights = drawn(64, 1024)
    lost = restored(*int4.quantise(weights), 1024) - weights
    assert float(lost.square().mean()) < 0.0080  # nf4: 0.0085


def test_a_row_keeps_its_product_with_itself(either: str) -> None:
    weights = drawn(16, 640)
    kept = (restored(*int4.quantise(weights), 640) * weights).sum(1)
    torch.testing.assert_close(kept, weights.square().sum(1), rtol=1e-3, atol=0)


def test_a_row_with_one_huge_weight_keeps_the_others_as_8_bits_would(either: str) -> None:
    weights = drawn(4, 256) * 0.02
    weights[:, 200] = 5
    found = restored(*int4.quantise(weights), 256)
    assert float((found[:, :128] - weights[:, :128]).abs().max()) <= 5 / 127 * (1 / 2 + 1 / 16) * 1.1


def test_levels_come_back_as_they_are(either: str) -> None:
    codes, tables, scales = int4.quantise(drawn(5, 300))
    weights = restored(codes, tables, scales, 300)
    weights[:, 0] = scales  # the row's largest weight, which the grid spans
    again = restored(*int4.quantise(weights), 300)
    assert float((again[:, 128:] - weights[:, 128:]).norm() / weights[:, 128:].norm()) < 0.02


def test_zeros_stay_zeros(either: str) -> None:
    packed = int4.quantise(torch.zeros(3, 200))
    assert not restored(*packed, 200).any()
    assert torch.equal(int4.int4_linear(drawn(2, 200), *packed, torch.ones(3)), torch.ones(2, 3))


def test_the_gradient_is_that_of_the_restored_weights() -> None:
    packed = layer(2100, 200)
    gradient = drawn(6, 2100).view(2, 3, 2100)
    torch.testing.assert_close(int4.back_through(gradient, *packed, 200), gradient @ restored(*packed, 200))


WRONG = {
    "narrower": lambda layer: layer.update(x=layer["x"][:, :100]),
    "one dimension": lambda layer: layer.update(codes=layer["codes"][0]),
    "another type": lambda layer: layer.update(codes=layer["codes"].int()),
    "short tables": lambda layer: layer.update(tables=layer["tables"][:-1]),
    "narrow tables": lambda layer: layer.update(tables=layer["tables"][:, :-1]),
    "short scales": lambda layer: layer.update(row_scales=layer["row_scales"][:-1]),
    "short bias": lambda layer: layer.update(bias=layer["bias"][:-1]),
    "whole numbers": lambda layer: layer.update(x=layer["x"].int()),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_tensors_that_do_not_belong_together_are_refused(either: str, wrong: Callable[[dict], None]) -> None:
    codes, tables, scales = layer(8, 200)
    given_ = {"x": drawn(3, 200), "codes": codes, "tables": tables, "row_scales": scales, "bias": torch.zeros(8)}
    wrong(given_)
    with pytest.raises(ValueError, match="make no product"):
        int4.int4_linear(**given_)


def test_no_rows_give_no_rows(either: str) -> None:
    assert int4.int4_linear(torch.zeros(0, 200), *layer(8, 200)).shape == (0, 8)


def test_float64_is_computed_in_float32_or_less(either: str) -> None:
    x = drawn(3, 200)
    found = int4.int4_linear(x.double(), *layer(8, 200))
    assert found.dtype == torch.float64
    assert torch.equal(found.float(), int4.int4_linear(x, *layer(8, 200)))


def test_another_device_is_refused_with_the_precision_that_serves_it() -> None:
    with pytest.raises(BadRequest, match="nf4"):
        int4.int4_linear(torch.zeros(1, 128, device="meta"), *layer(8, 128))
