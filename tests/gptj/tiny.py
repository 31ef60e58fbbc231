"""Tiny random networks and inputs, drawn by numpy from a seed, so that they do not depend on torch's generator."""

from dataclasses import dataclass
from typing import TypeVar

import numpy
import torch
from torch import Tensor, nn

from workbench.gptj.config import GPTJConfig
from workbench.gptj.heads import GPTJForQuestionAnswering, GPTJForSequenceClassification
from workbench.gptj.model import ACTIVATIONS, GPTJForCausalLM, GPTJModel

AnyModel = TypeVar("AnyModel", bound=nn.Module)

CLASSES = {
    "trunk": GPTJModel,
    "causal": GPTJForCausalLM,
    "classify": GPTJForSequenceClassification,
    "answer": GPTJForQuestionAnswering,
}
HEAD_WIDTHS = (4, 5, 6, 8, 9, 11, 16)


def tiny_config(
    n_embd: int = 16,
    n_layer: int = 2,
    n_head: int = 2,
    rotary_dim: int | None = 4,
    vocab_size: int = 23,
    n_positions: int = 32,
    dropout: float = 0.0,
    tie_word_embeddings: bool = False,
    pad_token_id: int | None = None,
    num_labels: int = 2,
) -> GPTJConfig:
    """A configuration that takes milliseconds."""
    return GPTJConfig(
        vocab_size=vocab_size,
        n_positions=n_positions,
        n_embd=n_embd,
        n_layer=n_layer,
        n_head=n_head,
        rotary_dim=rotary_dim,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=pad_token_id,
        tie_word_embeddings=tie_word_embeddings,
        num_labels=num_labels,
    )


def random_config(rng: numpy.random.Generator, num_labels: int = 2) -> GPTJConfig:
    """Any tiny shape: odd head widths, rotary_dim from 4 to the head width or None, n_inner set or None."""
    head_width = int(rng.choice(HEAD_WIDTHS))
    rotary_dim = int(rng.choice(range(4, head_width + 1, 2)))
    whole = rotary_dim == head_width and rng.random() < 0.5
    n_head = int(rng.integers(1, 5))
    return GPTJConfig(
        vocab_size=int(rng.integers(11, 60)),
        n_positions=int(rng.integers(16, 40)),
        n_embd=head_width * n_head,
        n_layer=int(rng.integers(1, 4)),
        n_head=n_head,
        rotary_dim=None if whole else rotary_dim,
        n_inner=int(rng.integers(3, 50)) if rng.random() < 0.5 else None,
        activation_function=str(rng.choice(sorted(ACTIVATIONS))),
        layer_norm_epsilon=float(rng.choice([1e-5, 1e-6, 1e-3])),
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
        num_labels=num_labels,
    )


@torch.no_grad()
def fill(model: AnyModel, seed: int) -> AnyModel:
    """Draws every parameter, by name, so that activations are of order one and nothing is zero; gives the model."""
    rng = numpy.random.default_rng(seed)
    for name, parameter in sorted(model.named_parameters()):
        values = rng.standard_normal(tuple(parameter.shape))
        if name.endswith("bias"):
            values *= 0.3
        elif parameter.dim() == 1:
            values = 1 + 0.3 * values
        elif "wte" not in name:
            values /= parameter.shape[1] ** 0.5
        parameter.copy_(torch.from_numpy(values))
    return model.eval()


def tiny_causal(seed: int = 0, config: GPTJConfig | None = None) -> GPTJForCausalLM:
    """A filled language model."""
    return fill(GPTJForCausalLM(config or tiny_config()), seed)


def tokens(rows: int, count: int, seed: int = 0, vocab_size: int = 23) -> Tensor:
    """Random ids (rows, count); 0 is kept for padding."""
    return torch.from_numpy(numpy.random.default_rng(seed).integers(1, vocab_size, (rows, count)))


@dataclass(frozen=True)
class Batch:
    """Random inputs of one forward pass."""

    input_ids: Tensor
    """(B, T), 0 at padding."""
    attention_mask: Tensor | None
    """(B, T), or None: no padding."""
    position_ids: Tensor | None
    token_type_ids: Tensor | None
    labels: Tensor
    """(B, T), -100 at padding and here and there."""
    real: Tensor
    """(B, T) booleans: not padding."""

    @property
    def arguments(self) -> dict[str, Tensor | None]:
        """What every class's forward takes beside the ids or embeddings."""
        return {
            "attention_mask": self.attention_mask,
            "position_ids": self.position_ids,
            "token_type_ids": self.token_type_ids,
        }


def random_batch(rng: numpy.random.Generator, config: GPTJConfig, padding: str | None = None) -> Batch:
    """Rows padded "left", "right", or not at all ("none"); None draws that too."""
    rows, count = int(rng.integers(1, 4)), int(rng.integers(2, 10))
    padding = padding or str(rng.choice(["none", "left", "right"]))
    ids = rng.integers(1, config.vocab_size, (rows, count))
    real = numpy.ones((rows, count), dtype=bool)
    if padding != "none":
        for row, pads in enumerate(rng.integers(0, count, rows)):
            real[row, : int(pads)] = False
        if padding == "right":
            real = real[:, ::-1].copy()
    position_ids = None
    if rng.random() < 0.6:
        position_ids = torch.from_numpy((real.cumsum(1) - 1).clip(0) + int(rng.integers(0, 7)))
    token_types = torch.from_numpy(rng.integers(0, config.vocab_size, (rows, count))) if rng.random() < 0.3 else None
    labels = numpy.where(real & (rng.random((rows, count)) < 0.8), ids, -100)
    labels[0, -1 if padding == "left" else 1] = 3  # one target at least
    return Batch(
        input_ids=torch.from_numpy(numpy.where(real, ids, 0)),
        attention_mask=None if padding == "none" else torch.from_numpy(real.astype(numpy.int64)),
        position_ids=position_ids,
        token_type_ids=token_types,
        labels=torch.from_numpy(labels),
        real=torch.from_numpy(real),
    )
