"""FlaxGPTJModel and FlaxGPTJForCausalLM, as published: GPT-J for JAX, on CPUs, GPUs and TPUs.

Parameters are a tree of arrays under the published keys, in `params` and an argument of every call.
"""

import os
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Self

import numpy
import torch
from numpy.typing import ArrayLike

from workbench.errors import BadRequest, TooLong
from workbench.gptj import model
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import CausalLMOutput, ModelOutput
from workbench.loading.formats.flax_msgpack import TORCH_NAMES, flax_name
from workbench.loading.write_flax import FLAX_FILE, write_flax
from workbench.twins.flax_network import FlaxGPTJForCausalLMModule, FlaxGPTJModule, jax, jnp, nn
from workbench.twins.greedy import as_prompt, continued, new_tokens
from workbench.twins.weights import TwinWeights, as_tensor_to_save, open_weights, prepared_folder, write_config

__all__ = ["FlaxGPTJForCausalLM", "FlaxGPTJModel", "GPTJConfig"]

Tree = dict[str, Any]


class FlaxSequences(NamedTuple):
    """What `generate` gives."""

    sequences: jax.Array
    """(B, prompt + continuation)."""


class FlaxGPTJPreTrainedModel:
    """What both classes share: parameters, cache, loading and saving.

    Args:
        seed: of the fresh parameters.
        dtype: of the computation; the parameters keep their own.
        params: in place of fresh ones.
    """

    module_class: ClassVar[type[nn.Module]]
    torch_class: ClassVar[type[torch.nn.Module]]

    def __init__(self, config: GPTJConfig, seed: int = 0, dtype: Any = jnp.float32, params: Tree | None = None):
        self.config, self.dtype = config, jnp.dtype(dtype)
        self.module = self.module_class(config=config, dtype=self.dtype)  # type: ignore[call-arg]
        self.params: Tree = self.init_weights(jax.random.key(seed)) if params is None else params

    def init_weights(self, rng: jax.Array) -> Tree:
        """Fresh parameters, in float32."""
        one = jnp.ones((1, 1), jnp.int32)
        fresh: Tree = jax.jit(self.module.init)(rng, one, one, one)["params"]
        return fresh

    @classmethod
    def from_pretrained(
        cls, folder_or_hub_id: str | os.PathLike[str], revision: str | None = None, dtype: Any = jnp.float32
    ) -> Self:
        """The twin of a checkpoint in any format that the workbench reads; `params` keep the checkpoint's type.

        Args:
            dtype: of the computation.

        Raises:
            CannotLoad: the checkpoint is not there or is broken. BadRequest: its weights are quantised.
        """
        weights = open_weights(cls.torch_class, folder_or_hub_id, revision)
        return cls(weights.config, dtype=dtype, params=_tree(weights))

    def save_pretrained(self, folder: str | os.PathLike[str], params: Tree | None = None) -> None:
        """Writes config.json and flax_model.msgpack, whole or not at all.

        Raises:
            BadRequest: the folder holds weights that a reader would take in place of these.
        """
        path = prepared_folder(folder, FLAX_FILE)
        leaves = _leaves(self.params if params is None else params)
        write_flax(path, [as_tensor_to_save(_torch_name(keys), value, keys[-1] == "kernel") for keys, value in leaves])
        write_config(path, self.torch_class, self.config, leaves[0][1].dtype.name)

    def init_cache(self, batch_size: int, max_length: int) -> Tree:
        """Empty `past_key_values` with room for `max_length` tokens a row, under the published keys."""
        shape = (batch_size, max_length, self.config.n_head, self.config.head_width)

        def attention() -> Tree:
            held = {"cached_key": jnp.zeros(shape, self.dtype), "cached_value": jnp.zeros(shape, self.dtype)}
            return {**held, "cache_index": jnp.zeros((), jnp.int32)}

        trunk = {"h": {str(layer): {"attn": attention()} for layer in range(self.config.n_layer)}}
        return {"transformer": trunk} if self.torch_class is model.GPTJForCausalLM else trunk

    def to_bf16(self, params: Tree) -> Tree:
        """The parameters in bfloat16."""
        return _cast(params, jnp.bfloat16)

    def to_fp16(self, params: Tree) -> Tree:
        """The parameters in float16."""
        return _cast(params, jnp.float16)

    def to_fp32(self, params: Tree) -> Tree:
        """The parameters in float32."""
        return _cast(params, jnp.float32)

    def _apply(
        self,
        input_ids: ArrayLike,
        attention_mask: ArrayLike | None,
        position_ids: ArrayLike | None,
        params: Tree | None,
        past_key_values: Tree | None,
        dropout_rng: jax.Array | None,
        train: bool,
    ) -> tuple[Any, Tree | None]:
        """What the module gives, and the cache after it."""
        ids = _ints(input_ids)
        begin, room = (0, ids.shape[1]) if past_key_values is None else _filled(past_key_values)
        self._check_room(begin, ids.shape[1], room)
        positions = begin + jnp.arange(ids.shape[1])[None] if position_ids is None else _ints(position_ids)
        variables = {"params": self.params if params is None else params}
        if past_key_values is not None:
            variables["cache"] = past_key_values
        given = self.module.apply(
            variables,
            ids,
            _whole_mask(attention_mask, ids.shape[0], room),
            jnp.broadcast_to(positions, ids.shape),
            train,
            rngs={"dropout": dropout_rng} if dropout_rng is not None else {},
            mutable=["cache"] if past_key_values is not None else False,
        )
        return (given[0], given[1]["cache"]) if past_key_values is not None else (given, None)

    def _check_room(self, begin: Any, tokens: int, room: int) -> None:
        """Refuses what would be written past the end of the cache or the context, where the numbers are known."""
        if isinstance(begin, jax.core.Tracer):
            return
        if int(begin) + tokens > min(room, self.config.n_positions):
            raise TooLong(
                f"{int(begin) + tokens} tokens exceed the room for {room} in past_key_values or the model's context of "
                f"{self.config.n_positions}. Ask init_cache for a larger max_length, or shorten the text."
            )


