"""Rotary position embedding and attention.

Rotary embedding follows RoFormer (Su et al., 2021) in GPT-J's form: the leading `rotary_dim` dimensions of each head
are rotated in neighbouring pairs (0,1), (2,3), ..., the rest pass through.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.gptj.cache import CacheRows, KVCache
from workbench.gptj.config import GPTJConfig

ROTARY_BASE = 10000.0


class Rotation(NamedTuple):
    """What rotates pairs of neighbours, each (B or 1, 1, T, R) in float32."""

    cosines: Tensor
    """Of the angles, each for both of its pair."""
    sines: Tensor
    """Likewise, negative for the first of its pair."""


def rotation(positions: Tensor, rotated_width: int) -> Rotation:
    """The rotation at positions (B, T): angle of pair j is position * 10000^(-2j / R), R the rotated width."""
    pair = torch.arange(0, rotated_width, 2, dtype=torch.int64, device=positions.device)
    frequencies = 1.0 / (ROTARY_BASE ** (pair / rotated_width))
    angles = positions[:, None, :, None].float() * frequencies  # (B, 1, T, R / 2)
    sines = angles.sin()
    return Rotation(angles.cos().repeat_interleave(2, -1), torch.stack((-sines, sines), -1).flatten(-2))


def rotate(states: Tensor, by: Rotation) -> Tensor:
    """Rotates the leading pairs of each head: (B, H, T, D) -> the same shape and dtype.

    A pair (a, b) becomes (a cos - b sin, b cos + a sin); pairs are neighbours, not halves.
    """
    width = by.cosines.shape[-1]
    turning = states[..., :width].float()
    swapped = turning.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
    turned = turning * by.cosines + swapped * by.sines
    return torch.cat((turned.to(states.dtype), states[..., width:]), dim=-1)


def attention_bias(mask: Tensor | None, rows_at: Tensor, columns: int, dtype: torch.dtype) -> Tensor:
    """What is added to the scores: 0 where a token may look, the dtype's lowest number where it may not.

    The lowest number, not minus infinity, so that a row that may look nowhere gets a uniform result instead of NaN.

    Args:
        mask: (B, S) with 1 for tokens and 0 for padding, or (B, 1, T, S) boolean or additive; None: no padding.
        rows_at: (T,) the column each query stands at.
        columns: S, tokens seen so far, the new ones included.

    Raises:
        ValueError: the mask does not cover S tokens.
    """
    if mask is not None and mask.shape[-1] != columns:
        raise ValueError(f"attention_mask covers {mask.shape[-1]} tokens, and there are {columns} with the cached ones")
    lowest = torch.finfo(dtype).min
    if mask is not None and mask.dim() == 4:
        if mask.dtype != torch.bool:
            return mask.clamp(min=lowest).to(dtype)
        return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, lowest)
    visible = (torch.arange(columns, device=rows_at.device) <= rows_at[:, None])[None, None]  # (1, 1, T, S)
    if mask is not None:
        visible = visible & mask[:, None, None, :].bool()
    return torch.zeros(visible.shape, dtype=dtype, device=rows_at.device).masked_fill(~visible, lowest)


def some_blind(bias: Tensor) -> bool:
    """Whether a query in the bias (B, 1, T, S) may look nowhere."""
    return bool((bias <= torch.finfo(bias.dtype).min).all(-1).any())


class GPTJAttention(nn.Module):
    """Multi-head attention with rotary positions; its projections have no bias."""

    def __init__(self, config: GPTJConfig, layer: int):
        super().__init__()
        self.layer = layer
        self.n_head = config.n_head
        self.dropout = config.attn_pdrop
        self.q_proj = nn.Linear(config.n_embd, config.n_embd, bias=False)
        self.k_proj = nn.Linear(config.n_embd, config.n_embd, bias=False)
        self.v_proj = nn.Linear(config.n_embd, config.n_embd, bias=False)
        self.out_proj = nn.Linear(config.n_embd, config.n_embd, bias=False)
        self.resid_dropout = nn.Dropout(config.resid_pdrop)

    def forward(
        self,
        x: Tensor,
        turn: Rotation,
        bias: Tensor | None,
        past_key_values: KVCache | CacheRows | None,
        output_attentions: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """(B, T, C) -> (B, T, C), and the attention weights (B, H, T, S) if asked for.

        Args:
            turn: the rotation at the tokens' positions.
            bias: added to the scores, broadcastable to (B, H, T, S); None: causal over the given tokens.
            past_key_values: earlier tokens; extended by this call.
        """
        queries = rotate(self._heads(self.q_proj(x)), turn)  # (B, H, T, D)
        keys = rotate(self._heads(self.k_proj(x)), turn)
        values = self._heads(self.v_proj(x))
        own_keys, weights = keys, None
        if isinstance(past_key_values, CacheRows):
            attended = past_key_values.attend(self.layer, queries, keys, values)
        else:
            if past_key_values is not None:
                keys, values = past_key_values.extend(self.layer, keys, values)
            dropout = self.dropout if self.training else 0.0
            if output_attentions:
                attended, weights = eager_attention(queries, keys, values, bias, dropout)
            else:
                causal = bias is None and queries.shape[2] > 1
                attended = F.scaled_dot_product_attention(
                    queries, keys, values, attn_mask=bias, dropout_p=dropout, is_causal=causal
                )
        if not torch.is_grad_enabled():
            attended = with_failures(attended, queries, own_keys)
        merged = attended.transpose(1, 2).flatten(2)  # (B, T, C)
        return self.resid_dropout(self.out_proj(merged)), weights

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_head, -1)).transpose(1, 2)  # (B, H, T, D)


def with_failures(attended: Tensor, queries: Tensor, keys: Tensor) -> Tensor:
    """Attention, and NaN where a token's own query or key is no number; all (B, H, T, D).

    PyTorch's fused attention for CPUs takes a score that is NaN for none at all, and garbage would go on as numbers.
    """
    return torch.add(torch.add(attended, queries, alpha=0), keys, alpha=0)


def eager_attention(
    queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None, dropout: float
) -> tuple[Tensor, Tensor]:
    """Attention written out, for when its weights are asked for: scores and softmax in float32.

    Returns:
        (B, H, T, D) and the weights (B, H, T, S).
    """
    tokens, columns = queries.shape[2], keys.shape[2]
    if bias is None:
        rows_at = torch.arange(columns - tokens, columns, device=queries.device)
        bias = attention_bias(None, rows_at, columns, queries.dtype)
    scores = queries.float() @ keys.float().transpose(-1, -2) / math.sqrt(queries.shape[-1])
    weights = torch.softmax(scores + bias.float(), dim=-1).to(values.dtype)
    return F.dropout(weights, dropout) @ values, weights
