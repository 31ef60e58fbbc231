"""Ours is transformers' GPT-J, within 1e-5 in float32, wherever both are defined; skipped without transformers."""

from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy
import pytest
import torch
from torch import Tensor, nn

from tests.gptj.oracle import Difference, compare, difference, gradients, twins
from tests.gptj.tiny import CLASSES, random_batch, random_config, tiny_config, tokens
from workbench.gptj.config import GPTJConfig

TOLERANCE = 1e-5
CASES = range(32)
Record = Callable[[str, Difference], None]


@pytest.fixture(scope="module")
def record() -> Iterator[Record]:
    """Holds a difference to the tolerance; the worst ones are printed at the end (`pytest -s`)."""
    worst: dict[str, Difference] = defaultdict(lambda: Difference(0, 0))

    def hold(name: str, found: Difference) -> None:
        worst[name] = max(found, worst[name], key=lambda one: one.absolute)
        assert found.absolute <= TOLERANCE, (name, found)

    yield hold
    for name, found in sorted(worst.items()):
        print(f"\nworst difference of {name}: {found.absolute:.1e}, relative {found.relative:.1e}", end="")
    print()


def random_twins(kind: str, seed: int) -> tuple[GPTJConfig, nn.Module, nn.Module, numpy.random.Generator]:
    rng = numpy.random.default_rng(seed)
    config = random_config(rng)
    return config, *twins(kind, config, seed), rng


@pytest.mark.parametrize("seed", CASES)
@pytest.mark.parametrize("kind", CLASSES)
def test_outputs_loss_and_every_gradient_are_theirs(kind: str, seed: int, record: Record) -> None:
    for name, found in compare(kind, seed).items():
        record(f"{kind} {name}", found)


@pytest.mark.parametrize("padding", ["left", "right"])
@pytest.mark.parametrize("seed", range(8))
def test_padding_makes_no_nan_and_leaves_real_tokens_theirs(seed: int, padding: str, record: Record) -> None:
    config, ours, theirs, rng = random_twins("causal", seed)
    batch = random_batch(rng, config, padding)
    mine = ours(batch.input_ids, **batch.arguments).logits
    reference = theirs(batch.input_ids, **batch.arguments).logits
    assert mine.isfinite().all()
    record("padded logits", difference(mine[batch.real], reference[batch.real]))


@pytest.mark.parametrize("padding", ["none", "left"])
@pytest.mark.parametrize("seed", range(8))
def test_cached_at_every_split_is_theirs(seed: int, padding: str, record: Record) -> None:
    config, ours, theirs, rng = random_twins("causal", 100 + seed)
    batch = random_batch(rng, config, padding)
    ids, positions = batch.input_ids, batch.position_ids
    mask = torch.ones_like(ids) if batch.attention_mask is None else batch.attention_mask
    reference = theirs(ids, attention_mask=mask, position_ids=positions).logits
    for split in range(1, ids.shape[1]):
        first, second = slice(0, split), slice(split, None)
        parts = [None, None] if positions is None else [positions[:, first], positions[:, second]]
        prefix = ours(ids[:, first], attention_mask=mask[:, first], position_ids=parts[0])
        rest = ours(ids[:, second], past_key_values=prefix.past_key_values, attention_mask=mask, position_ids=parts[1])
        found = torch.cat((prefix.logits, rest.logits), 1)
        record("cached logits", difference(found[batch.real], reference[batch.real]))


@pytest.mark.parametrize("seed", range(6))
def test_token_by_token_is_theirs_token_by_token(seed: int, record: Record) -> None:
    config, ours, theirs, _ = random_twins("causal", 200 + seed)
    ids = tokens(2, 8, seed, config.vocab_size)
    caches: list[object] = [None, None]
    for at in range(8):
        both = [
            model(ids[:, at : at + 1], past_key_values=cache, use_cache=True)
            for model, cache in zip((ours, theirs), caches, strict=True)
        ]
        caches = [one.past_key_values for one in both]
        record("token by token", difference(both[0].logits, both[1].logits))


@pytest.mark.parametrize("seed", range(4))
def test_the_cached_keys_and_values_are_theirs(seed: int, record: Record) -> None:
    config, ours, theirs, _ = random_twins("trunk", 300 + seed)
    ids = tokens(2, 8, seed, config.vocab_size)
    mine, reference = ours(ids).past_key_values, theirs(ids).past_key_values
    for layer in range(config.n_layer):
        held = reference.layers[layer]
        for one, other in zip(mine[layer], (held.keys, held.values), strict=True):
            record("keys and values", difference(one, other))


@pytest.mark.parametrize("kept", [1, 3, torch.tensor([0, 4])])
def test_logits_to_keep_are_theirs(kept: int | Tensor, record: Record) -> None:
    _, ours, theirs, _ = random_twins("causal", 7)
    ids = tokens(2, 6, vocab_size=11)
    record("logits to keep", difference(ours(ids, logits_to_keep=kept).logits, theirs(ids, logits_to_keep=kept).logits))


