"""Figures of predicted numbers, beside scikit-learn's and scipy's."""

import math
import warnings
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.evals.metrics.regression import mean_squared_error, pearson, spearman

sklearn = pytest.importorskip("sklearn.metrics")
scipy = pytest.importorskip("scipy.stats")

numbers = st.floats(-100, 100).map(lambda number: round(number, 3)) | st.integers(-3, 3).map(float)
pairs = st.lists(st.tuples(numbers, numbers), min_size=2, max_size=30)


@settings(max_examples=150, deadline=None)
@given(pairs=pairs)
def test_error_and_correlations_are_the_published_ones(pairs: Sequence[tuple[float, float]]) -> None:
    gold, predicted = [list(side) for side in zip(*pairs, strict=True)]
    assert mean_squared_error(gold, predicted) == pytest.approx(sklearn.mean_squared_error(gold, predicted))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scipy, where one side is all the same
        expected = scipy.pearsonr(gold, predicted).statistic, scipy.spearmanr(gold, predicted).statistic
    assert (pearson(gold, predicted), spearman(gold, predicted)) == pytest.approx(expected, nan_ok=True, abs=1e-9)


@pytest.mark.parametrize("correlation", [pearson, spearman])
def test_numbers_that_are_all_the_same_correlate_with_nothing(correlation) -> None:
    assert math.isnan(correlation([1.0, 1.0], [1.0, 2.0]))
    assert math.isnan(correlation([1.0], [1.0]))
    assert math.isnan(correlation([], []))


def test_very_small_and_very_large_numbers_correlate() -> None:
    assert pearson([1e-200, 2e-200, 3e-200], [1e200, 2e200, 3e200]) == pytest.approx(1)


def test_of_nothing_there_is_no_error() -> None:
    assert math.isnan(mean_squared_error([], []))
