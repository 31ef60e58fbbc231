"""GPT-J (Wang and Komatsuzaki, 2021), the trunk and the language model.

Shapes, here and everywhere in the project: B rows, T tokens, S cached tokens (the new ones included), H heads,
D head width, C model width, V vocabulary, L layers, R rotated dimensions of a head.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from workbench.gptj.attention import GPTJAttention, Rotation, attention_bias, rotation, some_blind
from workbench.gptj.cache import CacheRows, KVCache
from workbench.gptj.config import GPTJConfig

_tanh_gelu = functools.partial(F.gelu, approximate="tanh")
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu_new": _tanh_gelu,
    "gelu_pytorch_tanh": _tanh_gelu,
    "gelu": F.gelu,
    "relu": F.relu,
    "silu": F.silu,
}
IGNORED_LABEL = -100
VECTORS, ONE_THREAD = 64, 16384
"""Numbers that the CPU's elementwise kernels take at a step at most, and those that they give to one thread alone."""


class ModelOutput(NamedTuple):
    """What the trunk gives."""

    last_hidden_state: Tensor
    """(B, T, C), after the last LayerNorm."""
    past_key_values: KVCache | CacheRows | None
    hidden_states: tuple[Tensor, ...] | None
    """L + 1 tensors (B, T, C): the embeddings, after each block; the last one after the last LayerNorm."""
    attentions: tuple[Tensor, ...] | None
    """L tensors (B, H, T, S)."""


class CausalLMOutput(NamedTuple):
    """What the language model gives."""

    loss: Tensor | None
    logits: Tensor
    """(B, T, V), or fewer tokens with `logits_to_keep`."""
    past_key_values: KVCache | CacheRows | None
    hidden_states: tuple[Tensor, ...] | None
    attentions: tuple[Tensor, ...] | None


