"""The optimizers: what decays, and what their state weighs."""

import copy

import pytest
import torch
from torch import nn

from workbench.training.optimizers import (
    PRETRAINING_OPTIMIZERS,
    STATE_BYTES,
    PretrainingOptimizer,
    decay_groups,
    optimizer,
)


def module(width: int = 256) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width))


def test_matrices_decay_and_the_rest_does_not() -> None:
    groups = decay_groups(module().parameters(), 0.1)
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    assert [len(group["params"]) for group in groups] == [1, 3]


def test_a_group_without_weights_is_left_out() -> None:
    assert len(decay_groups(nn.Linear(4, 4, bias=False).parameters(), 0.1)) == 1


def test_frozen_weights_are_not_touched() -> None:
    network = module()
    network[1].requires_grad_(False)
    made = optimizer("adamw", network, 0.1)
    assert sum(weight.numel() for group in made.param_groups for weight in group["params"]) == 256 * 256 + 256


@pytest.mark.parametrize("name", STATE_BYTES)
def test_the_state_weighs_what_the_plan_says(name: str) -> None:
    network = nn.Linear(512, 512, bias=False)
    made = optimizer(name, network, 0.0)
    network(torch.randn(3, 512)).sum().backward()
    for group in made.param_groups:
        group["lr"] = 1e-3
    made.step()
    tensors = [value for state in made.state.values() for value in state.values() if torch.is_tensor(value)]
    shared = 2 * 256 * 4  # the two tables of 8-bit values, which all matrices have in common
    held = sum(value.numel() * value.element_size() for value in tensors if value.dim())
    assert held == pytest.approx(STATE_BYTES[name] * 512 * 512, abs=shared)


@pytest.mark.parametrize("name", STATE_BYTES)
def test_both_optimizers_go_downhill(name: str) -> None:
    network = module(64)
    made = optimizer(name, network, 0.0)
    inputs = torch.randn(16, 64)
    values = []
    for _ in range(20):
        loss = network(inputs).square().mean()
        values.append(loss.item())
        loss.backward()
        for group in made.param_groups:
            group["lr"] = 3e-3
        made.step()
        made.zero_grad()
    assert values[-1] < values[0] / 1.01


def trunk() -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict({"wte": nn.Embedding(10, 16), "h": nn.Linear(16, 48), "head": nn.Linear(48, 4)})


def step(model: nn.ModuleDict, made: PretrainingOptimizer, rate: float = 0.01) -> float:
    """One step on a problem of its own; gives the loss before it."""
    made.zero_grad()
    scores = model["head"](model["h"](model["wte"](torch.arange(10))))
    loss = nn.functional.cross_entropy(scores, torch.arange(10) % 4)
    loss.backward()
    made.step(rate)
    return loss.item()


def test_muon_moves_a_blocks_matrix_in_all_directions_alike() -> None:
    model = trunk()
    before = model["h"].weight.detach().clone()
    made = PretrainingOptimizer("muon", model, model["h"], weight_decay=0.0)
    model["h"].weight.grad = torch.randn(48, 16) * torch.logspace(-1, 1, 16)
    made.step(0.01)
    sizes = torch.linalg.svdvals(model["h"].weight.detach() - before)
    assert sizes.max() / sizes.min() < 3  # of the gradient above 100; the iteration stops at about 1
    root_mean_square = float((model["h"].weight.detach() - before).square().mean().sqrt())
    assert root_mean_square == pytest.approx(0.2 * 0.01, rel=0.3)  # as of AdamW, whose steps are this large


@pytest.mark.parametrize("name", PRETRAINING_OPTIMIZERS)
def test_pretraining_goes_downhill_and_on_after_a_stop(name: str) -> None:
    model, again = trunk(), trunk()
    made, resumed = (PretrainingOptimizer(name, one, one["h"], 0.1) for one in (model, again))
    losses = [step(model, made) for _ in range(30)]
    assert losses[-1] < losses[0] / 1.5
    again.load_state_dict(model.state_dict())
    resumed.load_state_dict(copy.deepcopy(made.state_dict()))
    assert [step(model, made) for _ in range(3)] == [step(again, resumed) for _ in range(3)]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(model.parameters(), again.parameters(), strict=True))


def test_one_optimizers_state_is_refused_by_the_other() -> None:
    model = trunk()
    muon, adamw = (PretrainingOptimizer(name, model, model["h"], 0.1) for name in PRETRAINING_OPTIMIZERS)
    with pytest.raises(ValueError):
        adamw.load_state_dict(muon.state_dict())
