"""GPT-J in JAX, as linen modules: their names are the keys of `flax_model.msgpack`.

Linen, not nnx: its parameters are a tree apart from the modules, and that tree is the published file's.
Shapes are those of `gptj/model.py`, but heads stand behind tokens: (B, T, H, D).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from workbench.errors import MissingDependency
from workbench.gptj.config import GPTJConfig

try:
    import jax
    import jax.numpy as jnp
    from flax import linen as nn
except ImportError as error:
    raise MissingDependency(
        f"The Flax twins need packages that are not installed ({error}): pip install jax flax"
    ) from error

__all__ = ["FlaxGPTJForCausalLMModule", "FlaxGPTJModule", "jax", "jnp", "nn"]

ROTARY_BASE = 10000.0
ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "gelu_new": jax.nn.gelu,  # by its own default the tanh form
    "gelu_pytorch_tanh": jax.nn.gelu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
}


class Pass(NamedTuple):
    """What every block is told in one forward pass."""

    cosines: jax.Array
    """(B, T, 1, R), each angle's for both of its pair."""
    sines: jax.Array
    mask: jax.Array
    """(B, S) with 0 at padding."""
    train: bool
    """Whether dropout is on."""


def rotation(positions: jax.Array, rotated_width: int) -> tuple[jax.Array, jax.Array]:
    """Cosines and sines at positions (B, T): the angle of pair j is position * 10000^(-2j / R), R the rotated width."""
    frequencies = ROTARY_BASE ** -(jnp.arange(0, rotated_width, 2) / rotated_width)
    angles = jnp.repeat(positions[:, :, None, None] * frequencies, 2, axis=-1)
    return jnp.cos(angles), jnp.sin(angles)


def rotate(states: jax.Array, cosines: jax.Array, sines: jax.Array) -> jax.Array:
    """Rotates the leading pairs of neighbours of each head, (a, b) to (a cos - b sin, b cos + a sin): (B, T, H, D)."""
    width = cosines.shape[-1]
    turning = states[..., :width].astype(jnp.float32)
    crossed = jnp.stack((-turning[..., 1::2], turning[..., ::2]), -1).reshape(turning.shape)
    turned = (turning * cosines + crossed * sines).astype(states.dtype)
    return jnp.concatenate((turned, states[..., width:]), -1)


