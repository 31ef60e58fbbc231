"""LoRA matrices beside a trunk: what they add, that they train, and that they leave no trace."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from tests.gptj.tiny import fill, tiny_config, tokens
from tests.loading.tiny import tiny_model
from workbench.gptj.lora import Adapter
from workbench.gptj.model import GPTJForCausalLM, GPTJModel
from workbench.loading.load import from_pretrained, save_pretrained

ALL = ("q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_out")
IDS = tokens(2, 7)


def trunk(seed: int = 0) -> GPTJModel:
    """A filled trunk."""
    return fill(GPTJModel(tiny_config()), seed)


def trained(model: nn.Module, seed: int = 1, **options: Any) -> Adapter:
    """An adapter with every matrix filled, as after training."""
    return fill(Adapter(model, **options), seed)


def states(model: nn.Module, ids: Tensor = IDS) -> Tensor:
    """(B, T, C)."""
    return model(ids, use_cache=False).last_hidden_state


def hooks(model: nn.Module) -> list[str]:
    """The modules that a forward hook hangs on."""
    return [name for name, module in model.named_modules() if module._forward_hooks]


def test_a_fresh_adapter_changes_nothing() -> None:
    model = trunk()
    with Adapter(model).attached(model):
        attached = states(model)
    assert torch.equal(attached, states(model))


def test_the_layers_are_named_as_in_the_trunk_whichever_model_holds_it() -> None:
    model = fill(GPTJForCausalLM(tiny_config()), 0)
    names = ("h.0.attn.v_proj", "h.0.attn.q_proj", "h.1.attn.v_proj", "h.1.attn.q_proj")
    assert set(Adapter(model).layers) == set(Adapter(model.transformer).layers) == set(names)


@settings(deadline=None, max_examples=30)
@given(rank=st.integers(1, 5), alpha=st.floats(0.1, 40), chosen=st.sets(st.sampled_from(ALL), min_size=1))
def test_an_attached_adapter_equals_weights_with_the_product_merged_in(
    rank: int, alpha: float, chosen: set[str]
) -> None:
    model = trunk()
    adapter = trained(model, targets=sorted(chosen), rank=rank, alpha=alpha)
    with adapter.attached(model), torch.no_grad():
        attached = states(model)
        for name, pair in zip(adapter.layers, adapter.pairs, strict=True):
            model.get_submodule(name).weight += alpha / rank * pair.lora_B.weight @ pair.lora_A.weight
    with torch.no_grad():
        torch.testing.assert_close(attached, states(model), rtol=1e-4, atol=1e-4)


def test_nothing_is_left_of_an_adapter_after_its_context() -> None:
    model = trunk()
    before, names = states(model), dict(model.named_parameters()).keys()
    adapter = trained(model)
    with adapter.attached(model):
        assert set(hooks(model)) == set(adapter.layers)
        assert not torch.allclose(states(model), before)
    with pytest.raises(ValueError, match="exceed"), adapter.attached(model):
        states(model, tokens(1, 99))
    assert hooks(model) == [] and dict(model.named_parameters()).keys() == names
    assert torch.equal(states(model), before)


def test_an_adapter_for_more_layers_than_the_model_has_is_refused_and_leaves_no_trace() -> None:
    adapter = trained(trunk())
    small = fill(GPTJModel(tiny_config(n_layer=1)), 0)
    with pytest.raises(ValueError, match="no such layer"), adapter.attached(small):
        pass
    assert hooks(small) == []


@pytest.mark.parametrize("options, said", [
    ({"targets": ("query",)}, "query.*there are.*q_proj"), ({"targets": ()}, "name no linear layer"),
    ({"targets": ("wte",)}, "wte"), ({"rank": 0}, "rank"), ({"rank": 1.5}, "rank"), ({"dropout": 1.0}, "dropout"),
    ({"alpha": float("nan")}, "alpha"), ({"targets": ("proj",)}, "proj"),
])  # fmt: skip
def test_impossible_settings_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Adapter(trunk(), **options)


def test_a_target_may_be_a_whole_part_of_the_path_alone() -> None:
    assert Adapter(trunk(), ["0.attn.q_proj", "mlp.fc_in"]).layers == (
        "h.0.attn.q_proj", "h.0.mlp.fc_in", "h.1.mlp.fc_in",
    )  # fmt: skip


def test_gradients_reach_the_adapter_and_no_frozen_weight() -> None:
    model = trunk().requires_grad_(False)
    adapter = trained(model)
    with adapter.attached(model):
        states(model).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in adapter.parameters())
    assert all(parameter.grad is None for parameter in model.parameters())


def gradients(model: GPTJModel, adapter: Adapter) -> list[Tensor]:
    """Of one step with the adapter attached until the backward pass is done."""
    adapter.zero_grad()
    with adapter.attached(model):
        states(model).square().mean().backward()
    return [parameter.grad.clone() for parameter in adapter.parameters()]


def test_gradient_checkpointing_gives_the_same_gradients() -> None:
    model = trunk().requires_grad_(False).train()
    adapter = trained(model)
    plain = gradients(model, adapter)
    model.gradient_checkpointing = True
    for ours, theirs in zip(gradients(model, adapter), plain, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_dropout_acts_in_training_alone() -> None:
    model = trunk()
    adapter = trained(model, dropout=0.5)
    with adapter.attached(model), torch.no_grad():
        assert torch.equal(states(model), states(model))
        adapter.train()
        assert not torch.equal(states(model), states(model))


PRECISIONS = ["float32", "bfloat16", "float16", "int8", "nf4", "int4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint wide enough for blocks of 64 values."""
    path = tmp_path_factory.mktemp("checkpoint")
    save_pretrained(tiny_model(n_embd=64, n_head=4), path)
    return path


