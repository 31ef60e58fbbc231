"""Loading and saving whole models."""

import json
import warnings
from pathlib import Path

import pytest
import torch

from tests.full_disk import room_for
from tests.loading.foreign import ALL_WRITERS
from tests.loading.tiny import (
    CLASSES,
    assert_same_state,
    logits,
    tiny_config,
    tiny_model,
    write_bin,
    write_state,
)
from workbench.errors import BadCheckpoint, BadRequest, Cancelled, CheckpointNotFound, NotEnoughMemory, NotSaved
from workbench.gptj.heads import GPTJForQuestionAnswering, GPTJForSequenceClassification
from workbench.gptj.model import GPTJForCausalLM, GPTJModel
from workbench.loading import load as loading
from workbench.loading.load import LoadProgress, from_pretrained, load_model, save_pretrained


@pytest.mark.parametrize("form", [form for form in ALL_WRITERS if form != "mesh"])  # which has a language model only
@pytest.mark.parametrize("cls", CLASSES)
def test_every_class_comes_back_bit_for_bit_from_every_form(cls, form, tmp_path):
    model = tiny_model(cls)
    ALL_WRITERS[form](model, tmp_path)
    assert_same_state(from_pretrained(cls, tmp_path), model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_model_is_saved_in_its_own_dtype_and_reloads_in_it(dtype, tmp_path):
    model = tiny_model().to(dtype)
    save_pretrained(model, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == str(dtype).removeprefix("torch.")
    assert_same_state(from_pretrained(GPTJForCausalLM, tmp_path), model)


def test_a_disk_without_room_is_named_and_leaves_the_model_saved_before(tmp_path):
    model = tiny_model()
    save_pretrained(model, tmp_path)
    with room_for(30_000), pytest.raises(NotSaved, match=r"can't be saved to .* \(File too large\)\. Make room"):
        save_pretrained(tiny_model(seed=1), tmp_path)
    assert_same_state(from_pretrained(GPTJForCausalLM, tmp_path), model)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}


def test_the_dtype_argument_casts_as_torch_casts(tmp_path):
    model = tiny_model()
    save_pretrained(model, tmp_path)
    for dtype in (torch.float16, "bfloat16", "torch.float16"):
        loaded = from_pretrained(GPTJForCausalLM, tmp_path, dtype=dtype)
        assert_same_state(loaded, tiny_model().to(loaded.lm_head.weight.dtype))


def test_a_loaded_model_is_in_evaluation_mode_and_trainable(tmp_path):
    save_pretrained(tiny_model(), tmp_path)
    with torch.inference_mode():
        model = from_pretrained(GPTJForCausalLM, tmp_path)
    assert not model.training
    assert all(parameter.requires_grad and not parameter.is_inference() for parameter in model.parameters())


def test_the_old_causal_buffers_are_dropped_and_reported(tmp_path):
    model = tiny_model()
    for dtype in (torch.uint8, torch.bool):
        buffers = {
            f"transformer.h.{i}.attn.{name}": value
            for i in range(2)
            for name, value in (
                ("bias", torch.ones(1, 1, 64, 64).tril().to(dtype)),
                ("masked_bias", torch.tensor(-1e9)),
            )
        }
        write_state({**model.state_dict(), **buffers}, model.config, tmp_path)
        loaded = from_pretrained(GPTJForCausalLM, tmp_path)
        assert_same_state(loaded, model)
        assert set(loaded.load_report.dropped) == set(buffers)
        assert "4 not used by this model" in str(loaded.load_report)


@pytest.mark.parametrize("cls", [GPTJForSequenceClassification, GPTJForQuestionAnswering])
@pytest.mark.parametrize("source", [GPTJModel, GPTJForCausalLM])
def test_a_new_head_is_named_in_a_warning_and_in_the_report(cls, source, tmp_path):
    trunk = tiny_model(source)
    save_pretrained(trunk, tmp_path)
    with pytest.warns(UserWarning, match="untrained"):
        model = from_pretrained(cls, tmp_path)
    head = [name for name, _ in model.named_parameters() if not name.startswith("transformer.")]
    assert list(model.load_report.untrained) == head
    assert_same_state(model.transformer, getattr(trunk, "transformer", trunk))
    weights = model.get_parameter(head[0])
    assert 0 < weights.std() < 0.1 and weights.isfinite().all()


def test_a_language_model_gives_its_trunk(tmp_path):
    model = tiny_model()
    save_pretrained(model, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trunk = from_pretrained(GPTJModel, tmp_path)
    assert_same_state(trunk, model.transformer)
    assert set(trunk.load_report.dropped) == {"lm_head.weight", "lm_head.bias"}


def test_a_trunk_does_not_become_a_language_model(tmp_path):
    save_pretrained(tiny_model(GPTJModel), tmp_path)
    with pytest.raises(BadCheckpoint, match=r"lm_head\.weight"):
        from_pretrained(GPTJForCausalLM, tmp_path)


def test_tied_embeddings_are_saved_once_and_shared_again(tmp_path):
    model = tiny_model(tie_word_embeddings=True)
    save_pretrained(model, tmp_path)
    loaded = from_pretrained(GPTJForCausalLM, tmp_path)
    assert loaded.lm_head.weight is loaded.transformer.wte.weight
    assert torch.equal(logits(loaded), logits(model))
    assert loaded.load_report.missing == ("lm_head.weight",)


def test_tied_embeddings_stand_beside_a_written_out_copy(tmp_path):
    model = tiny_model(tie_word_embeddings=True)
    write_bin(model, tmp_path)
    loaded = from_pretrained(GPTJForCausalLM, tmp_path)
    assert loaded.lm_head.weight is loaded.transformer.wte.weight
    assert loaded.load_report.dropped == ("lm_head.weight",)


def test_unknown_tensors_are_reported_and_not_fatal(tmp_path):
    model = tiny_model()
    write_state({**model.state_dict(), "extra.thing": torch.zeros(3)}, model.config, tmp_path)
    assert from_pretrained(GPTJForCausalLM, tmp_path).load_report.unexpected == ("extra.thing",)


def test_progress_counts_every_tensor_and_byte(tmp_path):
    model = tiny_model()
    save_pretrained(model, tmp_path)
    seen: list[LoadProgress] = []
    load_model(GPTJForCausalLM, tmp_path, progress=seen.append)
    assert [step.tensors_done for step in seen] == list(range(1, len(model.state_dict()) + 1))
    assert seen[-1].tensors_done == seen[-1].tensors_total
    assert seen[-1].bytes_done == seen[-1].bytes_total == sum(value.nbytes for value in model.state_dict().values())
    assert {step.name for step in seen} == set(model.state_dict())


def test_an_exception_from_progress_ends_the_load_and_frees_the_weights(tmp_path, monkeypatch):
    save_pretrained(tiny_model(), tmp_path)
    made = []
    built = loading.empty_model
    monkeypatch.setattr(loading, "empty_model", lambda *given: made.append(built(*given)) or made[-1])

    def stop(step: LoadProgress) -> None:
        if step.tensors_done == 5:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        load_model(GPTJForCausalLM, tmp_path, progress=stop)
    assert list(made[0].parameters()) == []


def test_a_model_that_does_not_fit_is_refused_before_it_is_read(tmp_path, monkeypatch):
    save_pretrained(tiny_model(), tmp_path)
    monkeypatch.setattr("workbench.loading.placement.available_memory_bytes", lambda device=None: 10_000)
    seen = []
    with pytest.raises(NotEnoughMemory, match="free"):
        load_model(GPTJForCausalLM, tmp_path, device_map="cpu", progress=seen.append)
    assert seen == []


def test_running_out_of_memory_is_told_as_such(tmp_path, monkeypatch):
    save_pretrained(tiny_model(), tmp_path)

    def fail(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 5 bytes")

    monkeypatch.setattr(loading, "read_float", fail)
    with pytest.raises(NotEnoughMemory, match="ran out"):
        load_model(GPTJForCausalLM, tmp_path)


def test_a_folder_without_weights_names_what_is_expected(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(tiny_config().to_dict()))
    with pytest.raises(BadCheckpoint, match=r"model\.safetensors"):
        from_pretrained(GPTJForCausalLM, tmp_path)


def test_a_folder_that_is_not_there_is_said_to_be_missing():
    with pytest.raises(CheckpointNotFound, match="no folder"):
        from_pretrained(GPTJForCausalLM, "/nowhere/at/all")


def test_precision_and_dtype_that_disagree_are_refused(tmp_path):
    save_pretrained(tiny_model(), tmp_path)
    with pytest.raises(BadRequest, match="disagree"):
        from_pretrained(GPTJForCausalLM, tmp_path, precision="float32", dtype=torch.float16)
    with pytest.raises(BadRequest, match="float32, bfloat16 or float16"):
        from_pretrained(GPTJForCausalLM, tmp_path, dtype=torch.int8)
    with pytest.raises(BadRequest, match="precision must be one of"):
        from_pretrained(GPTJForCausalLM, tmp_path, precision="int3")


def test_saving_over_an_older_save_leaves_only_the_new_one(tmp_path):
    save_pretrained(tiny_model(seed=1), tmp_path, max_shard_bytes=20_000)
    model = tiny_model(seed=2)
    save_pretrained(model, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    save_pretrained(model, tmp_path, max_shard_bytes=20_000)
    assert not (tmp_path / "model.safetensors").exists()
    assert_same_state(from_pretrained(GPTJForCausalLM, tmp_path), model)


def test_a_model_can_be_saved_over_the_folder_it_came_from(tmp_path):
    save_pretrained(tiny_model(), tmp_path)
    save_pretrained(from_pretrained(GPTJForCausalLM, tmp_path), tmp_path)
    assert_same_state(from_pretrained(GPTJForCausalLM, tmp_path), tiny_model())


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("safe", [True, False])
def test_a_checkpoint_written_by_transformers_loads_and_computes_the_same(cls, safe, tmp_path):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(1)
    theirs = getattr(transformers, cls.__name__)(transformers.GPTJConfig(**_published())).eval()
    if safe:
        theirs.save_pretrained(tmp_path, max_shard_size="20KB")
    else:
        theirs.config.save_pretrained(tmp_path)
        torch.save(theirs.state_dict(), tmp_path / "pytorch_model.bin")
    ours = from_pretrained(cls, tmp_path)
    ids = torch.arange(3, 15)[None]
    with torch.no_grad():
        found, expected = ours(ids), theirs(ids)
    for name in ("logits", "start_logits", "last_hidden_state"):
        if hasattr(found, name):
            torch.testing.assert_close(getattr(found, name), expected[name], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cls", CLASSES)
def test_transformers_loads_what_is_saved_here(cls, tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    model = tiny_model(cls)
    save_pretrained(model, tmp_path, max_shard_bytes=20_000)
    theirs = getattr(transformers, cls.__name__).from_pretrained(tmp_path)
    state = theirs.state_dict()
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


def _published() -> dict[str, object]:
    config = tiny_config().to_dict()
    return {name: value for name, value in config.items() if name not in ("model_type", "problem_type")}
