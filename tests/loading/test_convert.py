"""Conversion: between every two formats bit for bit, into every precision, and what is refused or fails half way."""

import errno
import json
import shutil
import warnings
from pathlib import Path

import pytest
import torch

from tests.full_disk import room_for
from tests.loading.foreign import ALL_WRITERS, write_ggml_model, write_mesh_model
from tests.loading.tiny import assert_same_state, logits, tiny_config, tiny_model, write_bin, write_config, write_state
from workbench.errors import BadCheckpoint, BadRequest, NotSaved
from workbench.gptj.heads import GPTJForQuestionAnswering, GPTJForSequenceClassification
from workbench.gptj.model import GPTJForCausalLM, GPTJModel
from workbench.loading import convert as converting
from workbench.loading.checkpoint import open_checkpoint, whole
from workbench.loading.convert import WRITERS, convert
from workbench.loading.load import from_pretrained

FORMS = ["safetensors", "bin", "flax", "tensorflow", "ggml", "mesh"]
SHAPES = {
    "narrow": {"n_embd": 16, "n_head": 2, "n_layer": 1, "vocab_size": 7, "rotary_dim": 2},
    "uneven": {"n_embd": 24, "n_head": 3, "n_layer": 3, "vocab_size": 101, "rotary_dim": 6, "n_inner": 37},
    "wide": {"n_embd": 128, "n_head": 2, "n_layer": 11, "vocab_size": 300, "rotary_dim": 32},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("written", WRITERS)
@pytest.mark.parametrize("form", FORMS)
def test_a_model_is_the_same_bit_for_bit_after_a_change_of_format(form, written, shape, tmp_path):
    model = tiny_model(seed=3, **SHAPES[shape])
    ALL_WRITERS[form](model, tmp_path / "source")
    done = convert(tmp_path / "source", tmp_path / "new", written)
    assert_same_state(from_pretrained(GPTJForCausalLM, tmp_path / "new"), model)
    assert done.tensors == len(model.state_dict()) == len(open_checkpoint(tmp_path / "new").tensors)
    assert done.bytes == sum(value.nbytes for value in model.state_dict().values())
    assert (done.report.dropped, done.report.missing, done.report.unexpected) == ((), (), ())


@pytest.mark.parametrize("through", ["bin", "flax"])
def test_there_and_back_again_is_the_same_file(through, tmp_path):
    ALL_WRITERS["safetensors"](tiny_model(), tmp_path / "a")
    convert(tmp_path / "a", tmp_path / "b")
    convert(tmp_path / "b", tmp_path / "c", through)
    convert(tmp_path / "c", tmp_path / "d")
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "b" / name).read_bytes() == (tmp_path / "d" / name).read_bytes()


@pytest.mark.parametrize("cls", [GPTJModel, GPTJForSequenceClassification, GPTJForQuestionAnswering])
@pytest.mark.parametrize("written", WRITERS)
def test_a_trunk_and_a_head_of_another_kind_keep_their_class(written, cls, tmp_path):
    model = tiny_model(cls)
    write_bin(model, tmp_path / "source")
    convert(tmp_path / "source", tmp_path / "new", written)
    assert json.loads((tmp_path / "new" / "config.json").read_text())["architectures"] == [cls.__name__]
    assert_same_state(from_pretrained(cls, tmp_path / "new"), model)


@pytest.mark.parametrize("written", WRITERS)
def test_a_model_whose_head_is_its_embedding_keeps_it_once(written, tmp_path):
    model = tiny_model(tie_word_embeddings=True)
    write_bin(model, tmp_path / "source")
    done = convert(tmp_path / "source", tmp_path / "new", written)
    assert "lm_head.weight" not in open_checkpoint(tmp_path / "new").tensors
    assert done.report.dropped == ("lm_head.weight",)
    assert torch.equal(logits(from_pretrained(GPTJForCausalLM, tmp_path / "new")), logits(model))


def test_old_buffers_are_reported_and_left_out(tmp_path):
    model = tiny_model()
    state = {**model.state_dict(), "transformer.h.0.attn.masked_bias": torch.tensor(-1e9), "stranger": torch.ones(2)}
    write_state(state, model.config, tmp_path / "source")
    done = convert(tmp_path / "source", tmp_path / "new")
    assert done.report.dropped == ("transformer.h.0.attn.masked_bias",) and done.report.unexpected == ("stranger",)
    assert set(open_checkpoint(tmp_path / "new").tensors) == set(model.state_dict())


@pytest.mark.parametrize("written", WRITERS)
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_float_precision_casts_every_tensor(written, precision, tmp_path):
    model = tiny_model()
    write_bin(model, tmp_path / "source")
    assert convert(tmp_path / "source", tmp_path / "new", written, precision).precision == precision
    found = open_checkpoint(tmp_path / "new")
    for name, value in model.state_dict().items():
        assert torch.equal(whole(found, name), value.to(getattr(torch, precision))), name


@pytest.mark.parametrize("form", FORMS)
def test_int8_is_what_a_load_in_int8_holds(form, tmp_path):
    pytest.importorskip("bitsandbytes")
    model = tiny_model()
    ALL_WRITERS[form](model, tmp_path / "source")
    done = convert(tmp_path / "source", tmp_path / "new", precision="int8")
    assert done.tensors == len(open_checkpoint(tmp_path / "new").tensors) > len(model.state_dict())
    write_bin(model, tmp_path / "bin")
    loaded = from_pretrained(GPTJForCausalLM, tmp_path / "bin", precision="int8")
    assert_same_state(from_pretrained(GPTJForCausalLM, tmp_path / "new"), loaded)


