"""How far two precisions are apart: KL by the formula of others, intervals by resampling, partings and flips."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, rel_entr

from workbench.evals.precision import (
    FEWEST_RESAMPLED,
    RESAMPLES,
    STRETCH_TOKENS,
    Divergence,
    divergence,
    first_parting,
    flipped_figure,
    flips,
    joined,
    kl_figure,
    log_probabilities,
    same_best_figure,
    stretch_tokens,
    widest_first,
)
from workbench.evals.prediction import Prediction

SEEDS = st.integers(0, 2**31)


def logits(seed: int, rows: int = 70, columns: int = 23, spread: float = 3.0) -> np.ndarray:
    """Random logits (T, V) in float32."""
    return np.random.default_rng(seed).normal(0, spread, (rows, columns)).astype(np.float32)


def text(*kl: float) -> Divergence:
    """A text with these divergences; the likeliest token is the same where there is none."""
    values = np.array(kl, dtype=np.float64)
    return Divergence(values, values == 0)


def prediction(number: int, answer: object, right: float = 0.0) -> Prediction:
    """An example's prediction."""
    return Prediction(f"prompt {number}", "gold", answer, {"acc": right}, id=str(number), row=number)


@pytest.mark.parametrize("seed", range(3))
def test_kl_is_that_of_scipy_and_of_torch(seed: int) -> None:
    p, q = logits(seed), logits(seed + 100)
    found = divergence(p, q).kl
    by_scipy = rel_entr(*(np.exp(log_softmax(one.astype(np.float64), axis=-1)) for one in (p, q))).sum(-1)
    log_p, log_q = (torch.tensor(one).double().log_softmax(-1) for one in (p, q))
    by_torch = torch.nn.functional.kl_div(log_q, log_p, log_target=True, reduction="none").sum(-1).numpy()
    assert np.allclose(found, by_scipy, rtol=1e-12) and np.allclose(found, by_torch, rtol=1e-12)


@given(SEEDS, SEEDS)
@settings(max_examples=50, deadline=None)
def test_kl_is_never_below_nothing_and_nothing_against_itself(one: int, other: int) -> None:
    p, q = logits(one, rows=5), logits(other, rows=5)
    assert (divergence(p, q).kl >= 0).all()
    assert (divergence(p, p).kl == 0).all() and divergence(p, p).same_best.all()


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_kl_does_not_see_what_is_added_to_all_logits_of_a_token(seed: int) -> None:
    p, q = logits(seed).astype(np.float64), logits(seed + 1).astype(np.float64)
    assert np.allclose(divergence(p + 50, q - 70).kl, divergence(p, q).kl, rtol=1e-9, atol=1e-12)


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_more_noise_is_further_away(seed: int) -> None:
    p, noise = logits(seed, rows=200), logits(seed + 1, rows=200, spread=1.0)
    near, far = divergence(p, p + 0.01 * noise).kl.mean(), divergence(p, p + 0.1 * noise).kl.mean()
    assert 0 < near < far


def test_kl_of_tiny_differences_keeps_its_digits() -> None:
    p = logits(0, rows=3, columns=50_400)
    noise = np.random.default_rng(1).normal(0, 1e-4, p.shape)
    q = (p + noise).astype(np.float32).astype(np.float64)
    shift = q - p
    weights = np.exp(log_probabilities(p))
    by_series = 0.5 * ((weights * shift**2).sum(-1) - (weights * shift).sum(-1) ** 2)
    assert np.allclose(divergence(p, q).kl, by_series, rtol=1e-3)


def test_the_same_best_token_is_the_one_with_the_largest_logit() -> None:
    p, q = logits(0), logits(1)
    assert (divergence(p, q).same_best == (p.argmax(-1) == q.argmax(-1))).all()


def test_a_text_in_pieces_is_the_text() -> None:
    p, q = logits(0), logits(1)
    parts = [divergence(p[:13], q[:13]), divergence(p[13:], q[13:])]
    assert np.array_equal(joined(parts).kl, divergence(p, q).kl) and len(joined([]).kl) == 0


