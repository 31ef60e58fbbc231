"""Features computed once are what the trunk says, wherever they are kept."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gptj.tiny import tiny_config
from workbench.gptj.model import GPTJModel
from workbench.training import features
from workbench.training.examples import Example, Split
from workbench.training.features import batches_by_length, cached_features, last_token_features
from workbench.training.network import HeadNetwork, fresh_head, padded
from workbench.training.objectives import Classification, Objective, SpanExtraction

CPU = torch.device("cpu")
EXAMPLES = tuple(Example(tuple(range(1, 2 + length)), (0.0, 1.0)) for length in (7, 1, 12, 3, 12, 5))


def network_for(objective: Objective) -> HeadNetwork:
    torch.manual_seed(0)
    config = tiny_config()
    return HeadNetwork(
        GPTJModel(config).requires_grad_(False), fresh_head(config, objective, 0), None, objective, False
    )


def value_of(steps: Generator[Any, None, Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_last_token_features_are_those_of_each_text_alone() -> None:
    network = network_for(Classification("single_label_classification", ("a", "b")))
    found = value_of(last_token_features(network, EXAMPLES, CPU, 0.0))
    for row, example in enumerate(EXAMPLES):
        alone = network.features(padded(EXAMPLES, [row], CPU))[0, len(example.tokens) - 1]
        torch.testing.assert_close(found[row], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mapped", [False, True])
def test_cached_features_are_the_trunks_output_in_16_bits(
    tmp_path: Path, mapped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mapped:
        monkeypatch.setattr(features, "LARGEST_IN_MEMORY", 10)
    network = network_for(SpanExtraction(lambda logits: {}))
    cached = value_of(cached_features(network, Split(EXAMPLES, EXAMPLES[:2], {}), tmp_path / "head", CPU))
    for validating, rows in ((False, [2, 0, 4]), (True, [1, 0])):
        batch = padded(EXAMPLES, rows, CPU)
        found, hidden = cached(validating, batch), network.features(batch)
        for place, length in enumerate(batch.lengths.tolist()):
            assert torch.equal(found[place, :length], hidden[place, :length].bfloat16())
            assert not found[place, length:].any()
    assert not list(tmp_path.rglob("training-features-*"))


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=50), st.integers(1, 100))
def test_batches_hold_each_row_once_and_no_more_tokens_than_allowed(lengths: list[int], most: int) -> None:
    examples = [Example((1,) * length, (0.0,)) for length in lengths]
    batches = batches_by_length(examples, most)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * lengths[batch[0]] <= most for batch in batches)
    assert lengths[batches[0][0]] == max(lengths)
