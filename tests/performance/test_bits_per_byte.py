"""The windows that the held-out text is read in count every token once, with enough context."""

from types import SimpleNamespace

import pytest
import torch

from tests.performance.bits_per_byte import model_bits, windows


@pytest.mark.parametrize("context", [2, 8, 9])
@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 12, 13, 40])
def test_every_prediction_is_counted_once_with_half_a_context(length: int, context: int) -> None:
    counted = []
    for start, first, end in windows(length, context):
        assert end - start <= context
        assert first - start >= context // 2 or start == 0
        counted += range(first, end)
    assert counted == list(range(1, length))


class Uniform(torch.nn.Module):
    """Knows nothing: all 32 tokens are equally likely."""

    def forward(self, ids: torch.Tensor) -> SimpleNamespace:
        """Logits (1, T, 32)."""
        return SimpleNamespace(logits=torch.zeros(*ids.shape, 32))


def test_a_model_that_knows_nothing_needs_log2_of_its_vocabulary() -> None:
    assert model_bits(Uniform(), [31, *range(30)], context=8) == pytest.approx(30 * 5)
