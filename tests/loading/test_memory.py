"""The memory plan, and what the machine or its container has."""

import pytest
import torch

from tests.loading.tiny import CLASSES, tiny_config, tiny_model, write_config
from workbench.errors import BadRequest
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading import memory
from workbench.loading.load import from_pretrained, save_pretrained
from workbench.loading.memory import (
    GPT_J_6B_PARAMETERS,
    available_memory_bytes,
    folder_precision,
    parameter_shapes,
    plan_memory,
    size_text,
)
from workbench.loading.parts import parts_of
from workbench.loading.precision import named, precisions

GIB = 2**30


def test_gpt_j_6b_has_its_published_number_of_parameters():
    assert plan_memory(GPTJConfig(), "float16", available_bytes=0).parameters == 6_050_882_784 == GPT_J_6B_PARAMETERS


@pytest.mark.parametrize(
    ("precision", "gibibytes", "cache"),
    [
        ("float32", 22.54, 1.75),
        ("float16", 11.27, 0.875),
        ("bfloat16", 11.27, 0.875),
        ("int8", 6.03, 0.875),
        ("nf4", 3.73, 0.875),
        ("int4", 3.44, 0.875),
    ],
)
def test_gpt_j_6b_weighs_what_is_published(precision, gibibytes, cache):
    plan = plan_memory(GPTJConfig(), precision, available_bytes=0)
    assert plan.weights_bytes / GIB == pytest.approx(gibibytes, abs=0.02)
    assert plan.kv_cache_bytes_per_stream / GIB == pytest.approx(cache)


@pytest.mark.parametrize("cls", CLASSES)
def test_the_parameters_of_every_class_are_counted_as_built(cls):
    plan = plan_memory(tiny_config(), "float32", available_bytes=0, cls=cls)
    assert plan.parameters == sum(parameter.numel() for parameter in tiny_model(cls).parameters())
    assert plan.weights_bytes == 4 * plan.parameters


def test_the_total_is_the_weights_and_every_streams_cache():
    plan = plan_memory(GPTJConfig(), "float16", streams=3, context=100, available_bytes=2**40)
    assert plan.kv_cache_bytes_per_stream == 100 * 458_752
    assert plan.total_bytes == plan.weights_bytes + 3 * plan.kv_cache_bytes_per_stream
    assert plan.fits and "It fits" in plan.advice
    assert not plan_memory(GPTJConfig(), "float16", available_bytes=plan.weights_bytes).fits


def test_a_plan_that_does_not_fit_says_what_is_needed_what_is_there_and_what_to_choose():
    plan = plan_memory(GPTJConfig(), "float16", available_bytes=int(9.8 * GIB))
    assert plan.advice == (
        "GPT-J-6B in float16 needs 11.3 GiB and 0.9 GiB a stream; this machine has 9.8 GiB free. "
        "Choose int4 (3.4 GiB) or int8 (6.0 GiB) or nf4 (3.7 GiB)."
    )


def test_a_plan_for_a_gpu_advises_no_precision_of_cpus_alone(monkeypatch):
    monkeypatch.setattr(memory, "default_device", lambda: torch.device("cuda", 0))
    plan = plan_memory(GPTJConfig(), "float16", available_bytes=int(9.8 * GIB))
    assert plan.advice.endswith("Choose int8 (6.0 GiB) or nf4 (3.7 GiB).")


def test_a_plan_whose_weights_fit_advises_a_shorter_context():
    assert plan_memory(GPTJConfig(), "nf4", available_bytes=int(4.1 * GIB)).advice.endswith("Choose a shorter context.")


def test_a_plan_that_fits_in_no_precision_advises_the_disk():
    assert "offload_folder" in plan_memory(GPTJConfig(), "nf4", available_bytes=GIB).advice


def test_the_alternatives_are_the_other_precisions():
    plan = plan_memory(GPTJConfig(), "float16", available_bytes=8 * GIB)
    assert {name for name, _, _ in plan.alternatives} == set(precisions()) - {"float16"}
    for name, total, fits in plan.alternatives:
        other = plan_memory(GPTJConfig(), name, available_bytes=8 * GIB)
        assert (total, fits) == (other.total_bytes, other.fits)


@pytest.mark.parametrize("wrong", [{"streams": 0}, {"context": 0}, {"context": 2049}, {"precision": "int5"}])
def test_impossible_questions_are_refused(wrong):
    with pytest.raises(BadRequest):
        plan_memory(**{"config": GPTJConfig(), "precision": "int8", "available_bytes": 0, **wrong})


@pytest.mark.parametrize(
    ("said", "precision"),
    [
        ({"dtype": "bfloat16"}, "bfloat16"),
        ({"torch_dtype": "float16"}, "float16"),
        ({"torch_dtype": "torch.float16"}, "float16"),
        ({}, "float32"),
        ({"dtype": "float64"}, "float32"),
        ({"dtype": "float16", "quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}}, "int8"),
        ({"dtype": "float16", "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, "nf4"),
        ({"dtype": "float16", "quantization_config": {"quant_method": "gptj-workbench-int4", "bits": 4}}, "int4"),
    ],
)
def test_config_json_tells_the_precision_of_weights_that_are_still_on_the_hub(tmp_path, said, precision):
    write_config(tiny_config(), tmp_path, **said)
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-00001-of-00002.safetensors"}}')
    assert folder_precision(tmp_path) == precision


def test_the_weights_tell_their_precision_whatever_config_json_says(tmp_path):
    save_pretrained(tiny_model().to(torch.bfloat16), tmp_path)
    write_config(tiny_config(), tmp_path, dtype="float32")
    assert folder_precision(tmp_path) == "bfloat16"


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "nf4"])
@pytest.mark.parametrize("tied", [False, True])
def test_the_parts_of_a_model_sum_to_its_plan(tmp_path, precision, tied):
    if named(precision).matrices is not None:
        pytest.importorskip("bitsandbytes")
    save_pretrained(tiny_model(tie_word_embeddings=tied), tmp_path)
    model = from_pretrained(GPTJForCausalLM, tmp_path, precision=precision)
    parts = parts_of(model, named(precision))
    plan = plan_memory(model.config, precision, available_bytes=0)
    assert sum(part.bytes for part in parts) == plan.weights_bytes
    assert sum(part.parameters for part in parts) == plan.parameters
    head = next(part for part in parts if part.name == "lm_head")
    assert not tied or head.parameters == model.config.vocab_size  # the bias alone


def test_counting_takes_no_memory_and_no_time_for_the_largest_possible_model():
    shapes = parameter_shapes(
        CLASSES[1], GPTJConfig(n_embd=2**15, n_layer=256, vocab_size=2**20, n_head=1024, rotary_dim=32)
    )
    assert len(shapes) == 10 * 256 + 5


def test_there_is_free_memory_and_less_than_the_machine_has():
    assert 0 < available_memory_bytes() < 2**50


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 MiB"), (31 * 2**20, "31 MiB"), (GIB, "1.0 GiB"), (12101765568, "11.3 GiB")]
)
def test_sizes_read_well(size, text):
    assert size_text(size) == text