@pytest.mark.parametrize("output_attentions", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_four_dimensional_masks_are_theirs(seed: int, output_attentions: bool, record: Record) -> None:
    config, ours, theirs, rng = random_twins("causal", 400 + seed)
    ids = tokens(2, 6, seed, config.vocab_size)
    allowed = torch.from_numpy(rng.random((2, 1, 6, 6)) < 0.6) | torch.eye(6, dtype=torch.bool)
    additive = torch.zeros(2, 1, 6, 6).masked_fill(~allowed, torch.finfo(torch.float32).min)
    reference = theirs(ids, attention_mask=additive).logits
    for mask in (additive, allowed):
        found = ours(ids, attention_mask=mask, output_attentions=output_attentions).logits
        record("4-D masks", difference(found, reference))


def test_gradients_under_a_four_dimensional_mask_are_theirs(record: Record) -> None:
    _, ours, theirs, _ = random_twins("causal", 11)
    ids, mask = tokens(1, 5, vocab_size=11), torch.full((1, 1, 5, 5), torch.finfo(torch.float32).min)
    mask[..., 3:, 3:] = 0
    for model in (ours, theirs):
        model(ids, attention_mask=mask, labels=ids).loss.backward()
    record("4-D masks gradients", gradients(ours, theirs))


def test_tied_embeddings_and_their_gradients_are_theirs(record: Record) -> None:
    ours, theirs = twins("causal", tiny_config(tie_word_embeddings=True), 0)
    ids, losses = tokens(2, 6), []
    for model in (ours, theirs):
        losses.append(model(ids, labels=ids).loss)
        losses[-1].backward()
    record("tied loss", difference(*losses))
    record("tied gradients", gradients(ours, theirs))


@pytest.mark.parametrize("pad_at", [[], [5], [4, 5], [0], [0, 1], [2], [2, 5], [0, 1, 2, 3, 4, 5]])
def test_the_token_a_classification_reads_is_theirs(pad_at: list[int], record: Record) -> None:
    ours, theirs = twins("classify", tiny_config(pad_token_id=0, num_labels=3), 0)
    ids = tokens(2, 6)
    ids[0, pad_at] = 0
    record("pooled logits", difference(ours(ids).logits, theirs(ids).logits))
    states = ours.transformer.wte(ids)
    record("pooled logits", difference(ours(inputs_embeds=states).logits, theirs(inputs_embeds=states).logits))


def test_one_row_without_a_padding_token_is_classified_as_theirs(record: Record) -> None:
    ours, theirs = twins("classify", tiny_config(pad_token_id=None, num_labels=3), 0)
    record("pooled logits", difference(ours(tokens(1, 6)).logits, theirs(tokens(1, 6)).logits))


@pytest.mark.parametrize(
    "num_labels, labels",
    [(1, [0.5, -2.0]), (1, [[0.5], [-2.0]]), (3, [2, 0]), (3, [[1.0, 0, 1], [0, 0, 1]])],
)
def test_the_kind_of_classification_is_told_from_the_labels_as_theirs(
    num_labels: int, labels: list, record: Record
) -> None:
    ours, theirs = twins("classify", tiny_config(pad_token_id=0, num_labels=num_labels), 0)
    both = [model(tokens(2, 6), labels=torch.tensor(labels)).loss for model in (ours, theirs)]
    record("classification loss", difference(*both))


@pytest.mark.parametrize(
    "start, end", [([-1, 2], [3, 4]), ([0, 6], [5, 6]), ([1, 99], [99, 2]), ([[1], [2]], [[3], [4]])]
)
def test_clamped_spans_cost_what_theirs_do(start: list, end: list, record: Record) -> None:
    ours, theirs = twins("answer", tiny_config(), 0)
    spans = {"start_positions": torch.tensor(start), "end_positions": torch.tensor(end)}
    record("span loss", difference(ours(tokens(2, 6), **spans).loss, theirs(tokens(2, 6), **spans).loss))


@pytest.mark.parametrize("kind", CLASSES)
def test_parameters_and_shapes_are_theirs(kind: str) -> None:
    ours, theirs = twins(kind, tiny_config(), 0)
    mine, reference = (
        {name: tuple(value.shape) for name, value in model.state_dict().items()} for model in (ours, theirs)
    )
    assert mine == reference


@pytest.mark.parametrize("kind", CLASSES)
def test_gradient_checkpointing_keeps_gradients_theirs(kind: str, record: Record) -> None:
    ours, theirs = twins(kind, tiny_config(pad_token_id=0), 0)
    (ours if kind == "trunk" else ours.transformer).gradient_checkpointing = True
    theirs.activation_checkpointing_enable()
    ids, mask = tokens(2, 6), torch.tensor([[0, 0, 1, 1, 1, 1], [1] * 6])
    for model in (ours.train(), theirs.train()):
        output = model(ids, attention_mask=mask)
        read = {"trunk": "last_hidden_state", "answer": "end_logits"}.get(kind, "logits")
        getattr(output, read).square().mean().backward()
    record("checkpointed gradients", gradients(ours, theirs))
