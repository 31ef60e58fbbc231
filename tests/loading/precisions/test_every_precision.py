"""What holds for every precision of the drawer, and for int8, nf4 and int4 in particular."""

import json
import math
from typing import Any

import pytest
import torch
from torch import nn

from tests.loading.tiny import CLASSES, IDS, assert_same_state, logits, tiny_config, tiny_model, write_bin, write_state
from workbench.errors import BadCheckpoint, BadRequest, MissingDependency, NotEnoughMemory
from workbench.gptj.model import GPTJForCausalLM
from workbench.kernels import int4
from workbench.kernels.compiled import Kernels
from workbench.loading import checkpoint as reading
from workbench.loading import placement
from workbench.loading.load import from_pretrained, save_pretrained
from workbench.loading.precision import BLOCK_MATRIX, precisions, rest_dtype
from workbench.loading.precisions import int8 as int8_matrices

BITSANDBYTES = ["int8", "nf4"]
QUANTISED = [*BITSANDBYTES, "int4"]
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1, "nf4": 0.5625, "int4": 0.5117}


def needs_bitsandbytes(precision: str) -> None:
    if precision in BITSANDBYTES:
        pytest.importorskip("bitsandbytes")


def loaded(
    tmp_path: Any, precision: str, cls: type[nn.Module] = GPTJForCausalLM, dtype: Any = None, **shape: Any
) -> Any:
    """A random model of this precision, through a folder."""
    needs_bitsandbytes(precision)
    model = tiny_model(cls, **shape)
    save_pretrained(model, tmp_path / "float")
    return from_pretrained(cls, tmp_path / "float", precision=precision, dtype=dtype)


def held_bytes(model: nn.Module) -> int:
    """The bytes of every tensor of a model's state, save the descriptions that are a few bytes of text."""
    small = (".weight_format", "__nf4")
    return sum(value.nbytes for name, value in model.state_dict().items() if not name.endswith(small))


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("precision", precisions())
def test_saved_and_loaded_again_a_model_is_the_same_bit_for_bit(cls, precision, tmp_path):
    model = loaded(tmp_path, precision, cls)
    save_pretrained(model, tmp_path / "saved", max_shard_bytes=20_000)
    again = from_pretrained(cls, tmp_path / "saved")
    assert_same_state(again, model)
    save_pretrained(again, tmp_path / "twice")
    assert_same_state(from_pretrained(cls, tmp_path / "twice"), model)


@pytest.mark.parametrize("precision", precisions())
def test_the_plan_knows_the_bytes_of_every_weight(precision, tmp_path):
    model = loaded(tmp_path, precision, n_embd=64, vocab_size=101)
    dtype = rest_dtype(precisions()[precision])
    shapes = {name: tuple(p.shape) for name, p in tiny_model(n_embd=64, vocab_size=101).named_parameters()}
    assert sum(precisions()[precision].bytes(name, shape, dtype) for name, shape in shapes.items()) == held_bytes(model)


@pytest.mark.parametrize("precision", precisions())
def test_the_blocks_weigh_what_their_bits_say(precision):
    size = precisions()[precision].bytes(
        "transformer.h.0.mlp.fc_in.weight", (4096, 1024), rest_dtype(precisions()[precision])
    )
    assert size / (4096 * 1024) == pytest.approx(BYTES[precision], rel=0.005)


@pytest.mark.parametrize(
    ("precision", "largest"), [("bfloat16", 0.02), ("float16", 0.005), ("int8", 0.05), ("nf4", 0.35), ("int4", 0.35)]
)
def test_a_precision_computes_nearly_the_same(precision, largest, tmp_path):
    exact = logits(tiny_model(n_embd=64))
    found = logits(loaded(tmp_path, precision, n_embd=64))
    assert (found - exact).norm() / exact.norm() < largest


@pytest.mark.parametrize("precision", QUANTISED)
def test_exactly_the_matrices_of_the_blocks_are_quantised(precision, tmp_path):
    model = loaded(tmp_path, precision)
    for name, parameter in model.named_parameters():
        assert parameter.is_floating_point() != bool(BLOCK_MATRIX.fullmatch(name)), name
        assert parameter.dtype in (torch.bfloat16, torch.int8, torch.uint8)


