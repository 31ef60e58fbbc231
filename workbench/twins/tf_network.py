"""GPT-J's trunk as Keras layers, under the names of `tf_model.h5`; written in `keras.ops`, meant for TensorFlow.

Shapes are those of `gptj/model.py`. Layers that hold others build them by name, so that every weight has its published
path before the first call; they leave the types of what they are handed alone (`autocast=False`).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from workbench.errors import BadRequest, MissingDependency, TooLong
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import ModelOutput

try:
    import keras
    from keras import ops
except ImportError as error:
    raise MissingDependency(
        f"The TensorFlow twins need packages that are not installed ({error}): pip install tensorflow keras"
    ) from error

__all__ = ["Pair", "TFGPTJLMHead", "TFGPTJMainLayer", "dense", "keras", "ops"]

ROTARY_BASE = 10000.0
LOWEST = -3.4e38
"""A score in float32 of what may not be seen: finite, so that a row that sees nothing gets no NaN."""
_tanh_gelu = partial(ops.gelu, approximate=True)
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "gelu_new": _tanh_gelu,
    "gelu_pytorch_tanh": _tanh_gelu,
    "gelu": partial(ops.gelu, approximate=False),
    "relu": ops.relu,
    "silu": ops.silu,
}
Pair = tuple[Any, Any]
"""One layer's keys and values, each (B, H, S, D)."""


class Pass(NamedTuple):
    """What every block is told in one forward pass."""

    cosines: Any
    """(B or 1, 1, T, R) in float32, each angle's for both of its pair."""
    sines: Any
    visible: Any
    """(B or 1, 1, T, S) booleans."""


def rotation(positions: Any, rotated_width: int) -> Pair:
    """Cosines and sines at positions (B, T): the angle of pair j is position * 10000^(-2j / R), R the rotated width."""
    pair = ops.arange(0, rotated_width, 2, dtype="float32")
    frequencies = ops.power(ROTARY_BASE, -pair / rotated_width)
    angles = ops.repeat(ops.cast(positions, "float32")[:, None, :, None] * frequencies, 2, axis=-1)
    return ops.cos(angles), ops.sin(angles)


def rotate(states: Any, told: Pass) -> Any:
    """Rotates the leading pairs of neighbours of each head, (a, b) to (a cos - b sin, b cos + a sin): (B, H, T, D)."""
    width = told.cosines.shape[-1]
    turning = ops.cast(states[..., :width], "float32")
    crossed = ops.reshape(ops.stack((-turning[..., 1::2], turning[..., ::2]), -1), ops.shape(turning))
    turned = ops.cast(turning * told.cosines + crossed * told.sines, states.dtype)
    return ops.concatenate((turned, states[..., width:]), -1)


def visibility(mask: Any | None, past: Any, tokens: Any) -> Any:
    """Which of the S = past + T tokens each new one may see, (B or 1, 1, T, S) booleans.

    Args:
        mask: (B, S) with 0 at padding, or None.

    Raises:
        BadRequest: the mask does not cover S tokens.
    """
    columns = past + tokens
    causal = (ops.arange(columns)[None] <= past + ops.arange(tokens)[:, None])[None, None]
    if mask is None:
        return causal
    if isinstance(columns, int) and mask.shape[-1] not in (None, columns):
        raise BadRequest(
            f"attention_mask covers {mask.shape[-1]} tokens, and there are {columns} with the cached ones."
        )
    return ops.logical_and(causal, ops.cast(mask, "bool")[:, None, None, :])