@pytest.mark.parametrize("written", ["bin", "flax"])
def test_int8_is_refused_where_only_floats_are_written(written, tmp_path):
    write_bin(tiny_model(), tmp_path / "source")
    with pytest.raises(BadRequest, match="int8 weights are written as safetensors only"):
        convert(tmp_path / "source", tmp_path / "new", written, "int8")
    assert not (tmp_path / "new").exists()


def test_small_files_are_carried_over_and_old_weights_and_indexes_are_not(tmp_path):
    ALL_WRITERS["sharded bin"](tiny_model(), tmp_path / "source")
    carried = {"tokenizer.json", "merges.txt", "vocab.json", "tokenizer_config.json", "LICENSE"}
    for name in carried:
        (tmp_path / "source" / name).write_text(name)
    convert(tmp_path / "source", tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {*carried, "config.json", "model.safetensors"}
    assert all((tmp_path / "new" / name).read_text() == name for name in carried)


def test_weights_without_a_configuration_ask_for_one(tmp_path):
    write_mesh_model(tiny_model(), tmp_path / "source")
    (tmp_path / "source" / "config.json").rename(tmp_path / "elsewhere.json")
    with pytest.raises(BadCheckpoint, match=r"config\.json: .*--config"):
        convert(tmp_path / "source", tmp_path / "new")
    convert(tmp_path / "source", tmp_path / "new", config=tmp_path / "elsewhere.json")
    assert_same_state(from_pretrained(GPTJForCausalLM, tmp_path / "new"), tiny_model())
    assert not (tmp_path / "source" / "config.json").exists()


def test_a_ggml_file_brings_its_configuration(tmp_path):
    write_ggml_model(tiny_model(), tmp_path / "source")
    (tmp_path / "source" / "config.json").unlink()
    convert(tmp_path / "source", tmp_path / "new")
    assert_same_state(from_pretrained(GPTJForCausalLM, tmp_path / "new"), tiny_model())


def test_a_configuration_of_another_model_is_refused(tmp_path):
    write_mesh_model(tiny_model(), tmp_path / "source")
    write_config(tiny_config(n_embd=64), tmp_path / "other")
    with pytest.raises(BadCheckpoint, match="shape"):
        convert(tmp_path / "source", tmp_path / "new", config=tmp_path / "other" / "config.json")
    assert {path.name for path in tmp_path.iterdir()} == {"source", "other"}


def test_a_folder_with_files_is_never_written_over(tmp_path):
    write_bin(tiny_model(), tmp_path / "source")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "mine.txt").write_text("mine")
    for destination in (tmp_path / "new", tmp_path / "source", tmp_path / "new" / "mine.txt"):
        with pytest.raises(BadRequest, match="nothing is overwritten"):
            convert(tmp_path / "source", destination)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_filled(tmp_path):
    write_bin(tiny_model(), tmp_path / "source")
    (tmp_path / "new").mkdir()
    convert(tmp_path / "source", tmp_path / "new")
    assert (tmp_path / "new" / "model.safetensors").exists()


@pytest.mark.parametrize("written", WRITERS)
@pytest.mark.parametrize(
    ("error", "becomes", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), NotSaved, "No space left on device"),
        (BadCheckpoint("x", "it ended"), BadCheckpoint, "it ended"),
        (KeyboardInterrupt(), KeyboardInterrupt, None),
    ],
)
def test_what_fails_half_way_leaves_nothing(written, error, becomes, told, tmp_path, monkeypatch):
    write_bin(tiny_model(), tmp_path / "source")
    seen: list[str] = []

    def fail(name: str) -> None:
        seen.append(name)
        if len(seen) == 5:
            raise error

    with pytest.raises(becomes, match=told):
        convert(tmp_path / "source", tmp_path / "new", written, progress=fail)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("written", WRITERS)
def test_a_file_that_can_grow_no_further_is_told_and_nothing_kept(written, tmp_path):
    write_bin(tiny_model(), tmp_path / "source")
    with room_for(30_000), pytest.raises(NotSaved, match=r"new can't be written \(File too large\)"):
        convert(tmp_path / "source", tmp_path / "new", written)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_disk_too_small_is_told_before_anything_is_written(tmp_path, monkeypatch):
    write_bin(tiny_model(), tmp_path / "source")
    monkeypatch.setattr(converting.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 1000))
    with pytest.raises(NotSaved, match=r"the disk has 0 MiB left\. Nothing was written"):
        convert(tmp_path / "source", tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_weights_that_are_not_numbers_are_refused(tmp_path):
    model = tiny_model()
    with torch.no_grad():
        model.transformer.ln_f.weight[3] = float("nan")
    write_bin(model, tmp_path / "source")
    with pytest.raises(BadCheckpoint, match=r"transformer\.ln_f\.weight"):
        convert(tmp_path / "source", tmp_path / "new", "flax")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_head_that_is_there_in_part_is_refused(tmp_path):
    model = tiny_model(GPTJForQuestionAnswering)
    state = {name: value for name, value in model.state_dict().items() if name != "qa_outputs.bias"}
    write_state(state, model.config, tmp_path / "source")
    with warnings.catch_warnings(), pytest.raises(BadCheckpoint, match=r"qa_outputs\.bias"):
        convert(tmp_path / "source", tmp_path / "new")


def test_an_unknown_format_or_precision_is_refused(tmp_path):
    write_bin(tiny_model(), Path(tmp_path / "source"))
    with pytest.raises(BadRequest, match="format must be one of safetensors, bin, flax"):
        convert(tmp_path / "source", tmp_path / "new", "h5")
    with pytest.raises(BadRequest, match="precision must be one of"):
        convert(tmp_path / "source", tmp_path / "new", precision="int3")