class FlaxGPTJModel(FlaxGPTJPreTrainedModel):
    """The trunk without a head."""

    module_class = FlaxGPTJModule
    torch_class = model.GPTJModel

    def __call__(
        self,
        input_ids: ArrayLike,
        attention_mask: ArrayLike | None = None,
        position_ids: ArrayLike | None = None,
        params: Tree | None = None,
        past_key_values: Tree | None = None,
        dropout_rng: jax.Array | None = None,
        train: bool = False,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
    ) -> ModelOutput:
        """Runs the trunk over (B, T) token ids.

        Args:
            attention_mask: (B, T) with 0 at padding; with a cache, of all tokens so far, or of its whole room.
            position_ids: (B, T); None counts from the cached tokens on, padding or not.
            params: in place of the model's own.
            past_key_values: from `init_cache` or an earlier call; it is not changed, the output has the next one.
            dropout_rng: key of the dropout's draws; needed with `train` where the configuration has dropout.
        """
        told = (input_ids, attention_mask, position_ids, params, past_key_values, dropout_rng, train)
        (states, attentions), cache = self._apply(*told)
        return ModelOutput(
            last_hidden_state=states[-1],
            past_key_values=cache,  # type: ignore[arg-type]
            hidden_states=states if output_hidden_states else None,
            attentions=attentions if output_attentions else None,
        )