@pytest.mark.parametrize("precision", QUANTISED)
def test_the_rest_keeps_a_16_bit_checkpoints_type_or_takes_the_asked_one(precision, tmp_path):
    needs_bitsandbytes(precision)
    save_pretrained(tiny_model().to(torch.float16), tmp_path)
    half = from_pretrained(GPTJForCausalLM, tmp_path, precision=precision)
    assert half.lm_head.weight.dtype == half.transformer.h[0].mlp.fc_in.bias.dtype == torch.float16
    assert torch.equal(half.lm_head.weight, tiny_model().to(torch.float16).lm_head.weight)
    full = from_pretrained(GPTJForCausalLM, tmp_path, precision=precision, dtype=torch.float32)
    assert full.lm_head.weight.dtype == torch.float32
    with torch.no_grad():
        assert half(IDS).logits.dtype == torch.float16
        assert full(IDS).logits.dtype == torch.float32


@pytest.mark.parametrize("precision", QUANTISED)
def test_a_matrix_quantised_in_pieces_is_the_same_as_in_one(precision, tmp_path, monkeypatch):
    whole = loaded(tmp_path, precision, n_embd=96, n_head=4)
    monkeypatch.setattr(reading, "PIECE_BYTES", 1)
    assert_same_state(loaded(tmp_path, precision, n_embd=96, n_head=4), whole)


@pytest.mark.parametrize("precision", QUANTISED)
def test_a_pickled_checkpoint_is_quantised_to_the_same(precision, tmp_path):
    model = loaded(tmp_path, precision)
    write_bin(tiny_model(), tmp_path / "bin")
    assert_same_state(from_pretrained(GPTJForCausalLM, tmp_path / "bin", precision=precision), model)


