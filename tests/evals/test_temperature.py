"""Temperature scaling makes probabilities honest and changes no answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.evals.metrics.calibration import reliability
from workbench.evals.metrics.temperature import cross_fitted, fitted_temperature, softmaxed

ROWS = st.lists(st.lists(st.floats(-50, 0), min_size=2, max_size=5), min_size=4, max_size=20)


def boasting(count: int, factor: float) -> tuple[list[list[float]], list[int]]:
    """Scores of two choices, as many times too sure as `factor`, and right answers drawn by honest probabilities."""
    draw = np.random.default_rng(7)
    honest = draw.normal(0.0, 1.5, count)
    gold = (draw.random(count) > 1 / (1 + np.exp(-honest))).astype(int)
    return [[factor * value, 0.0] for value in honest], gold.tolist()


@settings(deadline=None)
@given(ROWS)
def test_probabilities_add_up_and_the_likeliest_stays_the_likeliest(rows: list[list[float]]) -> None:
    for row, found in zip(rows, cross_fitted(rows, [0] * len(rows)), strict=True):
        assert len(found) == len(row) and found.sum() == pytest.approx(1.0)
        assert found[int(np.argmax(row))] == found.max()


def test_without_a_temperature_it_is_a_softmax() -> None:
    (found,) = softmaxed([[-1.0, -2.0, -3.0]])
    weights = np.exp([-1.0, -2.0, -3.0])
    assert found == pytest.approx(weights / weights.sum())


@pytest.mark.parametrize("factor", [0.25, 1.0, 4.0])
def test_the_temperature_finds_by_how_much_scores_boast(factor: float) -> None:
    scores, gold = boasting(4000, factor)
    assert fitted_temperature(np.array(scores), np.array(gold)) == pytest.approx(factor, rel=0.15)


def test_boasting_scores_become_honest() -> None:
    scores, gold = boasting(2000, 4.0)

    def error(rows: list[np.ndarray]) -> float:
        right = [int(row.argmax()) == place for row, place in zip(rows, gold, strict=True)]
        return reliability([float(row.max()) for row in rows], right).ece

    assert error(cross_fitted(scores, gold)) < 0.04 < 0.1 < error(softmaxed(scores))