class GPTJMLP(nn.Module):
    """The feed-forward half of a block."""

    def __init__(self, config: GPTJConfig):
        super().__init__()
        self.fc_in = nn.Linear(config.n_embd, config.inner_width)
        self.fc_out = nn.Linear(config.inner_width, config.n_embd)
        self.act = ACTIVATIONS[config.activation_function]
        self.dropout = nn.Dropout(config.resid_pdrop)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        inner = self.fc_in(x)
        rows = self._rows_at_once(inner) if inner.shape[1] == 1 else inner.shape[0]
        activated = torch.cat([self.act(part) for part in inner.split(rows)]) if rows < len(inner) else self.act(inner)
        return self.dropout(self.fc_out(activated))

    def _rows_at_once(self, inner: Tensor) -> int:
        """How many rows of a decoding step are activated together so that no row's bits depend on its place.

        The CPU's kernels take the last numbers of what one thread computes in another way than whole vectors. So rows
        stay together where all are whole vectors, and few enough for one thread.
        """
        if inner.device.type != "cpu":
            return inner.shape[0]
        whole = inner.shape[-1] % VECTORS == 0
        return max(1, ONE_THREAD // inner.shape[-1]) if whole else 1


class GPTJBlock(nn.Module):
    """One layer: attention and MLP read the same LayerNorm, side by side, and both are added to the input."""

    def __init__(self, config: GPTJConfig, layer: int):
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.attn = GPTJAttention(config, layer)
        self.mlp = GPTJMLP(config)

    def forward(
        self,
        x: Tensor,
        turn: Rotation,
        bias: Tensor | None,
        past_key_values: KVCache | CacheRows | None,
        output_attentions: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """(B, T, C) -> (B, T, C) and the attention weights if asked for."""
        normed = self.ln_1(x)
        attended, weights = self.attn(normed, turn, bias, past_key_values, output_attentions)
        return attended + self.mlp(normed) + x, weights


class GPTJModel(nn.Module):
    """The trunk: embedding, L blocks, a last LayerNorm."""

    def __init__(self, config: GPTJConfig):
        super().__init__()
        self.config = config
        self.gradient_checkpointing = False
        """Recompute the blocks in the backward pass instead of keeping their insides: less memory, more time."""
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.drop = nn.Dropout(config.embd_pdrop)
        self.h = nn.ModuleList(GPTJBlock(config, layer) for layer in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        init_weights(self, config)

    def forward(
        self,
        input_ids: Tensor | None = None,
        past_key_values: KVCache | CacheRows | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
    ) -> ModelOutput:
        """Runs the trunk over (B, T) token ids, or (B, T, C) embeddings.

        Args:
            past_key_values: earlier tokens, extended in place.
            attention_mask: (B, S) with 0 at padding, earlier tokens included; or (B, 1, T, S), taken as it is.
            token_type_ids: (B, T), embedded by the token embedding and added.
            position_ids: (B, T) or (1, T); None counts from the cached tokens on, padding or not.
            use_cache: give `past_key_values` back; None takes the configuration's `use_cache`.

        Raises:
            ValueError: both or neither of ids and embeddings; more tokens than `n_positions`; a cache in training
                with gradient checkpointing.
        """
        x = self._embed(input_ids, inputs_embeds, token_type_ids)
        use_cache = self.config.use_cache if use_cache is None else use_cache
        if self.gradient_checkpointing and self.training:
            if past_key_values is not None:
                raise ValueError("gradient checkpointing can't recompute over past_key_values; turn one of them off")
            use_cache = False
        if past_key_values is None and use_cache:
            past_key_values = KVCache(self.config.n_layer)
        turn, bias = self._where(x, past_key_values, attention_mask, position_ids)
        # The fused kernels give queries that may look nowhere (before left padding ends) a wrong gradient.
        written_out = output_attentions or (torch.is_grad_enabled() and bias is not None and some_blind(bias))
        hidden_states: list[Tensor] = []
        attentions: list[Tensor] = []
        for block in self.h:
            if output_hidden_states:
                hidden_states.append(x)
            if self.gradient_checkpointing and self.training:
                x, weights = checkpoint(block, x, turn, bias, None, written_out, use_reentrant=False)
            else:
                x, weights = block(x, turn, bias, past_key_values, written_out)
            if output_attentions and weights is not None:
                attentions.append(weights)
        x = self.ln_f(x)
        return ModelOutput(
            last_hidden_state=x,
            past_key_values=past_key_values if use_cache else None,
            hidden_states=(*hidden_states, x) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )

    def _embed(self, input_ids: Tensor | None, inputs_embeds: Tensor | None, token_type_ids: Tensor | None) -> Tensor:
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("You must specify exactly one of input_ids or inputs_embeds")
        x = self.wte(input_ids) if inputs_embeds is None else inputs_embeds
        if token_type_ids is not None:
            x = x + self.wte(token_type_ids)
        return self.drop(x)

    def _where(
        self, x: Tensor, cache: KVCache | CacheRows | None, mask: Tensor | None, position_ids: Tensor | None
    ) -> tuple[Rotation, Tensor | None]:
        """The rotation at the tokens' positions and the attention bias (None where plain causality serves)."""
        tokens = x.shape[1]
        past = cache.length if isinstance(cache, KVCache) else 0
        if past + tokens > self.config.n_positions:
            raise ValueError(
                f"{past + tokens} tokens exceed the model's context of n_positions={self.config.n_positions}"
            )
        if position_ids is None:
            fresh = torch.arange(tokens, device=x.device)[None]
            position_ids = fresh if cache is None else cache.positions(tokens, x.device)
        turn = rotation(position_ids, self.config.rotated_width)
        if isinstance(cache, CacheRows) or (mask is None and (past == 0 or tokens == 1)):
            return turn, None
        rows_at = torch.arange(past, past + tokens, device=x.device)
        return turn, attention_bias(mask, rows_at, past + tokens, x.dtype)


class GPTJForCausalLM(nn.Module):
    """The trunk with a language-model head."""

    def __init__(self, config: GPTJConfig):
        super().__init__()
        self.config = config
        self.transformer = GPTJModel(config)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size)
        init_weights(self.lm_head, config)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.transformer.wte.weight

    def forward(
        self,
        input_ids: Tensor | None = None,
        past_key_values: KVCache | CacheRows | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        logits_to_keep: int | Tensor = 0,
    ) -> CausalLMOutput:
        """Next-token logits, and the loss when labels are given; the other arguments are the trunk's.

        Args:
            labels: (B, T) token ids, shifted here; -100 is left out of the mean.
            logits_to_keep: compute logits of the last so many tokens only (0: all), or of these token indices.
        """
        trunk = self.transformer(
            input_ids, past_key_values, attention_mask, token_type_ids, position_ids, inputs_embeds,
            use_cache, output_attentions, output_hidden_states,
        )  # fmt: skip
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(trunk.last_hidden_state[:, kept])
        loss = None if labels is None else causal_loss(logits, labels)
        return CausalLMOutput(loss, logits, trunk.past_key_values, trunk.hidden_states, trunk.attentions)


def causal_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy in nats of predicting labels[:, t + 1] at t: (B, T, V), (B, T) -> a scalar in float32."""
    targets = labels[:, 1:].to(logits.device)
    predictions = logits[:, :-1].float()
    return F.cross_entropy(predictions.flatten(0, 1), targets.flatten(), ignore_index=IGNORED_LABEL)


def init_weights(module: nn.Module, config: GPTJConfig) -> None:
    """Fresh weights: normal with deviation `initializer_range`, biases 0, LayerNorms (1, 0)."""
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Embedding)):
            nn.init.normal_(part.weight, std=config.initializer_range)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)