@pytest.mark.parametrize("precision", QUANTISED)
def test_computing_changes_nothing_of_what_is_saved(precision, tmp_path):
    model = loaded(tmp_path, precision, n_embd=64)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = logits(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(logits(model), first)
    save_pretrained(model, tmp_path / "saved")
    assert torch.equal(logits(from_pretrained(GPTJForCausalLM, tmp_path / "saved")), first)


@pytest.mark.parametrize("precision", QUANTISED)
def test_gradients_flow_through_a_quantised_model_that_has_served(precision, tmp_path):
    model = loaded(tmp_path, precision, n_embd=64, dtype=torch.float32)
    logits(model)
    model(IDS, labels=IDS).loss.backward()
    exact = tiny_model(n_embd=64)
    exact(IDS, labels=IDS).loss.backward()
    found, expected = model.transformer.wte.weight.grad, exact.transformer.wte.weight.grad
    assert (found - expected).norm() / expected.norm() < 0.5


def test_an_int8_bias_that_asks_for_a_gradient_gets_one(tmp_path):
    model = loaded(tmp_path, "int8", n_embd=64, dtype=torch.float32)
    model.transformer.requires_grad_(False)
    bias = model.transformer.h[0].mlp.fc_in.bias.requires_grad_()
    model(IDS, labels=IDS).loss.backward()
    exact = tiny_model(n_embd=64)
    exact(IDS, labels=IDS).loss.backward()
    expected = exact.transformer.h[0].mlp.fc_in.bias.grad
    assert (bias.grad - expected).norm() / expected.norm() < 0.5


def test_int8_for_another_device_compiles_nothing(monkeypatch):
    pytest.importorskip("bitsandbytes")

    def compile_() -> Kernels:
        raise AssertionError("compiled")

    monkeypatch.setattr(int8_matrices, "kernels", compile_)
    precisions()["int8"].matrices.module(nn.Linear(4, 4), torch.bfloat16)
    int8_matrices._parameter(torch.zeros(4, 4, dtype=torch.int8, device="meta"), torch.zeros(4, device="meta"))


@pytest.mark.parametrize("precision", BITSANDBYTES)
def test_a_quantised_folder_says_so_in_its_config(precision, tmp_path):
    save_pretrained(loaded(tmp_path, precision), tmp_path / "saved")
    described = json.loads((tmp_path / "saved" / "config.json").read_text())["quantization_config"]
    assert described["quant_method"] == "bitsandbytes"
    assert described["load_in_8bit"] == (precision == "int8")
    assert described["load_in_4bit"] == (precision == "nf4")


@pytest.mark.parametrize("precision", QUANTISED)
@pytest.mark.parametrize("asked", precisions())
def test_a_quantised_folder_becomes_nothing_else(precision, asked, tmp_path):
    save_pretrained(loaded(tmp_path, precision), tmp_path / "saved")
    if asked == precision:
        from_pretrained(GPTJForCausalLM, tmp_path / "saved", precision=asked)
        return
    with pytest.raises(BadRequest, match=f"holds {precision} weights"):
        from_pretrained(GPTJForCausalLM, tmp_path / "saved", precision=asked)


@pytest.mark.parametrize("precision", QUANTISED)
def test_a_quantised_language_model_gives_trunk_and_heads(precision, tmp_path):
    model = loaded(tmp_path, precision)
    save_pretrained(model, tmp_path / "saved")
    trunk = from_pretrained(CLASSES[0], tmp_path / "saved")
    assert_same_state(trunk, model.transformer)
    with pytest.warns(UserWarning, match="untrained"):
        classifier = from_pretrained(CLASSES[2], tmp_path / "saved")
    assert_same_state(classifier.transformer, model.transformer)


@pytest.mark.parametrize("precision", QUANTISED)
def test_quantised_weights_are_not_offloaded(precision, tmp_path):
    loaded(tmp_path, precision)
    for device_map in ("disk", {"transformer": "cpu", "lm_head": "disk"}):
        with pytest.raises(BadRequest, match="can't be offloaded"):
            from_pretrained(
                GPTJForCausalLM, tmp_path / "float", precision=precision, device_map=device_map, offload_folder=tmp_path
            )
    with pytest.raises(NotEnoughMemory, match="can't be offloaded"):
        from_pretrained(
            GPTJForCausalLM, tmp_path / "float", precision=precision, device_map="auto", max_memory={"cpu": 9000},
            offload_folder=tmp_path,
        )  # fmt: skip


@pytest.mark.parametrize("precision", BITSANDBYTES)
def test_a_missing_package_is_named_with_the_way_to_get_it(precision, tmp_path, monkeypatch):
    save_pretrained(tiny_model(), tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "bitsandbytes", None)
    with pytest.raises(MissingDependency, match="pip install bitsandbytes"):
        from_pretrained(GPTJForCausalLM, tmp_path, precision=precision)


@pytest.mark.parametrize(
    ("precision", "part"),
    [("int8", "SCB"), ("nf4", "weight.absmax"), ("nf4", "weight.quant_map"), ("int4", "row_scales")],
)
@pytest.mark.parametrize("damage", ["gone", "short", "nan", "another type"])
def test_damaged_scales_are_refused(precision, part, damage, tmp_path):
    model = loaded(tmp_path, precision)
    state = dict(model.state_dict())
    name = f"transformer.h.1.mlp.fc_in.{part}"
    value = state.pop(name)
    changes = {
        "short": lambda: value[:-1].clone(),
        "nan": lambda: torch.full_like(value, math.nan),
        "another type": lambda: value.to(torch.int32),
    }
    if damage != "gone":
        state[name] = changes[damage]()
    (tmp_path / "bad").mkdir()
    torch.save(state, tmp_path / "bad" / "pytorch_model.bin")
    (tmp_path / "bad" / "config.json").write_text(json.dumps(tiny_config().to_dict()))
    with pytest.raises(BadCheckpoint, match=r"fc_in"):
        from_pretrained(GPTJForCausalLM, tmp_path / "bad")


def test_int8_is_what_bitsandbytes_makes_of_the_whole_matrix(tmp_path):
    bnb = pytest.importorskip("bitsandbytes")
    model = loaded(tmp_path, "int8")
    weights = tiny_model().transformer.h[1].mlp.fc_out.weight.detach()
    expected, scales, _ = bnb.functional.int8_vectorwise_quant(weights.half())
    found = model.state_dict()
    assert torch.equal(found["transformer.h.1.mlp.fc_out.weight"], expected)
    assert torch.equal(found["transformer.h.1.mlp.fc_out.SCB"], scales)


ROWS = {
    "zeros": lambda rows: rows.zero_(),
    "one value": lambda rows: rows.fill_(0.3),
    "an outlier": lambda rows: rows[:, 5].mul_(3000),
    "below float16's smallest": lambda rows: rows.mul_(1e-8),
    "between two float16": lambda rows: rows.copy_(1 + torch.arange(rows.numel()).view_as(rows) / 4096),
    "halves": lambda rows: rows.copy_(torch.arange(rows.numel()).view_as(rows) % 255 - 127).mul_(0.5),
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_int8_is_what_bitsandbytes_makes_of_any_rows(rows, dtype, tmp_path):
    bnb = pytest.importorskip("bitsandbytes")
    model = tiny_model()
    with torch.no_grad():
        rows(model.transformer.h[0].mlp.fc_in.weight[40:70])
    save_pretrained(model.to(dtype), tmp_path)
    found = from_pretrained(GPTJForCausalLM, tmp_path, precision="int8").state_dict()
    weights = model.transformer.h[0].mlp.fc_in.weight.detach()
    expected, scales, _ = bnb.functional.int8_vectorwise_quant(weights.half())
    assert torch.equal(found["transformer.h.0.mlp.fc_in.weight"], expected)
    assert torch.equal(found["transformer.h.0.mlp.fc_in.SCB"], scales)


def test_nf4_is_what_bitsandbytes_makes_of_the_whole_matrix(tmp_path):
    bnb = pytest.importorskip("bitsandbytes")
    model = loaded(tmp_path, "nf4")
    weights = tiny_model().transformer.h[1].mlp.fc_out.weight.detach().bfloat16()
    expected, state = bnb.functional.quantize_4bit(weights, blocksize=64, compress_statistics=False, quant_type="nf4")
    found = model.state_dict()
    assert torch.equal(found["transformer.h.1.mlp.fc_out.weight"], expected)
    assert torch.equal(found["transformer.h.1.mlp.fc_out.weight.absmax"], state.absmax)


def test_an_int4_folder_names_its_own_method_in_its_config(tmp_path):
    save_pretrained(loaded(tmp_path, "int4"), tmp_path / "saved")
    described = json.loads((tmp_path / "saved" / "config.json").read_text())["quantization_config"]
    assert described["quant_method"] == "gptj-workbench-int4"
    assert (described["bits"], described["group_size"]) == (4, 128)


def test_int4_is_refused_on_a_gpu_with_the_precision_that_serves_one(tmp_path, monkeypatch):
    save_pretrained(tiny_model(), tmp_path)
    monkeypatch.setattr(placement, "device_named", torch.device)
    monkeypatch.setattr(placement, "default_device", lambda: torch.device("cuda", 0))
    for device_map in (None, "cuda:0", {"transformer": "cuda:0", "lm_head": "cpu"}):
        with pytest.raises(BadRequest, match=r"int4.*CPU alone.*nf4"):
            from_pretrained(GPTJForCausalLM, tmp_path, precision="int4", device_map=device_map)


@pytest.mark.parametrize("part", ["weight", "group_tables"])
def test_damaged_int4_codes_are_refused(part, tmp_path):
    state = dict(loaded(tmp_path, "int4").state_dict())
    name = f"transformer.h.1.mlp.fc_in.{part}"
    state[name] = state[name][:, :-1].clone()
    write_state(state, tiny_config(), tmp_path / "bad")
    with pytest.raises(BadCheckpoint, match=r"fc_in"):
        from_pretrained(GPTJForCausalLM, tmp_path / "bad")


def test_without_a_compiler_int4_holds_the_same_and_computes_nearly_the_same(tmp_path, monkeypatch):
    compiled = loaded(tmp_path, "int4", n_embd=64)
    expected = logits(compiled)
    monkeypatch.setattr(int4, "kernels", lambda: Kernels(None, "PyTorch"))
    plain = loaded(tmp_path, "int4", n_embd=64)
    assert_same_state(plain, compiled)
    assert (logits(plain) - expected).norm() / expected.norm() < 0.03


@pytest.mark.parametrize("precision", BITSANDBYTES)
def test_transformers_loads_a_quantised_folder_and_computes_the_same(precision, tmp_path):
    transformers = pytest.importorskip("transformers")
    model = loaded(tmp_path, precision, n_embd=64)
    save_pretrained(model, tmp_path / "saved")
    theirs = transformers.GPTJForCausalLM.from_pretrained(tmp_path / "saved", device_map="cpu")
    state = theirs.state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(state[name], value), name
    found, expected = logits(model), logits(theirs)
    assert (found - expected).norm() / expected.norm() < 0.02


@pytest.mark.parametrize("precision", BITSANDBYTES)
def test_a_quantised_folder_written_by_transformers_loads_here(precision, tmp_path):
    transformers = pytest.importorskip("transformers")
    needs_bitsandbytes(precision)
    save_pretrained(tiny_model(n_embd=64).to(torch.bfloat16), tmp_path / "float")
    model = from_pretrained(GPTJForCausalLM, tmp_path / "float", precision=precision)
    options = {"int8": {"load_in_8bit": True}, "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}}[precision]
    config = transformers.BitsAndBytesConfig(**options)
    theirs = transformers.GPTJForCausalLM.from_pretrained(
        tmp_path / "float", quantization_config=config, device_map="cpu", dtype=torch.bfloat16
    )
    theirs.save_pretrained(tmp_path / "theirs")
    assert_same_state(from_pretrained(GPTJForCausalLM, tmp_path / "theirs"), model)