class TFGPTJAttention(keras.layers.Layer):
    """Multi-head attention with rotary positions; its projections have no bias."""

    def __init__(self, config: GPTJConfig, dtype: Any, name: str):
        super().__init__(dtype=dtype, name=name, autocast=False)
        self.config = config
        names = ("q_proj", "k_proj", "v_proj", "out_proj")
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (
            dense(config, config.n_embd, name, dtype, use_bias=False) for name in names
        )
        self.attn_dropout = keras.layers.Dropout(config.attn_pdrop, dtype=dtype)
        self.resid_dropout = keras.layers.Dropout(config.resid_pdrop, dtype=dtype)

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights."""
        for part in (self.q_proj, self.k_proj, self.v_proj, self.out_proj):
            part.build((None, None, self.config.n_embd))

    def call(self, x: Any, told: Pass, past: Pair | None = None, training: bool = False) -> tuple[Any, Pair, Any]:
        """(B, T, C) -> (B, T, C), keys and values of all tokens, and the attention weights (B, H, T, S)."""
        queries, keys = rotate(self._heads(self.q_proj(x)), told), rotate(self._heads(self.k_proj(x)), told)
        values = self._heads(self.v_proj(x))
        if past is not None:
            keys = ops.concatenate((ops.cast(past[0], keys.dtype), keys), 2)
            values = ops.concatenate((ops.cast(past[1], values.dtype), values), 2)
        scores = ops.matmul(ops.cast(queries, "float32"), ops.cast(ops.swapaxes(keys, 2, 3), "float32"))
        scores = ops.where(told.visible, scores / self.config.head_width**0.5, LOWEST)
        # Not ops.softmax, which warns of a mistake wherever a lone token looks at itself.
        raised = ops.exp(scores - ops.max(scores, -1, keepdims=True))
        weights = ops.cast(raised / ops.sum(raised, -1, keepdims=True), values.dtype)
        attended = ops.swapaxes(ops.matmul(self.attn_dropout(weights, training=training), values), 1, 2)
        merged = self.out_proj(ops.reshape(attended, ops.shape(x)))
        return self.resid_dropout(merged, training=training), (keys, values), weights

    def _heads(self, x: Any) -> Any:
        rows, tokens, _ = ops.shape(x)
        split = ops.reshape(x, (rows, tokens, self.config.n_head, self.config.head_width))
        return ops.swapaxes(split, 1, 2)  # (B, H, T, D)


class TFGPTJMLP(keras.layers.Layer):
    """The feed-forward half of a block."""

    def __init__(self, config: GPTJConfig, dtype: Any, name: str):
        super().__init__(dtype=dtype, name=name, autocast=False)
        self.config = config
        self.fc_in = dense(config, config.inner_width, "fc_in", dtype)
        self.fc_out = dense(config, config.n_embd, "fc_out", dtype)
        self.dropout = keras.layers.Dropout(config.resid_pdrop, dtype=dtype)

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights."""
        self.fc_in.build((None, None, self.config.n_embd))
        self.fc_out.build((None, None, self.config.inner_width))

    def call(self, x: Any, training: bool = False) -> Any:
        """(B, T, C) -> (B, T, C)."""
        activated = ACTIVATIONS[self.config.activation_function](self.fc_in(x))
        return self.dropout(self.fc_out(activated), training=training)


