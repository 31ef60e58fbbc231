"""Keys and values kept: cached is not cached, at every split, in company, and under gradients."""

import pytest
import torch
from torch import Tensor

from tests.gptj.tiny import tiny_causal, tiny_config, tokens
from workbench.gptj.cache import GROWTH, CacheRows, KVCache, attend_rows

TOKENS = 9


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def states(count: int, rows: int = 1, seed: int = 0) -> Tensor:
    """Keys or values (B, 2, T, 3)."""
    return torch.randn(rows, 2, count, 3, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("split", range(1, TOKENS))
def test_a_prefix_and_the_rest_are_the_whole_at_every_split(split: int) -> None:
    model, ids = tiny_causal(), tokens(3, TOKENS)
    with torch.no_grad():
        whole = model(ids, output_hidden_states=True)
        prefix = model(ids[:, :split], output_hidden_states=True)
        rest = model(ids[:, split:], past_key_values=prefix.past_key_values, output_hidden_states=True)
    close(torch.cat((prefix.logits, rest.logits), 1), whole.logits)
    for first, second, both in zip(prefix.hidden_states, rest.hidden_states, whole.hidden_states, strict=True):
        close(torch.cat((first, second), 1), both)


def test_token_by_token_is_the_whole() -> None:
    model, ids, cache = tiny_causal(), tokens(3, TOKENS), KVCache(2)
    with torch.no_grad():
        steps = [model(ids[:, at : at + 1], past_key_values=cache).logits for at in range(TOKENS)]
        close(torch.cat(steps, 1), model(ids).logits)
    assert cache.length == TOKENS


@pytest.mark.parametrize("split", range(1, TOKENS))
def test_left_padded_rows_go_on_from_the_cache_at_every_split(split: int) -> None:
    model, ids, mask = tiny_causal(), tokens(2, TOKENS), torch.ones(2, TOKENS, dtype=torch.long)
    mask[0, :3] = 0
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    with torch.no_grad():
        whole = model(ids, attention_mask=mask, position_ids=positions).logits
        prefix = model(ids[:, :split], attention_mask=mask[:, :split], position_ids=positions[:, :split])
        rest = model(
            ids[:, split:],
            past_key_values=prefix.past_key_values,
            attention_mask=mask,
            position_ids=positions[:, split:],
        )
    real = mask[:, split:].bool()
    close(rest.logits[real], whole[:, split:][real])


def test_the_cache_holds_a_pair_a_layer() -> None:
    cache = tiny_causal()(tokens(3, 5)).past_key_values
    assert len(cache) == 2 and cache.length == 5
    assert [tuple(part.shape) for part in cache[1]] == [(3, 2, 5, 8)] * 2


def test_no_cache_is_given_back_when_none_is_wanted() -> None:
    assert tiny_causal()(tokens(1, 5), use_cache=False).past_key_values is None


def test_a_given_cache_is_extended_in_place() -> None:
    cache = KVCache(2)
    output = tiny_causal()(tokens(1, 5), past_key_values=cache)
    assert output.past_key_values is cache and cache.length == 5


def test_a_layer_without_keys_says_so() -> None:
    with pytest.raises(IndexError, match="layer 1 has no keys yet"):
        KVCache(2)[1]


def test_decoding_past_the_growth_step_is_the_whole() -> None:
    model = tiny_causal(config=tiny_config(n_positions=2 * GROWTH))
    ids, cache = tokens(2, GROWTH + 4), KVCache(2)
    with torch.no_grad():
        parts = [model(ids[:, : GROWTH - 2], past_key_values=cache).logits]
        small = cache.bytes
        parts += [model(ids[:, at : at + 1], past_key_values=cache).logits for at in range(GROWTH - 2, GROWTH + 4)]
        close(torch.cat(parts, 1), model(ids).logits)
    assert cache.bytes == 2 * small


def test_room_that_was_asked_for_is_never_reallocated() -> None:
    cache = KVCache(1, capacity=700)
    with torch.no_grad():
        cache.extend(0, states(10), states(10))
        before = cache.bytes
        cache.extend(0, states(690), states(690))
    assert cache.bytes == before == 2 * 2 * 700 * 3 * 4


@pytest.mark.parametrize("with_gradients", [False, True])
@pytest.mark.parametrize("length", [0, 1, 4, None])
def test_a_copy_is_independent(length: int | None, with_gradients: bool) -> None:
    cache = KVCache(1)
    with torch.set_grad_enabled(with_gradients):
        cache.extend(0, states(4), states(4, seed=1))
        twin = cache.copy(length)
        twin.extend(0, states(3, seed=2), states(3, seed=3))
        assert twin[0][0].untyped_storage().data_ptr() != cache[0][0].untyped_storage().data_ptr()
    kept = 4 if length is None else length
    assert twin.length == kept + 3 and cache.length == 4
    assert torch.equal(cache[0][0], states(4)) and torch.equal(cache[0][1], states(4, seed=1))
    assert torch.equal(twin[0][0], torch.cat((states(4)[:, :, :kept], states(3, seed=2)), 2))


def test_two_continuations_over_copies_of_a_prefix_are_two_whole_texts() -> None:
    model, prefix = tiny_causal(), tokens(1, 5)
    with torch.no_grad():
        cache = model(prefix).past_key_values
        for seed in (1, 2):
            rest = tokens(1, 3, seed)
            found = model(rest, past_key_values=cache.copy()).logits
            close(found, model(torch.cat((prefix, rest), 1)).logits[:, 5:])


def test_a_trimmed_cache_goes_on_as_if_the_rest_had_never_been() -> None:
    model, ids = tiny_causal(), tokens(2, 8)
    with torch.no_grad():
        cache = model(ids[:, :6]).past_key_values
        cache.trim(4)
        other = tokens(2, 3, seed=5)
        found = model(other, past_key_values=cache).logits
        close(found, model(torch.cat((ids[:, :4], other), 1)).logits[:, 4:])


def test_trimming_to_more_than_there_is_keeps_all() -> None:
    cache = KVCache(1)
    cache.extend(0, states(4), states(4))
    cache.trim(9)
    assert cache.length == 4


def gradients_of(names: tuple[str, ...], split: int | None) -> dict[str, Tensor]:
    """Gradients of the parameters so named, of one loss over a text computed whole or in two parts."""
    model, ids = tiny_causal(), tokens(2, 7)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(any(part in name for part in names))
    if split is None:
        logits = model(ids).logits
    else:
        first = model(ids[:, :split])
        logits = torch.cat((first.logits, model(ids[:, split:], past_key_values=first.past_key_values).logits), 1)
    logits.square().mean().backward()
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("names", [("",), ("v_proj",), ("k_proj",), ("q_proj",), ("q_proj", "v_proj")])
def test_gradients_flow_through_the_cache(names: tuple[str, ...]) -> None:
    whole, split = gradients_of(names, None), gradients_of(names, 3)
    assert whole.keys() == split.keys() and whole
    for name, gradient in whole.items():
        close(split[name], gradient)


def test_a_prefix_without_gradients_serves_a_rest_with_them() -> None:
    model, ids = tiny_causal(), tokens(1, 7)
    with torch.no_grad():
        cache = model(ids[:, :4]).past_key_values
    logits = model(ids[:, 4:], past_key_values=cache).logits
    close(logits, model(ids).logits[:, 4:])
    logits.sum().backward()
    assert model.transformer.h[0].attn.v_proj.weight.grad.abs().max() > 0


@pytest.mark.parametrize("padding", [0, 1, 4])
def test_rows_of_different_lengths_decode_together_as_each_alone(padding: int) -> None:
    model, lengths = tiny_causal(), (2, 5, 9)
    texts = [tokens(1, length + 2, seed=length) for length in lengths]
    with torch.no_grad():
        caches = [model(text[:, :-2]).past_key_values for text in texts]
        for at in (-2, -1):
            rows = CacheRows(caches, len(caches) + padding)
            last = torch.cat([text[:, at:][:, :1] for text in texts] + [torch.zeros(padding, 1, dtype=torch.long)])
            found = model(last, past_key_values=rows, use_cache=False).logits
            for row, text in enumerate(texts):
                close(found[row], model(text).logits[0, at:][:1])
    assert [cache.length for cache in caches] == [length + 2 for length in lengths]


@pytest.mark.parametrize("counts", [(1, 1), (3, 1), (1, 4), (2, 3)])
@pytest.mark.parametrize("padding", [0, 2])
def test_several_tokens_of_a_stream_decode_together_as_one_by_one(counts: tuple[int, int], padding: int) -> None:
    model, lengths = tiny_causal(), (3, 7)
    texts = [tokens(1, length + count, seed=length) for length, count in zip(lengths, counts, strict=True)]
    with torch.no_grad():
        caches = [model(text[:, :length]).past_key_values for text, length in zip(texts, lengths, strict=True)]
        streams = [cache for cache, count in zip(caches, counts, strict=True) for _ in range(count)]
        rows = CacheRows(streams, len(streams) + padding)
        fed = [text[0, length:] for text, length in zip(texts, lengths, strict=True)]
        batch = torch.cat([*fed, torch.zeros(padding, dtype=torch.long)])[:, None]
        found = model(batch, past_key_values=rows, use_cache=False).logits[:, 0]
        expected = [model(text).logits[0, length:] for text, length in zip(texts, lengths, strict=True)]
    close(found[: len(streams)], torch.cat(expected))
    assert [cache.length for cache in caches] == [text.shape[1] for text in texts]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [8, 9, 64])