@pytest.fixture(params=PRECISIONS)
def held(request: pytest.FixtureRequest, folder: Path) -> GPTJForCausalLM:
    """The checkpoint in each precision."""
    if request.param in ("int8", "nf4"):
        pytest.importorskip("bitsandbytes")
    return from_pretrained(GPTJForCausalLM, folder, precision=request.param, device_map="cpu")


def test_in_every_precision_a_layer_gives_its_own_output_and_the_product(held: GPTJForCausalLM) -> None:
    adapter = trained(held, targets=ALL, rank=4)
    layer = held.transformer.h[1].mlp.fc_in
    pair = adapter.pairs[adapter.layers.index("h.1.mlp.fc_in")]
    x = torch.randn(2, 3, 64, generator=torch.Generator().manual_seed(0)).to(held.transformer.wte.weight.dtype)
    with torch.no_grad():
        base = layer(x)
        added = F.linear(F.linear(x.float(), pair.lora_A.weight), pair.lora_B.weight) * adapter.scaling
        with adapter.attached(held):
            together = layer(x)
    assert together.dtype == base.dtype
    assert torch.equal(together, (base.float() + added).to(base.dtype))


def test_in_every_precision_gradients_reach_the_first_layers_matrices(held: GPTJForCausalLM) -> None:
    adapter = trained(held, targets=ALL, rank=4, alpha=1)
    held.requires_grad_(False)
    with adapter.attached(held):
        states(held.transformer).float().square().mean().backward()
    for parameter in adapter.parameters():
        assert parameter.dtype == torch.float32
        assert parameter.grad is not None and parameter.grad.isfinite().all()
    first = [pair for name, pair in zip(adapter.layers, adapter.pairs, strict=True) if name == "h.0.attn.v_proj"]
    assert all(parameter.grad.any() for parameter in first[0].parameters())


def test_a_model_whose_layers_are_on_disk_reads_with_an_adapter(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    spread = {"transformer.wte": "cpu", "transformer.h.0": "cpu", "transformer.h.1": "disk", "transformer.ln_f": "cpu",
              "lm_head": "cpu"}  # fmt: skip
    whole = from_pretrained(GPTJForCausalLM, folder, device_map="cpu")
    parted = from_pretrained(GPTJForCausalLM, folder, device_map=spread, offload_folder=tmp_path)
    adapter = trained(whole)
    adapter.place(parted)
    with torch.no_grad(), adapter.attached(whole), adapter.attached(parted):
        assert torch.equal(states(parted.transformer), states(whole.transformer))
    assert hooks(parted) == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_matrices_follow_the_layers_to_the_gpu() -> None:
    model = trunk()
    adapter = trained(model)
    with torch.no_grad(), adapter.attached(model):
        expected = states(model)
    model.cuda()
    with torch.no_grad(), adapter.attached(model):
        away = states(model, IDS.cuda())
        adapter.place(model)
        near = states(model, IDS.cuda())
    assert {parameter.device.type for parameter in adapter.parameters()} == {"cuda"}
    torch.testing.assert_close(away, near)
    torch.testing.assert_close(near.cpu(), expected, rtol=1e-3, atol=1e-4)
