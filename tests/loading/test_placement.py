"""Device maps and offload, on a machine without a GPU."""

import gc
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.loading.tiny import CLASSES, IDS, assert_same_state, logits, tiny_model
from workbench.errors import BadRequest, NotEnoughMemory
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.load import from_pretrained, save_pretrained

SOME_ON_DISK = {
    "transformer.wte": "cpu",
    "transformer.h.0": "disk",
    "transformer.h.1": "cpu",
    "transformer.ln_f": "disk",
    "lm_head": "disk",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved tiny model."""
    save_pretrained(tiny_model(), tmp_path / "saved")
    return tmp_path / "saved"


@pytest.mark.parametrize("device_map", [None, "cpu", torch.device("cpu"), "auto", {"": "cpu"}])
def test_without_a_gpu_everything_goes_to_the_cpu_without_hooks(device_map, folder):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    model = from_pretrained(GPTJForCausalLM, folder, device_map=device_map)
    assert model.hf_device_map == {"": "cpu"}
    assert not hasattr(model, "_hf_hook")
    assert_same_state(model, tiny_model())


@pytest.mark.parametrize("device_map", ["disk", {"": "disk"}, SOME_ON_DISK], ids=["name", "whole", "some"])
def test_a_model_offloaded_to_disk_computes_the_same_bit_for_bit(device_map, folder, tmp_path):
    model = from_pretrained(GPTJForCausalLM, folder, device_map=device_map, offload_folder=tmp_path / "off")
    assert torch.equal(logits(model), logits(tiny_model()))
    assert model.lm_head.weight.is_meta


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_class_offloads_whole_in_every_float_type(cls, dtype, tmp_path):
    save_pretrained(tiny_model(cls).to(dtype), tmp_path / "saved")
    model = from_pretrained(cls, tmp_path / "saved", device_map="disk", offload_folder=tmp_path / "off")
    with torch.no_grad():
        found, expected = model(IDS), tiny_model(cls).to(dtype)(IDS)
    pairs = [(a, b) for a, b in zip(found, expected, strict=True) if isinstance(b, torch.Tensor)]
    assert pairs and all(torch.equal(a, b) for a, b in pairs)


def test_a_cached_step_works_on_an_offloaded_model(folder, tmp_path):
    model = from_pretrained(GPTJForCausalLM, folder, device_map=SOME_ON_DISK, offload_folder=tmp_path / "off")
    with torch.no_grad():
        first = model(IDS[:, :-1], use_cache=True)
        last = model(IDS[:, -1:], past_key_values=first.past_key_values).logits
    torch.testing.assert_close(last[:, 0], logits(tiny_model())[:, -1], atol=1e-5, rtol=1e-5)


def test_auto_spills_to_disk_what_max_memory_leaves_out(folder, tmp_path):
    model = from_pretrained(
        GPTJForCausalLM, folder, device_map="auto", max_memory={"cpu": "80KB"}, offload_folder=tmp_path / "off"
    )
    assert set(model.hf_device_map.values()) == {"cpu", "disk"}
    assert torch.equal(logits(model), logits(tiny_model()))


def test_auto_that_does_not_fit_asks_for_an_offload_folder(folder):
    with pytest.raises(NotEnoughMemory, match="offload_folder"):
        from_pretrained(GPTJForCausalLM, folder, device_map="auto", max_memory={"cpu": 10_000})


def test_auto_keeps_to_the_containers_limit(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.loading.placement.available_memory_bytes", lambda device=None: 60_000)
    with pytest.raises(NotEnoughMemory):
        from_pretrained(GPTJForCausalLM, folder, device_map="auto")


def test_two_models_may_share_an_offload_folder(tmp_path):
    for seed in (1, 2):
        save_pretrained(tiny_model(seed=seed), tmp_path / str(seed))
    models = [
        from_pretrained(GPTJForCausalLM, tmp_path / str(seed), device_map="disk", offload_folder=tmp_path / "off")
        for seed in (1, 2)
    ]
    for seed, model in zip((1, 2), models, strict=True):
        assert torch.equal(logits(model), logits(tiny_model(seed=seed)))


def test_the_files_on_disk_go_with_the_model(folder, tmp_path):
    model = from_pretrained(GPTJForCausalLM, folder, device_map="disk", offload_folder=tmp_path / "off")
    assert list((tmp_path / "off").rglob("*.dat"))
    del model
    gc.collect()
    assert list((tmp_path / "off").iterdir()) == []


def test_a_failed_load_leaves_nothing_on_disk(folder, tmp_path):
    state = dict(tiny_model().state_dict())
    state["lm_head.bias"] = torch.full_like(state["lm_head.bias"], float("nan"))
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(Exception, match="NaN"):
        from_pretrained(GPTJForCausalLM, folder, device_map="disk", offload_folder=tmp_path / "off")
    assert list((tmp_path / "off").iterdir()) == []


@pytest.mark.parametrize("device_map", ["disk", SOME_ON_DISK], ids=["whole", "some"])
def test_an_offloaded_model_can_be_saved(device_map, folder, tmp_path):
    model = from_pretrained(GPTJForCausalLM, folder, device_map=device_map, offload_folder=tmp_path / "off")
    save_pretrained(model, tmp_path / "again")
    assert_same_state(from_pretrained(GPTJForCausalLM, tmp_path / "again"), tiny_model())


def test_tied_embeddings_work_from_disk(tmp_path):
    model = tiny_model(tie_word_embeddings=True)
    save_pretrained(model, tmp_path / "saved")
    loaded = from_pretrained(GPTJForCausalLM, tmp_path / "saved", device_map="disk", offload_folder=tmp_path / "off")
    assert torch.equal(logits(loaded), logits(model))


@pytest.mark.parametrize(
    ("device_map", "expected"),
    [
        ({"transformer": "cpu"}, r"leaves out lm_head\.weight"),
        ({"": "cpu", "transformer.h.7": "cpu"}, r"does not have: transformer\.h\.7"),
        ({}, "leaves out"),
        ("gpu", "device_map knows"),
        ({"": "mps"}, "cpu, cuda and disk"),
        ({"": 3.5}, "device_map knows"),
        ("disk", "offload_folder"),
        ({"": "disk"}, "offload_folder"),
    ],
)
def test_a_map_that_can_not_be_served_is_refused(device_map, expected, folder):
    with pytest.raises(BadRequest, match=expected):
        from_pretrained(GPTJForCausalLM, folder, device_map=device_map)


def test_a_gpu_that_is_not_there_is_refused(folder):
    with pytest.raises(BadRequest, match="CUDA devices"):
        from_pretrained(GPTJForCausalLM, folder, device_map={"": 99})


@pytest.mark.parametrize("max_memory", [{"cpu": "much"}, {"tpu": 5}, {0.5: "1GB"}])
def test_bounds_that_make_no_sense_are_refused(max_memory, folder):
    with pytest.raises(BadRequest):
        from_pretrained(GPTJForCausalLM, folder, device_map="auto", max_memory=max_memory)


def test_max_memory_bounds_a_load_on_one_device(folder):
    with pytest.raises(NotEnoughMemory, match="are free"):
        from_pretrained(GPTJForCausalLM, folder, device_map="cpu", max_memory={"cpu": 1000})


def test_an_offload_folder_that_can_not_be_written_is_named(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadRequest, match="can't be written"):
        from_pretrained(GPTJForCausalLM, folder, device_map="disk", offload_folder=tmp_path / "file")


def test_the_list_of_parts_on_disk_is_accelerates(folder, tmp_path):
    model = from_pretrained(GPTJForCausalLM, folder, device_map="disk", offload_folder=tmp_path / "off")
    (index,) = (tmp_path / "off").rglob("index.json")
    assert set(json.loads(index.read_text())) == {name for name, _ in model.named_parameters()}


def test_a_disk_that_is_too_full_is_refused_before_anything_is_written(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(NotEnoughMemory, match="its disk has 0 MiB free"):
        from_pretrained(GPTJForCausalLM, folder, device_map="disk", offload_folder=tmp_path / "off")
    assert list((tmp_path / "off").iterdir()) == []
