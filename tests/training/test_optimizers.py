"""The optimizers: what decays, and what their state weighs."""

import pytest
import torch
from torch import nn

from workbench.training.optimizers import STATE_BYTES, decay_groups, optimizer


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
