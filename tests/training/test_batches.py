"""A step's batch is a pure function of seed and step, and an epoch shows every window once."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import BadRequest
from workbench.training.batches import Windows


def windows(count: int = 1000, context: int = 8, batch_size: int = 4, seed: int = 0) -> Windows:
    """Windows over the numbers from 0 on, so that a token tells its place."""
    return Windows(np.arange(count, dtype=np.int32), context, batch_size, seed)


@given(st.integers(0, 500), st.integers(0, 5))
def test_a_batch_depends_on_seed_and_step_alone(step: int, seed: int) -> None:
    used = windows(seed=seed)
    for other in (3, 77, 0):
        used.batch(other)
    assert torch.equal(used.batch(step), windows(seed=seed).batch(step))


def test_seeds_and_epochs_differ() -> None:
    first = windows()
    assert not torch.equal(first.batch(0), windows(seed=1).batch(0))
    assert not torch.equal(first.batch(0), first.batch(first.steps_per_epoch))


@given(st.integers(30, 400), st.integers(1, 9), st.integers(1, 4), st.integers(0, 3))
def test_an_epoch_shows_each_window_once_whole_and_in_the_texts_order(
    count: int, context: int, batch_size: int, epoch: int
) -> None:
    if count < context * (batch_size + 1) + 1:
        return
    used = windows(count, context, batch_size)
    steps = range(epoch * used.steps_per_epoch, (epoch + 1) * used.steps_per_epoch)
    rows = torch.cat([used.batch(step) for step in steps])
    assert rows.shape == (used.steps_per_epoch * batch_size, context + 1) and rows.dtype == torch.int64
    starts = rows[:, 0]
    assert torch.equal(rows, starts[:, None] + torch.arange(context + 1))
    assert len(starts.unique()) == len(starts)
    assert len(((starts - starts[0]) % context).unique()) == 1
    assert rows.min() >= 0 and rows.max() < count


def test_epochs_are_shifted_so_that_windows_do_not_always_begin_at_the_same_place() -> None:
    used = windows()
    shifts = {int(used.batch(epoch * used.steps_per_epoch)[0, 0]) % 8 for epoch in range(40)}
    assert len(shifts) > 4


def test_a_text_too_short_for_one_batch_is_refused_with_what_it_needs() -> None:
    assert windows(41).steps_per_epoch == 1
    with pytest.raises(BadRequest, match="has 40 tokens; one batch of 4 windows of 8 needs at least 41"):
        windows(40)
