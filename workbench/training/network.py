"""The trunk, its adapter and the head as one module, and the batches it reads."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from workbench.gptj.config import GPTJConfig
from workbench.gptj.lora import Adapter
from workbench.gptj.model import GPTJBlock, GPTJModel, init_weights
from workbench.training.examples import Example
from workbench.training.objectives import Objective

WIDTH_STEP = 16
"""Batches are as wide as a multiple of this: PyTorch's CPU kernels keep what they prepared for each shape they met."""


class Batch(NamedTuple):
    """Examples, padded on the right."""

    rows: Tensor
    """(B,) which examples of their set these are."""
    ids: Tensor
    """(B, T)."""
    lengths: Tensor
    """(B,) tokens before the padding."""


class HeadNetwork(nn.Module):
    """From a batch to logits.

    Args:
        trunk: None where the features are given with each batch.
        learns_trunk: whether gradients reach into the trunk, for its own weights or for the adapter's.
    """

    def __init__(self, trunk: GPTJModel | None, head: nn.Linear, adapter: Adapter | None, objective: Objective,
                 learns_trunk: bool):  # fmt: skip
        super().__init__()
        self.trunk, self.head, self.adapter = trunk, head, adapter
        self.objective, self.learns_trunk = objective, learns_trunk

    @property
    def _no_split_modules(self) -> list[str]:
        """Under accelerate's name: the layers that FSDP gathers one at a time."""
        return [] if self.trunk is None else [GPTJBlock.__name__]

    def forward(self, batch: Batch, features: Tensor | None = None) -> Tensor:
        """Logits in float32: (B, labels), or (B, T, 2) for spans.

        Args:
            features: (B, T, C) the trunk's output, where it is known.
        """
        if features is None:
            features = self.features(batch)
        with torch.autocast(features.device.type, enabled=False):
            read = self.objective.read(features, batch.lengths)
            return self.objective.finish(self.head(read.float()), batch.lengths)

    def features(self, batch: Batch) -> Tensor:
        """(B, T, C) the trunk's output; T ends with the context, where only padding can stand beyond."""
        if self.trunk is None:
            raise ValueError("this network was made for features, and has no trunk")
        ids = batch.ids[:, : self.trunk.config.n_positions]
        with torch.set_grad_enabled(self.learns_trunk and torch.is_grad_enabled()):
            return self.trunk(ids, use_cache=False).last_hidden_state

    def attached(self) -> AbstractContextManager[None]:
        """The context in which the adapter works on the trunk."""
        if self.adapter is None or self.trunk is None:
            return nullcontext()
        return self.adapter.attached(self.trunk)

    def learn(self, learning: bool) -> None:
        """Training or evaluation mode: dropout and gradient checkpointing work in the first alone."""
        self.train(learning)
        if self.trunk is not None:
            self.trunk.train(learning and self.learns_trunk)
            for module in self.trunk.modules():
                _hold_quantised(module)


def _hold_quantised(module: nn.Module) -> None:
    """The mode in which a quantised layer computes the same in training as in serving, and has a gradient.

    In training mode bitsandbytes' 8-bit layers make a float copy of their weights at every call; in evaluation mode
    its 4-bit layers change their weights' layout for a kernel that has no gradient.
    """
    kind = type(module).__name__
    if kind in ("Linear8bitLt", "Linear4bit"):
        module.training = kind == "Linear4bit"


def fresh_head(config: GPTJConfig, objective: Objective, seed: int) -> nn.Linear:
    """An untrained head in float32.

    The bias of a span head stays 0: added to every token's logit it changes no probability, so its gradient is
    rounding errors alone, and AdamW would follow them at full speed.
    """
    with seeded(seed):
        head = nn.Linear(config.n_embd, objective.outputs, bias=objective.bias)
        init_weights(head, config)
    if head.bias is not None:
        head.bias.requires_grad_(False)
    return head


@contextmanager
def seeded(*seed: int) -> Iterator[None]:
    """A context with torch's generators at a seed; afterwards they are where they were."""
    with torch.random.fork_rng():
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]))
        yield


def padded_width(longest: int) -> int:
    """Tokens of a batch whose longest row has so many."""
    return -(-longest // WIDTH_STEP) * WIDTH_STEP


def padded(examples: Sequence[Example], rows: Sequence[int], device: torch.device) -> Batch:
    """The batch of some rows of a set of examples."""
    chosen = [examples[row].tokens for row in rows]
    ids = torch.zeros(len(chosen), padded_width(max(map(len, chosen))), dtype=torch.long)
    for place, tokens in enumerate(chosen):
        ids[place, : len(tokens)] = torch.tensor(tokens)
    lengths = torch.tensor([len(tokens) for tokens in chosen])
    return Batch(torch.tensor(rows), ids.to(device), lengths.to(device))