class TFGPTJBlock(keras.layers.Layer):
    """One layer: attention and MLP read the same LayerNorm, side by side, and both are added to the input."""

    def __init__(self, config: GPTJConfig, dtype: Any, name: str):
        super().__init__(dtype=dtype, name=name, autocast=False)
        self.config = config
        self.ln_1 = layer_norm(config, "ln_1", dtype)
        self.attn = TFGPTJAttention(config, dtype, "attn")
        self.mlp = TFGPTJMLP(config, dtype, "mlp")

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights."""
        for part in (self.ln_1, self.attn, self.mlp):
            part.build((None, None, self.config.n_embd))

    def call(self, x: Any, told: Pass, past: Pair | None = None, training: bool = False) -> tuple[Any, Pair, Any]:
        """(B, T, C) -> (B, T, C), keys and values of all tokens, and the attention weights (B, H, T, S)."""
        normed = self.ln_1(x)
        attended, present, weights = self.attn(normed, told, past, training=training)
        return attended + self.mlp(normed, training=training) + x, present, weights


class TFGPTJMainLayer(keras.layers.Layer):
    """The trunk: embedding, blocks, a last LayerNorm."""

    def __init__(self, config: GPTJConfig, dtype: Any, name: str = "transformer"):
        super().__init__(dtype=dtype, name=name, autocast=False)
        self.config = config
        start = keras.initializers.RandomNormal(stddev=config.initializer_range)
        self.wte = keras.layers.Embedding(config.vocab_size, config.n_embd, start, dtype=dtype, name="wte")
        self.drop = keras.layers.Dropout(config.embd_pdrop, dtype=dtype)
        self.h = [TFGPTJBlock(config, dtype, f"h_._{layer}") for layer in range(config.n_layer)]
        self.ln_f = layer_norm(config, "ln_f", dtype)

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights."""
        for part in (self.wte, *self.h, self.ln_f):
            part.build((None, None, self.config.n_embd))

    def call(
        self,
        input_ids: Any = None,
        past_key_values: tuple[Pair, ...] | None = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        position_ids: Any = None,
        inputs_embeds: Any = None,
        use_cache: bool = False,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        training: bool = False,
    ) -> ModelOutput:
        """Runs the trunk over (B, T) token ids or (B, T, C) embeddings; `past_key_values` is a pair for each layer.

        Raises:
            BadRequest: both or neither of ids and embeddings. TooLong: more tokens than `n_positions`.
        """
        x = self.drop(self._embedded(input_ids, token_type_ids, inputs_embeds), training=training)
        past = 0 if past_key_values is None else ops.shape(past_key_values[0][0])[2]
        told = self._told(past, ops.shape(x)[1], attention_mask, position_ids)
        states, presents, attentions = [x], [], []
        for layer, block in enumerate(self.h):
            x, present, weights = block(x, told, past_key_values and past_key_values[layer], training=training)
            states.append(x)
            presents.append(present)
            attentions.append(weights)
        x = self.ln_f(x)
        return ModelOutput(
            last_hidden_state=x,
            past_key_values=tuple(presents) if use_cache else None,  # type: ignore[arg-type]
            hidden_states=(*states[:-1], x) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )

    def _embedded(self, input_ids: Any, token_type_ids: Any, inputs_embeds: Any) -> Any:
        if (input_ids is None) == (inputs_embeds is None):
            raise BadRequest("You must specify exactly one of input_ids or inputs_embeds.")
        x = self.wte(input_ids) if inputs_embeds is None else ops.cast(inputs_embeds, self.compute_dtype)
        return x if token_type_ids is None else x + self.wte(token_type_ids)

    def _told(self, past: Any, tokens: Any, mask: Any, position_ids: Any) -> Pass:
        """The rotation at the tokens' positions, counted from the cached ones on if not given, and what they see."""
        if isinstance(past, int) and isinstance(tokens, int) and past + tokens > self.config.n_positions:
            limit = self.config.n_positions
            raise TooLong(
                f"{past + tokens} tokens exceed the model's context of n_positions={limit}. Shorten the text."
            )
        positions = (past + ops.arange(tokens))[None] if position_ids is None else position_ids
        return Pass(*rotation(positions, self.config.rotated_width), visibility(mask, past, tokens))


class TFGPTJLMHead(keras.layers.Layer):
    """From states to logits, by a matrix of its own or the embedding's."""

    def __init__(self, config: GPTJConfig, dtype: Any, name: str = "lm_head"):
        super().__init__(dtype=dtype, name=name)
        self.config = config
        self.kernel: Any = None

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights."""
        width = self.config.vocab_size
        if not self.config.tie_word_embeddings:
            start = keras.initializers.RandomNormal(stddev=self.config.initializer_range)
            self.kernel = self.add_weight((self.config.n_embd, width), start, name="kernel")
        self.bias = self.add_weight((width,), "zeros", name="bias")

    def call(self, x: Any, shared_kernel: Any = None) -> Any:
        """(B, T, C), and the embedding's matrix (C, V) where it is shared -> (B, T, V)."""
        return ops.matmul(x, self.kernel if shared_kernel is None else shared_kernel) + self.bias


def dense(config: GPTJConfig, width: int, name: str, dtype: Any, use_bias: bool = True) -> keras.layers.Dense:
    """A matrix with GPT-J's fresh weights."""
    start = keras.initializers.RandomNormal(stddev=config.initializer_range)
    return keras.layers.Dense(width, use_bias=use_bias, kernel_initializer=start, dtype=dtype, name=name)


def layer_norm(config: GPTJConfig, name: str, dtype: Any) -> keras.layers.LayerNormalization:
    """A LayerNorm of the configuration's epsilon."""
    return keras.layers.LayerNormalization(epsilon=config.layer_norm_epsilon, dtype=dtype, name=name)
