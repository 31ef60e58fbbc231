"""A model whose next token is arithmetic on all tokens before it: what is right is known without a network.

It reads its history from the caches that the engine gives it, so a cache of another stream, one that was not cut back
or one that was kept wrongly gives other tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from tests.gptj.tiny import tiny_causal, tiny_config
from workbench.engine.engine import Engine
from workbench.engine.limits import Limits
from workbench.gptj.cache import CacheRows

VOCABULARY, CONTEXT_TOKENS = 97, 64
NAN, POISON, FIRST = 0, 1, 2
"""Tokens of a prompt that make the model's numbers none, and that make it fail; the first plain one."""


def next_token(history: Sequence[int]) -> int:
    """What comes after these tokens."""
    return FIRST + sum((place + 1) * 31 * token for place, token in enumerate(history)) % (VOCABULARY - FIRST)


def written(prompt: Sequence[int], count: int) -> list[int]:
    """What comes of a prompt."""
    tokens = list(prompt)
    for _ in range(min(count, CONTEXT_TOKENS - len(prompt))):
        tokens.append(next_token(tokens))
    return tokens[len(prompt) :]


@dataclass
class Script:
    """Stands in for a model's trunk and its head."""

    breaks: int = 0
    """Common steps that are yet to fail."""
    passes: int = field(default=0)

    def trunk(self, ids: Tensor, past_key_values: Any = None, **_: Any) -> Any:
        """The next token after each token, in the first column of the states (B, T, C)."""
        self.passes += 1
        told = ids.float()[:, None, :, None]  # (B, H, T, D), as keys are
        if isinstance(past_key_values, CacheRows):
            found = past_key_values.attend(0, told, told, told)[:, 0]
            if self.breaks and len(past_key_values._streams) > 1:  # its caches have grown by now
                self.breaks -= 1
                raise RuntimeError("a common step is broken")
        else:
            if bool((ids == POISON).any()):
                raise RuntimeError("a poisoned prompt")
            keys, _values = past_key_values.extend(0, told, told)
            history = keys[0, 0, :, 0].tolist()
            ends = range(len(history) - ids.shape[1] + 1, len(history) + 1)
            found = torch.tensor([[[self._after(history[:end])] for end in ends]])
        states = torch.zeros(*ids.shape, 4)
        states[..., :1] = found
        return mock.Mock(last_hidden_state=states)

    def rows(self, queries: Tensor, keys: Sequence[Tensor], values: Sequence[Tensor]) -> Tensor:
        """Attention of a step's rows: (N, H, D), N keys (H, S, D) -> (N, H, D)."""
        return torch.tensor([[[self._after(mine[0, :, 0].tolist())]] for mine in keys])

    def _after(self, history: Sequence[float]) -> float:
        return float("nan") if NAN in history else float(next_token([int(token) for token in history]))


class _Head(nn.Linear):
    """From the next token to logits."""

    def forward(self, hidden: Tensor) -> Tensor:
        logits = torch.zeros(*hidden.shape[:-1], VOCABULARY)
        told = hidden[..., 0]
        sure = told.nan_to_num(0).long()[..., None]
        return logits.scatter_(-1, sure, torch.where(told.isnan(), told, torch.full_like(told, 50.0))[..., None])


def scripted_engine(script: Script, rows: int, limits: Limits) -> Engine:
    """An engine without threads that serves the script."""
    model = tiny_causal(
        0, tiny_config(n_embd=4, n_head=1, n_layer=1, vocab_size=VOCABULARY, n_positions=CONTEXT_TOKENS)
    )
    model.lm_head = _Head(4, VOCABULARY)
    model.transformer.forward = script.trunk
    engine = Engine(model, max_rows=rows, threaded=False, limits=limits)
    engine.served = replace(engine.served, attend=script.rows, chunk_tokens=8)
    return engine
