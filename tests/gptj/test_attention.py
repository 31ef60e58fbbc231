"""Rotary embedding and attention: signs, order of the pairs, who may look where, and two ways that agree."""

import math

import numpy
import pytest
import torch
from torch import Tensor

from tests.gptj.tiny import tiny_causal, tiny_config, tokens
from workbench.gptj.attention import attention_bias, eager_attention, rotate, rotation

A, B, C, D = 2.0, 3.0, 5.0, 7.0


def turned(values: list[float], position: int, rotated_width: int) -> Tensor:
    """One head of one token, rotated."""
    states = torch.tensor(values)[None, None, None]
    return rotate(states, rotation(torch.tensor([[position]]), rotated_width))[0, 0, 0]


def test_a_pair_is_two_neighbours_turned_by_plus_the_angle() -> None:
    cos, sin = math.cos(1), math.sin(1)
    torch.testing.assert_close(turned([A, B], 1, 2), torch.tensor([A * cos - B * sin, B * cos + A * sin]))


def test_each_pair_has_its_own_frequency() -> None:
    slow = 1 / 100  # 10000^(-2/4)
    expected = [
        A * math.cos(1) - B * math.sin(1),
        B * math.cos(1) + A * math.sin(1),
        C * math.cos(slow) - D * math.sin(slow),
        D * math.cos(slow) + C * math.sin(slow),
    ]
    torch.testing.assert_close(turned([A, B, C, D], 1, 4), torch.tensor(expected))


def test_the_unit_vector_of_the_first_dimension_turns_into_the_second() -> None:
    torch.testing.assert_close(turned([1.0, 0, 0, 0], 1, 4), torch.tensor([math.cos(1), math.sin(1), 0, 0]))
    torch.testing.assert_close(turned([0.0, 1, 0, 0], 1, 4), torch.tensor([-math.sin(1), math.cos(1), 0, 0]))


def test_position_zero_turns_nothing() -> None:
    assert turned([A, B, C, D], 0, 4).tolist() == [A, B, C, D]


@pytest.mark.parametrize("head_width", [5, 9, 11])
def test_dimensions_past_the_rotated_width_are_untouched(head_width: int) -> None:
    values = list(map(float, range(1, head_width + 1)))
    states = turned(values, 3, 4)
    assert states[4:].tolist() == values[4:]
    assert states[:4].tolist() != values[:4]


def test_rotation_keeps_lengths() -> None:
    states = torch.randn(2, 3, 5, 8, generator=torch.Generator().manual_seed(0))
    rotated = rotate(states, rotation(torch.arange(5)[None] * 101, 8))
    torch.testing.assert_close(rotated.norm(dim=-1), states.norm(dim=-1))


def test_half_precision_is_rotated_in_float32_and_given_back_in_half() -> None:
    states = torch.randn(1, 1, 4, 8, generator=torch.Generator().manual_seed(0)).half()
    by = rotation(torch.arange(2000, 2004)[None], 8)
    assert torch.equal(rotate(states, by), rotate(states.float(), by).half())


@pytest.mark.parametrize("shift", [1, 7, 15, 1000])
def test_adding_a_constant_to_all_positions_changes_nothing_but_rounding(shift: int) -> None:
    model, ids = tiny_causal(), tokens(2, 9)
    positions = torch.arange(9)[None]
    plain = model(ids, position_ids=positions).logits
    torch.testing.assert_close(model(ids, position_ids=positions + shift).logits, plain, atol=2e-5, rtol=0)


def test_the_order_of_tokens_matters() -> None:
    model, ids = tiny_causal(), tokens(1, 6)
    swapped = ids[:, [1, 0, 2, 3, 4, 5]]
    assert (model(ids).logits[:, -1] - model(swapped).logits[:, -1]).abs().max() > 1e-3


@pytest.mark.parametrize("changed", range(8))
def test_changing_a_token_leaves_the_logits_before_it_unchanged(changed: int) -> None:
    model, ids = tiny_causal(), tokens(2, 8)
    other = ids.clone()
    other[:, changed] = ids[:, changed] % 22 + 1
    before, after = model(ids).logits, model(other).logits
    torch.testing.assert_close(after[:, :changed], before[:, :changed], atol=1e-6, rtol=0)
    assert (after[:, changed:] - before[:, changed:]).abs().amax(dim=(0, 2)).min() > 1e-4


@pytest.mark.parametrize(
    "mask", [None, [[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1]], [[1, 1, 1, 0, 0, 0], [1, 0, 1, 0, 1, 1]]]
)
def test_attention_is_the_same_with_and_without_its_weights(mask: list[list[int]] | None) -> None:
    model, ids = tiny_causal(), tokens(2, 6)
    keep = None if mask is None else torch.tensor(mask)
    with torch.no_grad():
        fused = model(ids, attention_mask=keep)
        written_out = model(ids, attention_mask=keep, output_attentions=True)
    torch.testing.assert_close(written_out.logits, fused.logits, atol=1e-5, rtol=0)


def test_attention_over_a_cache_is_the_same_with_and_without_its_weights() -> None:
    model, ids = tiny_causal(), tokens(2, 7)
    caches = [model(ids[:, :4]).past_key_values for _ in range(2)]
    fused = model(ids[:, 4:], past_key_values=caches[0])
    written_out = model(ids[:, 4:], past_key_values=caches[1], output_attentions=True)
    torch.testing.assert_close(written_out.logits, fused.logits, atol=1e-5, rtol=0)
    assert written_out.attentions[0].shape == (2, 2, 3, 7)


