"""The trunk and the language model: inputs, outputs, batches, loss, dropout and gradient checkpointing."""

import math

import pytest
import torch
from torch import Tensor

from tests.gptj.tiny import CLASSES, fill, tiny_causal, tiny_config, tokens
from workbench.gptj.attention import rotation
from workbench.gptj.cache import KVCache
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM, GPTJModel


def close(found: Tensor, expected: Tensor, atol: float = 1e-5) -> None:
    torch.testing.assert_close(found, expected, atol=atol, rtol=0)


def gradients(model: torch.nn.Module) -> dict[str, Tensor]:
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def test_a_row_of_a_batch_is_the_row_alone() -> None:
    model, ids = tiny_causal(), tokens(4, 6)
    together = model(ids).logits
    for row in range(4):
        close(model(ids[row : row + 1]).logits[0], together[row])


def test_left_padding_with_positions_is_the_row_alone() -> None:
    model, ids = tiny_causal(), tokens(2, 7)
    mask = torch.tensor([[0, 0, 0, 1, 1, 1, 1], [1] * 7])
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    padded = model(ids, attention_mask=mask, position_ids=positions).logits
    close(padded[0, 3:], model(ids[:1, 3:]).logits[0])


def test_left_padding_without_positions_is_the_row_alone_but_for_rounding() -> None:
    model, ids = tiny_causal(), tokens(1, 7)
    mask = torch.tensor([[0, 0, 0, 1, 1, 1, 1]])
    close(model(ids, attention_mask=mask).logits[:, 3:], model(ids[:, 3:]).logits, atol=2e-5)


def test_right_padding_is_harmless_even_without_a_mask() -> None:
    model, ids = tiny_causal(), tokens(1, 7)
    close(model(ids).logits[:, :4], model(ids[:, :4]).logits)


def test_what_stands_at_padding_changes_nothing() -> None:
    model, ids, mask = tiny_causal(), tokens(1, 7), torch.tensor([[0, 0, 1, 1, 1, 1, 1]])
    other = ids.clone()
    other[:, :2] = 9
    close(model(other, attention_mask=mask).logits[:, 2:], model(ids, attention_mask=mask).logits[:, 2:], atol=1e-6)


def test_embeddings_stand_in_for_their_tokens() -> None:
    model, ids = tiny_causal(), tokens(2, 5)
    assert torch.equal(model(inputs_embeds=model.transformer.wte(ids)).logits, model(ids).logits)


def test_token_types_are_embedded_as_tokens_and_added() -> None:
    model, ids, types = tiny_causal(), tokens(2, 5), tokens(2, 5, seed=1)
    embedding = model.transformer.wte
    summed = model(inputs_embeds=embedding(ids) + embedding(types)).logits
    assert torch.equal(model(ids, token_type_ids=types).logits, summed)
    assert (summed - model(ids).logits).abs().max() > 1e-2


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize("kind", CLASSES)
def test_exactly_one_of_ids_and_embeddings_is_taken(kind: str, both: bool) -> None:
    model, ids = CLASSES[kind](tiny_config()), tokens(1, 3)
    with pytest.raises(ValueError, match="exactly one of input_ids or inputs_embeds"):
        model(ids if both else None, inputs_embeds=torch.zeros(1, 3, 16) if both else None)


def test_more_tokens_than_positions_are_refused() -> None:
    model = tiny_causal()
    assert model(tokens(1, 32)).logits.shape == (1, 32, 23)
    with pytest.raises(ValueError, match="33 tokens exceed the model's context of n_positions=32"):
        model(tokens(1, 33))


def test_cached_tokens_count_against_the_positions() -> None:
    model = tiny_causal()
    cache = model(tokens(1, 30)).past_key_values
    with pytest.raises(ValueError, match="33 tokens exceed"):
        model(tokens(1, 3), past_key_values=cache)


def test_hidden_states_are_the_embeddings_each_block_and_the_last_norm() -> None:
    model, ids = tiny_causal(), tokens(2, 5)
    output = model(ids, output_hidden_states=True)
    assert len(output.hidden_states) == 3
    assert torch.equal(output.hidden_states[0], model.transformer.wte(ids))
    assert torch.equal(output.hidden_states[-1], model.transformer(ids).last_hidden_state)
    assert torch.equal(model.lm_head(output.hidden_states[-1]), output.logits)


def test_nothing_is_collected_that_was_not_asked_for() -> None:
    output = tiny_causal()(tokens(1, 4))
    assert (output.loss, output.hidden_states, output.attentions) == (None, None, None)


def test_a_block_feeds_one_norm_to_attention_and_mlp_side_by_side() -> None:
    model, ids = fill(GPTJModel(tiny_config(n_layer=1)), 0), tokens(1, 5)
    block, x = model.h[0], model.wte(ids)
    seen: dict[str, Tensor] = {}
    block.attn.register_forward_hook(lambda module, inputs, output: seen.update(read=inputs[0], attended=output[0]))
    model(ids)
    assert torch.equal(seen["read"], block.ln_1(x))
    close(model.ln_f(x + seen["attended"] + block.mlp(seen["read"])), model(ids).last_hidden_state)


@pytest.mark.parametrize("kept", [1, 2, 5, 99])
def test_logits_to_keep_are_the_last_ones(kept: int) -> None:
    model, ids = tiny_causal(), tokens(2, 5)
    close(model(ids, logits_to_keep=kept).logits, model(ids).logits[:, -kept:], atol=1e-6)


def test_logits_to_keep_may_name_the_tokens() -> None:
    model, ids, kept = tiny_causal(), tokens(2, 5), torch.tensor([0, 3])
    close(model(ids, logits_to_keep=kept).logits, model(ids).logits[:, kept], atol=1e-6)