class FlaxGPTJAttention(nn.Module):
    """Multi-head attention with rotary positions, over the tokens of a cache where one is given."""

    config: GPTJConfig
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, told: Pass) -> tuple[jax.Array, jax.Array]:
        """(B, T, C) -> (B, T, C) and the attention weights (B, H, T, S)."""
        queries = rotate(self._heads("q_proj", x), told.cosines, told.sines)
        keys = rotate(self._heads("k_proj", x), told.cosines, told.sines)
        values = self._heads("v_proj", x)
        begin = 0
        if self.has_variable("cache", "cached_key"):
            begin, keys, values = self._extended(keys, values)
        rows_at = begin + jnp.arange(x.shape[1])
        causal = jnp.arange(keys.shape[1]) <= rows_at[:, None]
        visible = causal & (told.mask[:, None, None, :] > 0)  # (B, 1, T, S)
        scores = jnp.einsum("bthd,bshd->bhts", queries, keys, preferred_element_type=jnp.float32)
        # The lowest number, not minus infinity: a row that may look nowhere gets a uniform result instead of NaN.
        scores = jnp.where(visible, scores / self.config.head_width**0.5, jnp.finfo(jnp.float32).min)
        weights = jax.nn.softmax(scores).astype(values.dtype)
        dropped = nn.Dropout(self.config.attn_pdrop)(weights, deterministic=not told.train)
        attended = jnp.einsum("bhts,bshd->bthd", dropped, values).reshape(x.shape)
        out = dense(self.config, self.config.n_embd, "out_proj", self.dtype, use_bias=False)(attended)
        return nn.Dropout(self.config.resid_pdrop)(out, deterministic=not told.train), weights

    def _heads(self, name: str, x: jax.Array) -> jax.Array:
        projected = dense(self.config, self.config.n_embd, name, self.dtype, use_bias=False)(x)
        return projected.reshape(*x.shape[:2], self.config.n_head, self.config.head_width)

    def _extended(self, keys: jax.Array, values: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Writes the new tokens into the cache; gives where they begin, and its keys and values, all its room long."""
        begin = self.get_variable("cache", "cache_index")
        for name, new in (("cached_key", keys), ("cached_value", values)):
            held = self.get_variable("cache", name)
            place = (0, begin, 0, 0)
            self.put_variable("cache", name, jax.lax.dynamic_update_slice(held, new.astype(held.dtype), place))
        self.put_variable("cache", "cache_index", begin + keys.shape[1])
        return begin, self.get_variable("cache", "cached_key"), self.get_variable("cache", "cached_value")


class FlaxGPTJMLP(nn.Module):
    """The feed-forward half of a block."""

    config: GPTJConfig
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """(B, T, C) -> (B, T, C)."""
        inner = dense(self.config, self.config.inner_width, "fc_in", self.dtype)(x)
        activated = ACTIVATIONS[self.config.activation_function](inner)
        out = dense(self.config, self.config.n_embd, "fc_out", self.dtype)(activated)
        return nn.Dropout(self.config.resid_pdrop)(out, deterministic=not train)


class FlaxGPTJBlock(nn.Module):
    """One layer: attention and MLP read the same LayerNorm, side by side, and both are added to the input."""

    config: GPTJConfig
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, told: Pass) -> tuple[jax.Array, jax.Array]:
        """(B, T, C) -> (B, T, C) and the attention weights (B, H, T, S)."""
        normed = layer_norm(self.config, "ln_1", self.dtype)(x)
        attended, weights = FlaxGPTJAttention(self.config, self.dtype, name="attn")(normed, told)
        return attended + FlaxGPTJMLP(self.config, self.dtype, name="mlp")(normed, told.train) + x, weights


class FlaxGPTJBlockCollection(nn.Module):
    """All blocks, one after another, under the names "0", "1", ..."""

    config: GPTJConfig
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, told: Pass) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
        """(B, T, C) -> L + 1 states (B, T, C), the input first, and L attention weights (B, H, T, S)."""
        states, attentions = [x], []
        for layer in range(self.config.n_layer):
            x, weights = FlaxGPTJBlock(self.config, self.dtype, name=str(layer))(x, told)
            states.append(x)
            attentions.append(weights)
        return tuple(states), tuple(attentions)


class FlaxGPTJModule(nn.Module):
    """The trunk: embedding, blocks, a last LayerNorm."""

    config: GPTJConfig
    dtype: Any

    def setup(self) -> None:
        """Its parts under the published names."""
        start = nn.initializers.normal(self.config.initializer_range)
        self.wte = nn.Embed(self.config.vocab_size, self.config.n_embd, embedding_init=start, dtype=self.dtype)
        self.drop = nn.Dropout(self.config.embd_pdrop)
        self.h = FlaxGPTJBlockCollection(self.config, self.dtype)
        self.ln_f = layer_norm(self.config, None, self.dtype)

    def __call__(
        self, input_ids: jax.Array, mask: jax.Array, position_ids: jax.Array, train: bool = False
    ) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
        """Ids and positions (B, T), the mask (B, S) -> L + 1 states, the last one normed, and L attention weights."""
        x = self.drop(self.wte(input_ids), deterministic=not train)
        told = Pass(*rotation(position_ids, self.config.rotated_width), mask, train)
        states, attentions = self.h(x, told)
        return (*states[:-1], self.ln_f(states[-1])), attentions


class FlaxGPTJLMHead(nn.Module):
    """From states to logits, by a matrix of its own or the embedding's."""

    config: GPTJConfig
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, shared_kernel: jax.Array | None) -> jax.Array:
        """(B, T, C) -> (B, T, V)."""
        width = self.config.vocab_size
        bias = self.param("bias", nn.initializers.zeros, (width,))
        start = nn.initializers.normal(self.config.initializer_range)
        kernel = self.param("kernel", start, (x.shape[-1], width)) if shared_kernel is None else shared_kernel
        return x @ kernel.astype(self.dtype) + bias.astype(self.dtype)


class FlaxGPTJForCausalLMModule(nn.Module):
    """The trunk with a language-model head."""

    config: GPTJConfig
    dtype: Any

    def setup(self) -> None:
        """Its parts under the published names."""
        self.transformer = FlaxGPTJModule(self.config, self.dtype)
        self.lm_head = FlaxGPTJLMHead(self.config, self.dtype)

    def __call__(
        self, input_ids: jax.Array, mask: jax.Array, position_ids: jax.Array, train: bool = False
    ) -> tuple[jax.Array, tuple[jax.Array, ...], tuple[jax.Array, ...]]:
        """As the trunk's, with the logits (B, T, V) before the states."""
        states, attentions = self.transformer(input_ids, mask, position_ids, train)
        shared = self.transformer.wte.embedding.T if self.config.tie_word_embeddings else None
        return self.lm_head(states[-1], shared), states, attentions


def dense(config: GPTJConfig, width: int, name: str, dtype: Any, use_bias: bool = True) -> nn.Dense:
    """A matrix with GPT-J's fresh weights; its computation is in `dtype`."""
    start = nn.initializers.normal(config.initializer_range)
    return nn.Dense(width, use_bias=use_bias, kernel_init=start, dtype=dtype, name=name)


def layer_norm(config: GPTJConfig, name: str | None, dtype: Any) -> nn.LayerNorm:
    """A LayerNorm; its variance is computed in two passes, since the fast way loses digits."""
    return nn.LayerNorm(config.layer_norm_epsilon, dtype=dtype, use_fast_variance=False, name=name)
