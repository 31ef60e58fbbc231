"""Greedy continuation of a batch, the same for every framework."""

from collections.abc import Callable, Sequence

import numpy
from numpy.typing import ArrayLike, NDArray

from workbench.errors import BadRequest, TooLong
from workbench.gptj.config import GPTJConfig, as_ids

DEFAULT_NEW_TOKENS = 20
"""As published: tokens of the continuation when no length is given."""
Step = Callable[[NDArray, NDArray, NDArray], NDArray]
"""New tokens (B, T), the mask of all tokens so far (B, S), the new ones' positions (B, T) -> next logits (B, V)."""


def new_tokens(prompt_tokens: int, max_length: int | None, max_new_tokens: int | None, config: GPTJConfig) -> int:
    """How many tokens to add; `max_new_tokens` goes before `max_length`, which counts the prompt too.

    Raises:
        BadRequest: none is left to add. TooLong: they exceed the context.
    """
    count = max_new_tokens if max_new_tokens is not None else (max_length or 0) - prompt_tokens
    if max_new_tokens is None and max_length is None:
        count = DEFAULT_NEW_TOKENS
    if count < 1:
        raise BadRequest(
            f"No token is left to add to the prompt's {prompt_tokens}. Raise max_length or max_new_tokens."
        )
    if prompt_tokens + count > config.n_positions:
        raise TooLong(
            f"{prompt_tokens} tokens and {count} new ones exceed the model's context of {config.n_positions}. "
            "Shorten the prompt, or ask for fewer."
        )
    return count


def as_prompt(input_ids: ArrayLike, attention_mask: ArrayLike | None) -> tuple[NDArray, NDArray]:
    """Ids and mask, both (B, T).

    Raises:
        BadRequest: they are of other shapes, or padded on the right, where the continuation belongs.
    """
    ids = numpy.asarray(input_ids)
    mask = numpy.ones_like(ids) if attention_mask is None else numpy.asarray(attention_mask)
    if ids.ndim != 2 or not ids.size or mask.shape != ids.shape:
        raise BadRequest(
            "input_ids must be (rows, tokens) with at least one token, and attention_mask of the same shape; "
            f"got {ids.shape} and {mask.shape}."
        )
    if not mask[:, -1].all():
        raise BadRequest("Prompts of different lengths must be padded on the left to be continued.")
    return ids, mask.astype(ids.dtype)


def continued(
    step: Step,
    ids: NDArray,
    mask: NDArray,
    count: int,
    config: GPTJConfig,
    eos_token_id: int | Sequence[int] | None,
    pad_token_id: int | None,
) -> NDArray:
    """The prompts (B, T) with their likeliest continuations: (B, T + the longest), rows that end early padded.

    Args:
        step: keeps what it needs of earlier tokens itself.
        eos_token_id: ends a row, or several that do; None takes the configuration's.
        pad_token_id: None takes the configuration's, else the first end token.
    """
    ends = config.end_tokens if eos_token_id is None else as_ids(eos_token_id)
    pad = next((token for token in (pad_token_id, config.pad_token_id, *ends) if token is not None), 0)
    ended = numpy.zeros(len(ids), bool)
    added: list[NDArray] = []
    fresh, positions = ids, (mask.cumsum(1) - 1).clip(0)
    while True:
        likeliest = numpy.asarray(step(fresh, mask, positions)).argmax(-1)
        tokens = numpy.where(ended, pad, likeliest).astype(ids.dtype)
        added.append(tokens)
        ended |= numpy.isin(tokens, ends)
        if ended.all() or len(added) == count:
            return numpy.concatenate([ids, numpy.stack(added, 1)], 1)
        fresh, positions = tokens[:, None], positions[:, -1:] + 1
        mask = numpy.concatenate([mask, numpy.ones_like(fresh)], 1)