class FlaxGPTJForCausalLM(FlaxGPTJPreTrainedModel):
    """The trunk with a language-model head."""

    module_class = FlaxGPTJForCausalLMModule
    torch_class = model.GPTJForCausalLM

    def __call__(
        self,
        input_ids: ArrayLike,
        attention_mask: ArrayLike | None = None,
        position_ids: ArrayLike | None = None,
        params: Tree | None = None,
        past_key_values: Tree | None = None,
        dropout_rng: jax.Array | None = None,
        train: bool = False,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
    ) -> CausalLMOutput:
        """Next-token logits (B, T, V); the arguments are the trunk's."""
        told = (input_ids, attention_mask, position_ids, params, past_key_values, dropout_rng, train)
        (logits, states, attentions), cache = self._apply(*told)
        return CausalLMOutput(
            loss=None,
            logits=logits,
            past_key_values=cache,  # type: ignore[arg-type]
            hidden_states=states if output_hidden_states else None,
            attentions=attentions if output_attentions else None,
        )

    def generate(
        self,
        input_ids: ArrayLike,
        attention_mask: ArrayLike | None = None,
        max_length: int | None = None,
        max_new_tokens: int | None = None,
        eos_token_id: int | Sequence[int] | None = None,
        pad_token_id: int | None = None,
        params: Tree | None = None,
    ) -> FlaxSequences:
        """Continues each row of (B, T) ids, padded on the left, with its likeliest tokens; `sequences` has them.

        Raises:
            BadRequest: no room for a token, or padding on the right. TooLong: the context is too short.
        """
        ids, mask = as_prompt(input_ids, attention_mask)
        count = new_tokens(ids.shape[1], max_length, max_new_tokens, self.config)
        room = ids.shape[1] + count
        cache = self.init_cache(ids.shape[0], room)
        forward = jax.jit(self)

        def step(fresh: numpy.ndarray, mask: numpy.ndarray, positions: numpy.ndarray) -> numpy.ndarray:
            nonlocal cache
            # The mask of the cache's whole room has the same shape at every step, which is then compiled once.
            whole = numpy.pad(mask, ((0, 0), (0, room - mask.shape[1])), constant_values=1)
            output = forward(fresh, whole, positions, self.params if params is None else params, cache)
            cache = output.past_key_values
            return numpy.asarray(output.logits[:, -1].astype(jnp.float32))

        return FlaxSequences(jnp.asarray(continued(step, ids, mask, count, self.config, eos_token_id, pad_token_id)))


def _tree(weights: TwinWeights) -> Tree:
    """A checkpoint's parameters under Flax's keys, matrices (in, out)."""
    tree: Tree = {}
    for name, array in weights.arrays():
        *path, last = flax_name(name, array.ndim)
        place = tree
        for key in path:
            place = place.setdefault(key, {})
        place[last] = jnp.asarray(array.T if last == "kernel" else array)
    return tree


def _leaves(params: Tree, keys: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Every parameter with its keys."""
    found: list[tuple[tuple[str, ...], Any]] = []
    for key, value in params.items():
        found += _leaves(value, (*keys, key)) if isinstance(value, dict) else [((*keys, key), value)]
    return found


def _torch_name(keys: Sequence[str]) -> str:
    return ".".join([*keys[:-1], TORCH_NAMES.get(keys[-1], keys[-1])])


def _cast(params: Tree, dtype: Any) -> Tree:
    cast: Tree = jax.tree.map(lambda value: value.astype(dtype), params)
    return cast


def _ints(ids: ArrayLike) -> jax.Array:
    """Ids or positions; torch's tensors and lists come through NumPy."""
    array = ids if isinstance(ids, jax.Array) else jnp.asarray(numpy.asarray(ids))
    if array.ndim != 2:
        raise BadRequest(f"input_ids and position_ids must be (rows, tokens); got the shape {array.shape}.")
    return array.astype(jnp.int32)


def _whole_mask(mask: ArrayLike | None, rows: int, room: int) -> jax.Array:
    """The mask of all tokens that there is room for, (B, room); those to come count as tokens."""
    if mask is None:
        return jnp.ones((rows, room), jnp.int32)
    given = _ints(mask)
    if given.shape[1] > room:
        raise BadRequest(f"attention_mask covers {given.shape[1]} tokens, and there is room for {room}.")
    return jnp.pad(given, ((0, 0), (0, room - given.shape[1])), constant_values=1)


def _filled(cache: Tree) -> tuple[Any, int]:
    """How many tokens a cache holds, and how many it has room for."""
    first = cache.get("transformer", cache)["h"]["0"]["attn"]
    return first["cache_index"], first["cached_key"].shape[1]
