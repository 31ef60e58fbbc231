"""The optimizers of fine-tuning: torch's AdamW, and bitsandbytes' with its state in 8 bits."""

import importlib
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from workbench.errors import MissingDependency

BETAS = (0.9, 0.999)
STATE_BYTES = {"adamw": 8.0, "adamw8bit": 2.0 + 2 * 4 / 256}
"""A weight: two moments in float32, or in 8 bits with a float32 scale for 256 of them."""


def optimizer(name: str, module: nn.Module, weight_decay: float) -> torch.optim.Optimizer:
    """The optimizer of a module's weights that learn; its learning rate is set at each step.

    Raises:
        MissingDependency: the 8-bit one needs bitsandbytes.
    """
    groups = decay_groups((weight for weight in module.parameters() if weight.requires_grad), weight_decay)
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=0.0, betas=BETAS)
    try:
        bitsandbytes = importlib.import_module("bitsandbytes")
    except ImportError as error:
        raise MissingDependency("adamw8bit needs the package bitsandbytes: pip install bitsandbytes") from error
    made: torch.optim.Optimizer = bitsandbytes.optim.AdamW8bit(groups, lr=0.0, betas=BETAS)
    return made


def decay_groups(weights: Iterable[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases and LayerNorms do not."""
    kept = list(weights)
    matrices = [weight for weight in kept if weight.dim() > 1]
    others = [weight for weight in kept if weight.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
