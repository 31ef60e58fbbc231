"""Expected calibration error: beside scikit-learn's calibration curve, and in cases that are plain to see."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.evals.metrics.calibration import reliability

sklearn = pytest.importorskip("sklearn.calibration")

results = st.lists(
    st.tuples(st.floats(0, 1) | st.integers(0, 10).map(lambda tenth: tenth / 10), st.booleans()),
    min_size=1,
    max_size=50,
)


@settings(max_examples=100, deadline=None)
@given(results=results, bins=st.integers(1, 20))
def test_the_bins_are_those_of_scikit_learns_curve(results: Sequence[tuple[float, bool]], bins: int) -> None:
    confidences, correct = [list(side) for side in zip(*results, strict=True)]
    both = sklearn.calibration_curve([*correct, True, False], [*confidences, 0.0, 0.0], n_bins=bins)
    found = reliability([*confidences, 0.0, 0.0], [*correct, True, False], bins)
    filled = [one for one in found.bins if one.count]
    assert np.array([[one.accuracy for one in filled], [one.confidence for one in filled]]) == pytest.approx(
        np.array(both)
    )
    assert sum(one.count for one in found.bins) == len(results) + 2


@settings(max_examples=100, deadline=None)
@given(results=results)
def test_the_error_is_between_0_and_1_and_at_least_the_overall_gap(results: Sequence[tuple[float, bool]]) -> None:
    confidences, correct = [list(side) for side in zip(*results, strict=True)]
    ece = reliability(confidences, correct).ece
    assert abs(np.mean(correct) - np.mean(confidences)) - 1e-9 <= ece <= 1


def test_the_error_is_the_weighted_distance_of_accuracy_and_confidence() -> None:
    """Two bins: (0.6, 0.8) with one of two right, |0.5 - 0.7| = 0.2; 0.4 alone and right, 0.6: (2 * 0.2 + 0.6) / 3."""
    assert reliability([0.6, 0.8, 0.4], [True, False, True], bins=2).ece == pytest.approx(1 / 3)


def test_an_edge_belongs_to_the_bin_below_and_0_to_the_first() -> None:
    found = reliability([0.0, 0.5, 1.0], [True] * 3, bins=2)
    assert [(one.low, one.high, one.count) for one in found.bins] == [(0.0, 0.5, 2), (0.5, 1.0, 1)]


def test_of_nothing_there_is_no_error() -> None:
    assert math.isnan(reliability([], []).ece)


def test_an_empty_bin_has_no_accuracy() -> None:
    assert math.isnan(reliability([0.9], [True], bins=2).bins[0].accuracy)