def test_attention_weights_sum_to_one_and_never_look_ahead() -> None:
    weights = torch.stack(tiny_causal()(tokens(2, 6), output_attentions=True).attentions)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 2, 6))
    assert weights.triu(1).abs().max() == 0


def test_attention_weights_are_zero_at_padding() -> None:
    mask = torch.tensor([[0, 0, 1, 1, 1, 1]])
    weights = torch.stack(tiny_causal()(tokens(1, 6), attention_mask=mask, output_attentions=True).attentions)
    assert weights[..., 2:, :2].abs().max() == 0


def fully_masked(dtype: torch.dtype) -> Tensor:
    """A bias whose first two of three queries may look nowhere."""
    return attention_bias(torch.tensor([[0, 0, 1]]), torch.arange(3), 3, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_query_that_may_look_nowhere_gets_the_mean_of_the_values(dtype: torch.dtype) -> None:
    rng = numpy.random.default_rng(0)
    queries, keys, values = (torch.from_numpy(rng.standard_normal((1, 1, 3, 4))).to(dtype) for _ in range(3))
    bias = fully_masked(dtype)
    fused = torch.nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=bias)
    written_out, _ = eager_attention(queries, keys, values, bias, 0.0)
    mean = values.mean(2, keepdim=True).expand(1, 1, 2, 4)
    atol = 1e-6 if dtype == torch.float32 else 1e-2
    torch.testing.assert_close(fused[:, :, :2], mean, atol=atol, rtol=0)
    torch.testing.assert_close(written_out[:, :, :2], mean, atol=atol, rtol=0)


def test_gradients_are_right_where_a_query_may_look_nowhere() -> None:
    model, ids, mask = tiny_causal(), tokens(1, 5), torch.tensor([[0, 0, 0, 1, 1]])
    found = []
    for output_attentions in (False, True):
        model.zero_grad()
        output = model(ids, attention_mask=mask, output_attentions=output_attentions)
        output.logits[:, 2].square().mean().backward()  # what predicts the first real token
        found.append(model.transformer.h[0].attn.v_proj.weight.grad.clone())
    assert found[1].abs().max() > 1e-3
    torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_row_that_is_masked_everywhere_stays_finite(dtype: torch.dtype) -> None:
    model = tiny_causal().to(dtype)
    output = model(tokens(2, 5), attention_mask=torch.tensor([[0] * 5, [1] * 5]), output_hidden_states=True)
    assert torch.stack(output.hidden_states).isfinite().all() and output.logits.isfinite().all()


@pytest.mark.parametrize("lowest", [float("-inf"), torch.finfo(torch.float32).min])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_four_dimensional_mask_never_makes_a_nan(dtype: torch.dtype, lowest: float) -> None:
    mask = torch.full((1, 1, 4, 4), lowest)
    mask[..., 2:, :2] = 0
    for output_attentions in (False, True):
        output = tiny_causal().to(dtype)(tokens(1, 4), attention_mask=mask, output_attentions=output_attentions)
        assert output.logits.isfinite().all()


def test_a_boolean_four_dimensional_mask_equals_its_two_dimensional_twin() -> None:
    model, ids, mask = tiny_causal(), tokens(2, 5), torch.tensor([[0, 1, 1, 1, 1], [1, 1, 1, 1, 0]])
    square = torch.ones(5, 5, dtype=torch.bool).tril() & mask[:, None, None, :].bool()
    plain = model(ids, attention_mask=mask).logits
    torch.testing.assert_close(model(ids, attention_mask=square).logits, plain, atol=1e-6, rtol=0)


@pytest.mark.parametrize("columns", [3, 6])
def test_a_mask_of_the_wrong_length_is_refused(columns: int) -> None:
    with pytest.raises(ValueError, match=f"attention_mask covers {columns} tokens, and there are 5"):
        tiny_causal()(tokens(1, 5), attention_mask=torch.ones(1, columns))


def test_a_mask_must_cover_the_cached_tokens_too() -> None:
    model, ids = tiny_causal(), tokens(1, 6)
    cache = model(ids[:, :4]).past_key_values
    with pytest.raises(ValueError, match="covers 2 tokens, and there are 6"):
        model(ids[:, 4:], past_key_values=cache, attention_mask=torch.ones(1, 2))


def test_a_head_is_scaled_by_the_root_of_its_own_width() -> None:
    queries = torch.tensor([[[[2.0, 0, 0, 0]]]])
    keys = torch.tensor([[[[2.0, 0, 0, 0], [0, 0, 0, 0]]]])
    _, weights = eager_attention(queries, keys, keys, None, 0.0)
    assert weights[0, 0, 0, 0].item() == pytest.approx(1 / (1 + math.exp(-2)))  # 2 * 2 / sqrt(4)


def test_odd_head_widths_and_a_fully_rotated_head_run() -> None:
    for head_width, rotary_dim in ((5, 4), (9, 8), (11, 10), (8, None)):
        config = tiny_config(n_embd=3 * head_width, n_head=3, rotary_dim=rotary_dim)
        assert tiny_causal(config=config)(tokens(1, 4)).logits.isfinite().all()


@pytest.mark.parametrize("name", ["q_proj", "k_proj", "v_proj"])
@pytest.mark.parametrize("length", [1, 4, 40])
def test_what_is_no_number_in_any_projection_reaches_the_logits(name: str, length: int) -> None:
    model = tiny_causal(0, tiny_config(n_positions=64))
    getattr(model.transformer.h[0].attn, name).weight.data[3, 0] = math.nan
    with torch.inference_mode():
        logits = model(torch.arange(length)[None] % 23).logits
    assert bool(logits[0, -1].isnan().all())  # PyTorch's fused attention would have given numbers
