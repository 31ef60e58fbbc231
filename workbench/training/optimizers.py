"""The optimizers: torch's AdamW and Muon, and bitsandbytes' AdamW with its state in 8 bits."""

import importlib
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from workbench.errors import MissingDependency

BETAS = (0.9, 0.999)
PRETRAINING_BETAS = (0.9, 0.95)
PRETRAINING_OPTIMIZERS = ("muon", "adamw")
ADAMW_BESIDE_MUON = 2 / 3
"""Its learning rate, as a share of Muon's."""
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


class PretrainingOptimizer:
    """What trains a whole model: Muon for the blocks' matrices and AdamW for the rest, or AdamW alone.

    Muon (Jordan et al., 2024) steps along the nearest orthogonal matrix of the momentum; its steps are scaled to the
    size of AdamW's, after Liu et al. (2025).
    """

    def __init__(self, name: str, model: nn.Module, blocks: nn.Module, weight_decay: float):
        matrices = [weight for weight in blocks.parameters() if weight.dim() == 2] if name == "muon" else []
        taken = {id(weight) for weight in matrices}
        rest = decay_groups((weight for weight in model.parameters() if id(weight) not in taken), weight_decay)
        self._share = ADAMW_BESIDE_MUON if matrices else 1.0
        self._adamw = torch.optim.AdamW(rest, betas=PRETRAINING_BETAS)
        self._muon: torch.optim.Muon | None = None
        if matrices:
            self._muon = torch.optim.Muon(matrices, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")

    def step(self, learning_rate: float) -> None:
        """One step of all weights along their gradients."""
        _step(self._adamw, learning_rate * self._share)
        if self._muon is not None:
            _step(self._muon, learning_rate)

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        for one in self._all():
            one.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        """What a resumed run needs."""
        return [one.state_dict() for one in self._all()]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        """Takes back what `state_dict` gave; raises ValueError or KeyError where it is of another optimizer."""
        for one, its in zip(self._all(), state, strict=True):
            one.load_state_dict(its)

    def _all(self) -> list[torch.optim.Optimizer]:
        return [self._adamw] if self._muon is None else [self._adamw, self._muon]


def _step(one: torch.optim.Optimizer, learning_rate: float) -> None:
    for group in one.param_groups:
        group["lr"] = learning_rate
    one.step()


def decay_groups(weights: Iterable[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases and LayerNorms do not."""
    kept = list(weights)
    matrices = [weight for weight in kept if weight.dim() > 1]
    others = [weight for weight in kept if weight.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