def test_the_mean_is_over_tokens_whatever_text_they_are_of() -> None:
    found = kl_figure([text(1.0, 2.0, 3.0), text(6.0)])
    assert found is not None and (found.value, found.n) == (3.0, 4)


def test_few_tokens_have_no_interval() -> None:
    found = kl_figure([text(*[0.1] * (FEWEST_RESAMPLED - 1))])
    assert found is not None and found.low is None and found.stderr is None
    assert kl_figure([]) is None


def test_the_interval_is_that_of_whole_texts_resampled() -> None:
    generator = np.random.default_rng(0)
    texts = [text(*generator.exponential(level, 30)) for level in generator.exponential(0.1, 40)]
    found = kl_figure(texts)
    sums, counts = np.array([one.kl.sum() for one in texts]), np.array([len(one.kl) for one in texts])
    drawn = generator.integers(0, 40, (RESAMPLES, 40))
    stderr = (sums[drawn].sum(1) / counts[drawn].sum(1)).std(ddof=1)
    assert found is not None and found.stderr == pytest.approx(stderr, rel=0.05)
    assert found.low is not None and found.high is not None and 0 < found.low < found.value < found.high
    as_if_independent = np.concatenate([one.kl for one in texts]).std(ddof=1) / (40 * 30) ** 0.5
    assert found.stderr > 1.5 * as_if_independent


def test_a_long_text_is_resampled_in_stretches_and_a_short_one_in_shorter_ones() -> None:
    assert stretch_tokens([10_000]) == STRETCH_TOKENS
    assert stretch_tokens([100]) == 10 and stretch_tokens([3]) == 1
    assert stretch_tokens([5] * FEWEST_RESAMPLED) == 0


def test_agreement_on_every_token_is_no_certainty() -> None:
    found = same_best_figure([text(*[0.0] * 320)])
    assert found is not None and found.value == found.high == 1.0
    assert found.low is not None and 0.98 < found.low < 1.0


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_a_share_never_leaves_its_bounds(seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 2, 200).astype(float)
    found = same_best_figure([text(*values)])
    assert found is not None and found.low is not None and found.high is not None
    assert 0 <= found.low <= found.value <= found.high <= 1


@pytest.mark.parametrize("a, b, place", [
    ([1, 2, 3], [1, 2, 3], None), ([1, 2, 3], [1, 5, 3], 1), ([1, 2], [1, 2, 3], 2), ([], [], None), ([], [4], 0),
])  # fmt: skip
def test_texts_part_at_the_first_token_that_is_another(a: list[int], b: list[int], place: int | None) -> None:
    assert first_parting(a, b) == first_parting(b, a) == place


def test_flips_are_rows_with_another_answer() -> None:
    reference = [prediction(0, "yes", 1.0), prediction(1, "no"), prediction(2, "no"), prediction(3, None)]
    other = [prediction(0, "no"), prediction(1, "no"), prediction(2, "yes", 1.0), prediction(3, None)]
    found = flips(reference, other, "acc")
    assert [(one.id, one.reference, one.other, one.became) for one in found] == [
        ("0", "yes", "no", "wrong"), ("2", "no", "yes", "right"),
    ]  # fmt: skip
    figure = flipped_figure(reference, other)
    assert figure is not None and (figure.value, figure.n) == (pytest.approx(2 / 3), 3)


def test_rows_without_answers_can_not_flip() -> None:
    assert flipped_figure([prediction(0, None)], [prediction(0, None)]) is None


def test_the_share_of_flips_has_wilsons_interval() -> None:
    reference = [prediction(number, "yes") for number in range(50)]
    other = [prediction(number, "no" if number < 5 else "yes") for number in range(50)]
    found = flipped_figure(reference, other)
    assert found is not None and (found.low, found.high) == (
        pytest.approx(0.0435, abs=2e-3),
        pytest.approx(0.214, abs=2e-3),
    )


def test_the_widest_precision_is_the_one_to_measure_against() -> None:
    assert widest_first(["nf4", "int8", "float32", "int8"]) == ["float32", "int8", "nf4"]
    assert widest_first(["int4", "bfloat16"])[0] == "bfloat16"
