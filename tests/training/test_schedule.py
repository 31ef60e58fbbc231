"""Batches and learning rates are functions of seed and step alone."""

from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.training.schedule import BUCKET_STEPS, Batches, rate

lengths = st.lists(st.integers(1, 50), min_size=1, max_size=120).map(tuple)
sizes = st.integers(1, 9)


@settings(deadline=None)
@given(lengths, sizes, st.integers(0, 5), st.integers(0, 3))
def test_an_epoch_has_each_row_once(rows: tuple[int, ...], size: int, seed: int, epoch: int) -> None:
    batches = Batches(rows, size, seed)
    dealt = batches.epoch(epoch)
    assert len(dealt) == batches.steps_per_epoch
    assert sorted(row for step in dealt for row in step) == list(range(len(rows)))
    assert all(1 <= len(step) <= size for step in dealt)


@settings(deadline=None)
@given(lengths, sizes, st.integers(0, 5), st.integers(0, 3))
def test_the_same_seed_and_epoch_deal_the_same_rows(rows: tuple[int, ...], size: int, seed: int, epoch: int) -> None:
    assert Batches(rows, size, seed).epoch(epoch) == Batches(rows, size, seed).epoch(epoch)


def test_seeds_and_epochs_deal_differently() -> None:
    rows = tuple(range(1, 101))
    dealt = [Batches(rows, 4, seed).epoch(epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert all(one != other for place, one in enumerate(dealt) for other in dealt[:place])


def test_rows_of_like_length_stand_together() -> None:
    rows = tuple((7 * place) % 97 + 1 for place in range(8 * BUCKET_STEPS))
    padding = sum(max(rows[row] for row in step) * len(step) for step in Batches(rows, 8, 0).epoch(0)) / sum(rows)
    assert padding < 1.1


@settings(deadline=None)
@given(st.integers(1, 500), st.integers(0, 40), st.booleans())
def test_the_rate_rises_to_the_peak_and_falls_to_its_end(steps: int, warmup: int, linear: bool) -> None:
    warmup = min(warmup, steps - 1)
    rates = [rate(step, steps, warmup, 0.5, 0.1, linear) for step in range(steps + 1)]
    top = max(rates)
    assert top <= 0.5 + 1e-12 and all(value > 0 for value in rates)
    assert rates[:warmup] == sorted(rates[:warmup]) and rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert abs(rates[warmup] - 0.5) < 1e-12 and abs(rates[steps] - 0.05) < 1e-12