def test_a_row_attends_the_same_wherever_it_stands(dtype: torch.dtype, width: int) -> None:
    def made(count: int, seed: int) -> Tensor:
        return torch.randn(2, count, width, generator=torch.Generator().manual_seed(seed)).to(dtype)

    queries = made(5, 0).transpose(0, 1)
    keys, values = [made(3 + row, row) for row in range(5)], [made(3 + row, 9 + row) for row in range(5)]
    together = attend_rows(queries, keys, values)
    for row in range(5):
        alone = attend_rows(queries[row : row + 1], keys[row : row + 1], values[row : row + 1])
        assert torch.equal(together[row], alone[0])
        weights = torch.softmax((keys[row] @ queries[row, :, :, None]).float() / width**0.5, 1)
        expected = (weights * values[row].float()).sum(1)
        torch.testing.assert_close(alone[0].float(), expected, atol=3e-2, rtol=2e-2)


def test_padding_rows_stand_at_position_zero() -> None:
    cache = KVCache(1)
    cache.extend(0, states(4), states(4))
    assert CacheRows([cache], 3).positions(1, torch.device("cpu")).tolist() == [[4], [0], [0]]


@pytest.mark.parametrize("rows", [1, 3])
def test_tokens_for_another_number_of_rows_than_the_cache_holds_are_refused(rows: int) -> None:
    model = tiny_causal()
    with torch.no_grad():
        cache = model(tokens(2, 4)).past_key_values
        with pytest.raises(ValueError, match=f"holds 2 rows, and tokens of {rows} rows"):
            model(tokens(rows, 1), past_key_values=cache)
