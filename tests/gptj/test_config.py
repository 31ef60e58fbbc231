"""The configuration: the published names and defaults, and nothing impossible."""

from dataclasses import fields
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.gptj.config import ALIASES, GPTJConfig
from workbench.gptj.model import ACTIVATIONS, GPTJForCausalLM

FIELDS = [field.name for field in fields(GPTJConfig) if field.name != "extra"]
WILD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 100),
    st.integers(-(10**400), 10**400),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def test_the_defaults_are_gpt_j_6b() -> None:
    with torch.device("meta"):
        model = GPTJForCausalLM(GPTJConfig())
    assert sum(parameter.numel() for parameter in model.parameters()) == 6_050_882_784
    assert len(model.state_dict()) == 285


def test_the_tensors_of_a_block_have_the_published_names() -> None:
    with torch.device("meta"):
        names = set(GPTJForCausalLM(GPTJConfig(n_layer=1)).state_dict())
    assert names == {
        "transformer.wte.weight",
        "transformer.h.0.ln_1.weight",
        "transformer.h.0.ln_1.bias",
        "transformer.h.0.attn.q_proj.weight",
        "transformer.h.0.attn.k_proj.weight",
        "transformer.h.0.attn.v_proj.weight",
        "transformer.h.0.attn.out_proj.weight",
        "transformer.h.0.mlp.fc_in.weight",
        "transformer.h.0.mlp.fc_in.bias",
        "transformer.h.0.mlp.fc_out.weight",
        "transformer.h.0.mlp.fc_out.bias",
        "transformer.ln_f.weight",
        "transformer.ln_f.bias",
        "lm_head.weight",
        "lm_head.bias",
    }


@pytest.mark.parametrize("alias, name", ALIASES.items())
def test_a_published_alias_sets_the_field(alias: str, name: str) -> None:
    assert getattr(GPTJConfig.from_dict({"rotary_dim": 2, alias: 32}), name) == 32


def test_every_known_activation_is_accepted() -> None:
    assert {GPTJConfig(activation_function=name).activation_function for name in ACTIVATIONS} == set(ACTIVATIONS)


def test_an_inner_width_of_none_is_four_times_the_model() -> None:
    assert GPTJConfig().inner_width == 16384
    assert GPTJConfig(n_inner=7).inner_width == 7


def test_a_rotary_dim_of_none_rotates_the_whole_head() -> None:
    assert GPTJConfig(rotary_dim=None).rotated_width == 256


def test_unknown_keys_survive_a_round_trip() -> None:
    published = {
        "model_type": "gptj",
        "architectures": ["GPTJForCausalLM"],
        "n_layer": 3,
        "scale_attn_weights": True,
        "task_specific_params": {"text-generation": {"max_length": 50}},
    }
    once = GPTJConfig.from_dict(published)
    assert once.to_dict().items() >= published.items()
    assert GPTJConfig.from_dict(once.to_dict()) == once


def test_the_number_of_labels_is_read_from_id2label() -> None:
    assert GPTJConfig.from_dict({"id2label": {"0": "a", "1": "b", "2": "c"}}).num_labels == 3


def test_num_labels_goes_before_id2label() -> None:
    assert GPTJConfig.from_dict({"id2label": {"0": "a"}, "num_labels": 4}).num_labels == 4


def test_another_architecture_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="model_type is 'llama'"):
        GPTJConfig.from_dict({"model_type": "llama"})


@pytest.mark.parametrize(
    "field, value",
    [
        ("vocab_size", 0),
        ("vocab_size", 2**40),
        ("n_positions", -1),
        ("n_positions", 10.0),
        ("n_embd", "4096"),
        ("n_embd", 4097),
        ("n_layer", True),
        ("n_head", None),
        ("n_head", 3),
        ("n_inner", 0),
        ("rotary_dim", 3),
        ("rotary_dim", 0),
        ("rotary_dim", 258),
        ("rotary_dim", "64"),
        ("activation_function", "swish9"),
        ("activation_function", None),
        ("resid_pdrop", 1.0),
        ("embd_pdrop", -0.1),
        ("attn_pdrop", float("nan")),
        ("layer_norm_epsilon", float("inf")),
        pytest.param("layer_norm_epsilon", 10**400, id="huge"),
        ("initializer_range", "0.02"),
        ("use_cache", "false"),
        ("bos_token_id", -1),
        ("eos_token_id", 1.5),
        ("eos_token_id", [3, -1]),
        ("eos_token_id", [3, "4"]),
        ("use_cache", 1),
        ("pad_token_id", -2),
        ("pad_token_id", "0"),
        ("tie_word_embeddings", "false"),
        ("num_labels", 0),
        ("problem_type", "guess"),
    ],
)
def test_an_impossible_value_is_refused_and_its_field_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        GPTJConfig.from_dict({field: value})


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([*FIELDS, *ALIASES, "model_type", "id2label", "extra"]), WILD, max_size=4))
def test_wild_values_give_a_config_or_a_value_error(values: dict[str, Any]) -> None:
    try:
        config = GPTJConfig.from_dict(values)
    except ValueError:
        return
    assert config.head_width * config.n_head == config.n_embd
    assert 2 <= config.rotated_width <= config.head_width
    assert GPTJConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize("ends, ids", [(None, ()), (7, (7,)), ([7, 2], (7, 2)), ([], ())])
def test_a_text_may_end_at_no_token_at_one_or_at_several(ends: Any, ids: tuple[int, ...]) -> None:
    config = GPTJConfig.from_dict({"eos_token_id": ends})
    assert config.end_tokens == ids and config.eos_token_id == ends
    assert GPTJConfig.from_dict(config.to_dict()) == config


def test_a_list_of_end_tokens_is_the_configurations_own() -> None:
    ends = [7, 2]
    config = GPTJConfig(eos_token_id=ends)
    ends.append(3)
    assert config.eos_token_id == [7, 2]


@pytest.mark.parametrize(
    "field, published, meant",
    [("pad_token_id", -1, None), ("use_cache", None, True), ("activation_function", "swish", "silu")],
)
def test_another_published_spelling_means_the_same(field: str, published: Any, meant: Any) -> None:
    config = GPTJConfig.from_dict({field: published})
    assert getattr(config, field) == meant
    assert GPTJConfig.from_dict(config.to_dict()) == config
