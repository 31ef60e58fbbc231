"""The choice of a precision, and the reading of float tensors."""

import pytest
import torch

from workbench.errors import BadCheckpoint, BadRequest
from workbench.loading.checkpoint import TensorInfo
from workbench.loading.precision import BLOCK_MATRIX, choose, finite, float_dtype, named, precisions

HALF = {"a": TensorInfo("a", (4,), torch.float16, 8, "w"), "b": TensorInfo("b", (1,), torch.float32, 4, "w")}
DOUBLE = {"a": TensorInfo("a", (4,), torch.float64, 32, "w")}
INT8 = {"a": HALF["a"], "h.0.x.SCB": TensorInfo("h.0.x.SCB", (90,), torch.float32, 360, "w")}
INFO = HALF["a"]


def test_the_table_holds_the_published_precisions():
    assert set(precisions()) == {"float32", "bfloat16", "float16", "int8", "nf4", "int4"}


def test_without_a_wish_the_type_of_most_bytes_is_kept():
    assert choose(HALF, None, None).dtype == torch.float16
    assert choose(HALF, None, "auto").precision.name == "float16"
    assert float_dtype(DOUBLE) == float_dtype({}) == torch.float32


def test_without_a_wish_a_quantised_folder_keeps_its_own_precision():
    chosen = choose(INT8, None, None)
    assert (chosen.precision.name, chosen.dtype) == ("int8", torch.float16)


def test_a_dtype_alone_chooses_the_float_precision():
    assert choose(HALF, None, torch.bfloat16).precision.name == "bfloat16"
    assert choose(INT8, None, torch.bfloat16).precision.name == "int8"


def test_an_unknown_precision_lists_the_known_ones():
    with pytest.raises(BadRequest, match="float32"):
        named("fp8")


@pytest.mark.parametrize("name", ["h.0.attn.q_proj.weight", "transformer.h.27.mlp.fc_out.weight"])
def test_block_matrices_are_recognised(name):
    assert BLOCK_MATRIX.fullmatch(name)


@pytest.mark.parametrize("name", ["lm_head.weight", "transformer.h.0.ln_1.weight", "h.0.mlp.fc_in.bias", "wte.weight"])
def test_other_parameters_are_not(name):
    assert not BLOCK_MATRIX.fullmatch(name)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("target", [torch.float32, torch.bfloat16, torch.float16])
def test_one_value_that_is_not_finite_is_found(value, dtype, target):
    piece = torch.zeros(1001, dtype=dtype)
    piece[777] = value
    with pytest.raises(BadCheckpoint, match="'a' holds NaN or infinite"):
        finite(piece, target, INFO)


def test_values_too_large_for_the_type_are_told_apart_from_infinite_ones():
    with pytest.raises(BadCheckpoint, match=r"too large for torch\.float16"):
        finite(torch.tensor([1e5]), torch.float16, INFO)


def test_a_piece_of_the_right_type_is_not_copied():
    piece = torch.ones(5)
    assert finite(piece, torch.float32, INFO) is piece


def test_whole_numbers_are_refused_as_weights():
    with pytest.raises(BadCheckpoint, match="int64"):
        finite(torch.ones(5, dtype=torch.int64), torch.float32, INFO)
