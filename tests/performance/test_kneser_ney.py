"""The n-gram baseline is a probability model, and the formulas' own."""

import numpy as np
import pytest

from tests.performance.kneser_ney import KneserNey


@pytest.mark.parametrize("order", [2, 3, 5])
@pytest.mark.parametrize("length", [8, 60, 3000])
def test_probabilities_sum_to_one_after_any_context(order: int, length: int) -> None:
    rng = np.random.default_rng(order * length)
    vocab_size = 17
    stream = rng.choice(vocab_size, size=length, p=rng.dirichlet(np.ones(vocab_size) / 2))
    model = KneserNey(stream, vocab_size, order)
    contexts = [stream[start : start + order - 1] for start in rng.integers(0, length - order + 2, 20)]
    contexts += [rng.integers(-1, vocab_size, order - 1) for _ in range(20)] + [stream[len(stream) - order + 1 :]]
    for context in contexts:
        rows = np.column_stack([np.tile(context, (vocab_size, 1)), np.arange(vocab_size)])
        probabilities = model.score(rows)
        assert probabilities.min() > 0
        assert probabilities.sum() == pytest.approx(1, abs=1e-12)


def test_a_bigram_worked_out_by_hand() -> None:
    # Pairs: 01 twice, 10, 02 and 20 once; too few to estimate discounts from, so they are 0.5 and 0.75.
    model = KneserNey(np.array([0, 1, 0, 2, 0, 1]), vocab_size=3, order=2)
    # Left neighbours: of 0 two (1, 2), of 1 one, of 2 one; total 4, kept back 0.75 + 0.5 + 0.5.
    unigram = [(1.25 + 1.75 / 3) / 4, (0.5 + 1.75 / 3) / 4, (0.5 + 1.75 / 3) / 4]
    after_zero = [(0 + 1.25 * unigram[0]) / 3, (1.25 + 1.25 * unigram[1]) / 3, (0.5 + 1.25 * unigram[2]) / 3]
    assert model.score(np.array([[0, 0], [0, 1], [0, 2]])) == pytest.approx(after_zero)
    assert model.score(np.array([[-1, 0], [-1, 1], [-1, 2]])) == pytest.approx(unigram)


def test_the_training_text_itself_costs_few_bits() -> None:
    stream = np.tile(np.arange(10), 50)
    assert KneserNey(stream, 10).bits(stream[:100], start=9)[10:].max() < 0.2