def test_the_loss_is_the_mean_surprise_of_each_next_token() -> None:
    model, ids = tiny_causal(), tokens(2, 5)
    output = model(ids, labels=ids)
    logprobs = torch.log_softmax(output.logits.double(), -1)
    surprises = [-logprobs[row, at, ids[row, at + 1]].item() for row in range(2) for at in range(4)]
    assert output.loss.item() == pytest.approx(math.fsum(surprises) / 8, abs=1e-6)


def test_a_label_of_minus_100_is_left_out_of_the_mean() -> None:
    model, ids = tiny_causal(), tokens(1, 5)
    labels = ids.clone()
    labels[:, 3:] = -100
    close(model(ids, labels=labels).loss, model(ids[:, :3], labels=ids[:, :3]).loss)


def test_a_half_precision_loss_is_computed_in_float32() -> None:
    model = tiny_causal().bfloat16()
    assert model(tokens(1, 5), labels=tokens(1, 5)).loss.dtype == torch.float32


def test_dropout_acts_in_training_alone() -> None:
    model, ids = tiny_causal(config=tiny_config(dropout=0.5)), tokens(2, 6)
    plain = tiny_causal()(ids).logits
    assert torch.equal(model(ids).logits, plain)
    model.train()
    assert (model(ids).logits - plain).abs().max() > 1e-2
    model.eval()
    assert torch.equal(model(ids).logits, plain)


@pytest.mark.parametrize("field", ["resid_pdrop", "embd_pdrop", "attn_pdrop"])
@pytest.mark.parametrize("output_attentions", [False, True])
def test_each_dropout_has_its_own_field(field: str, output_attentions: bool) -> None:
    shape = tiny_config().to_dict()
    model = tiny_causal(config=GPTJConfig.from_dict({**shape, field: 0.5})).train()
    with torch.no_grad():
        first, second = (model(tokens(2, 6), output_attentions=output_attentions).logits for _ in range(2))
    assert (first - second).abs().max() > 1e-2


def test_residual_dropout_acts_on_attention_and_on_mlp() -> None:
    config = GPTJConfig.from_dict({**tiny_config().to_dict(), "resid_pdrop": 0.5})
    block = tiny_causal(config=config).train().transformer.h[0]
    seen: dict[str, Tensor] = {}
    block.attn.register_forward_hook(lambda module, inputs, output: seen.update(attention=output[0]))
    block.mlp.register_forward_hook(lambda module, inputs, output: seen.update(mlp=output))
    x = torch.randn(2, 20, 16, generator=torch.Generator().manual_seed(0))
    block(x, rotation(torch.arange(20)[None], 4), None, None, False)
    for name in ("attention", "mlp"):
        assert 0.4 < (seen[name] == 0).float().mean() < 0.6, name


def test_a_seed_repeats_dropout() -> None:
    model, ids, found = tiny_causal(config=tiny_config(dropout=0.5)).train(), tokens(2, 6), []
    for _ in range(2):
        torch.manual_seed(4)
        found.append(model(ids).logits)
    assert torch.equal(*found)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("kind", CLASSES)
def test_gradient_checkpointing_changes_no_output_and_no_gradient(kind: str, dropout: float) -> None:
    config = tiny_config(dropout=dropout)
    ids, mask = tokens(2, 6), torch.tensor([[0, 0, 1, 1, 1, 1], [1] * 6])
    found = []
    for recompute in (False, True):
        model = fill(CLASSES[kind](config), 0).train()
        (model if kind == "trunk" else model.transformer).gradient_checkpointing = recompute
        torch.manual_seed(0)
        output = model(ids, attention_mask=mask)
        result = {"trunk": 0, "causal": 1, "classify": 1, "answer": slice(1, 3)}[kind]
        value = output[result] if kind != "answer" else torch.stack(output[result])
        value.square().mean().backward()
        found.append((value, gradients(model)))
    (plain, plain_gradients), (recomputed, recomputed_gradients) = found
    assert torch.equal(plain, recomputed)
    for name, gradient in plain_gradients.items():
        close(recomputed_gradients[name], gradient, atol=1e-6)


def test_gradient_checkpointing_keeps_no_cache_in_training() -> None:
    model = tiny_causal()
    model.transformer.gradient_checkpointing = True
    assert model.train()(tokens(1, 4)).past_key_values is None
    assert model.eval()(tokens(1, 4)).past_key_values.length == 4


def test_tied_embeddings_are_one_parameter() -> None:
    model = tiny_causal(config=tiny_config(tie_word_embeddings=True))
    assert model.lm_head.weight is model.transformer.wte.weight
    assert "lm_head.weight" not in dict(model.named_parameters())


def test_embeddings_are_not_tied_as_published() -> None:
    model = tiny_causal()
    assert model.lm_head.weight is not model.transformer.wte.weight
    assert model.lm_head.bias is not None


@pytest.mark.parametrize("kind", CLASSES)
def test_no_class_has_buffers(kind: str) -> None:
    assert list(CLASSES[kind](tiny_config()).buffers()) == []


def test_fresh_weights_have_the_published_spread() -> None:
    torch.manual_seed(0)
    model = GPTJForCausalLM(tiny_config(n_embd=64, vocab_size=500))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert parameter.abs().max() == 0, name
        elif parameter.dim() == 1:
            assert parameter.min() == parameter.max() == 1, name
        else:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.1), name


def test_gradient_checkpointing_refuses_a_cache_in_training() -> None:
    model = tiny_causal().train()
    model.transformer.gradient_checkpointing = True
    with pytest.raises(ValueError, match="past_key_values"):
        model(tokens(1, 3), past_key_values=KVCache(2))
