"""Values, standard errors and intervals of metrics; the standard errors are lm-evaluation-harness's, draw for draw."""

import math
import random
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workbench.evals.metrics.estimates import (
    bootstrap_stderr,
    estimate,
    interval,
    resamples_of,
    values,
)
from workbench.evals.metrics.metric import Estimate, Metric
from workbench.evals.metrics.statistics import macro_f1, matthews, mean, perplexity, ratio, weighted_perplexity
from workbench.evals.prediction import Prediction

sklearn = pytest.importorskip("sklearn.metrics")

ACCURACY = Metric("acc", ("acc",), mean)
PERPLEXITY = Metric("perplexity", ("ll",), perplexity, higher_is_better=False, stderr="bootstrap", is_share=False)


def of(column: str, numbers: Sequence[float]) -> list[Prediction]:
    return [Prediction(scores={column: number}, row=row) for row, number in enumerate(numbers)]


def plain_bootstrap(figure: Callable[[list], float], sample: list, resamples: int) -> float:
    """The harness's way: Python's generator, a new seed for each thousand."""
    found = []
    for first in range(0, resamples, 1000):
        generator = random.Random(first // 1000)
        found += [figure(generator.choices(sample, k=len(sample))) for _ in range(min(1000, resamples - first))]
    return statistics.stdev(found)


@pytest.mark.parametrize("n", [1, 2, 7, 1000, 70_000])
def test_resamples_are_those_of_pythons_own_generator(n: int) -> None:
    count = 3 if n > 1000 else 1002
    drawn = np.concatenate(list(resamples_of(n, count)))
    for first, some in ((0, drawn[:1000]), (1000, drawn[1000:])):
        generator = random.Random(first // 1000)
        assert all(row.tolist() == generator.choices(range(n), k=n) for row in some)
    assert len(drawn) == count


def test_a_perplexitys_standard_error_is_the_plain_bootstraps() -> None:
    draw = random.Random(1)
    lls = [-draw.expovariate(0.2) for _ in range(50)]
    expected = plain_bootstrap(lambda some: math.exp(-statistics.fmean(some)), lls, 3000)
    assert bootstrap_stderr(perplexity, np.array(lls)[:, None], 3000) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("statistic", [macro_f1, matthews])
def test_a_class_figures_standard_error_is_the_plain_bootstraps(statistic: Callable) -> None:
    draw = random.Random(2)
    pairs = [(draw.randrange(3), draw.randrange(3)) for _ in range(20)]

    def figure(some: list) -> float:
        gold, answered = zip(*some, strict=True)
        if statistic is matthews:
            return sklearn.matthews_corrcoef(gold, answered)
        return sklearn.f1_score(gold, answered, average="macro", zero_division=0)

    found = bootstrap_stderr(statistic, np.array(pairs, dtype=np.float64), 200)
    assert found == pytest.approx(plain_bootstrap(figure, pairs, 200), rel=1e-9)


@given(numbers=st.lists(st.floats(-50, 50), min_size=2, max_size=40))
def test_a_means_standard_error_is_the_formulas(numbers: list[float]) -> None:
    found = estimate(ACCURACY, of("acc", numbers))
    assert found is not None
    assert found.value == pytest.approx(statistics.fmean(numbers), abs=1e-9)
    assert found.stderr == pytest.approx(statistics.stdev(numbers) / math.sqrt(len(numbers)), abs=1e-9)
    assert found.n == len(numbers)


def test_only_predictions_with_all_columns_count() -> None:
    both = Metric("both", ("ll", "words"), weighted_perplexity)
    predictions = [Prediction(scores={"ll": -1.0}), Prediction(scores={"ll": -2.0, "words": 4.0, "more": 1.0})]
    assert values(both, predictions).tolist() == [[-2.0, 4.0]]


def test_nothing_that_counts_has_no_estimate() -> None:
    assert estimate(ACCURACY, []) is None
    assert estimate(ACCURACY, [Prediction(error="too long")]) is None


@pytest.mark.parametrize("metric", [ACCURACY, PERPLEXITY])
def test_a_single_example_has_no_standard_error(metric: Metric) -> None:
    found = estimate(metric, of(metric.columns[0], [-1.0]))
    assert found is not None
    assert (found.stderr, found.n) == (None, 1)


def test_without_the_bootstrap_only_means_have_a_standard_error() -> None:
    means = estimate(ACCURACY, of("acc", [0, 1]), bootstrap=False)
    others = estimate(PERPLEXITY, of("ll", [0, -1]), bootstrap=False)
    assert means is not None
    assert means.stderr == pytest.approx(0.5)
    assert others == Estimate(pytest.approx(math.exp(0.5)), None, 2)


def test_a_perplexity_beyond_all_numbers_is_infinite_and_without_a_standard_error() -> None:
    assert estimate(PERPLEXITY, of("ll", [-2000.0, -1.0])) == Estimate(math.inf, None, 2)


def test_a_ratio_to_nothing_has_no_standard_error() -> None:
    found = estimate(Metric("ratio", ("a", "b"), ratio), [Prediction(scores={"a": 1.0, "b": 0.0})] * 3)
    assert found is not None and math.isinf(found.value) and found.stderr is None


def test_five_thousand_examples_take_seconds() -> None:
    began = time.process_time()
    bootstrap_stderr(perplexity, np.random.RandomState(0).random_sample((5000, 1)), 20_000)
    assert time.process_time() - began < 5


@settings(max_examples=100)
@given(hits=st.integers(0, 60), n=st.integers(2, 60))
def test_an_accuracys_interval_is_wilsons(hits: int, n: int) -> None:
    hits = min(hits, n)
    scipy = pytest.importorskip("scipy.stats")
    found = estimate(ACCURACY, of("acc", [1.0] * hits + [0.0] * (n - hits)))
    assert found is not None
    expected = scipy.binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert interval(ACCURACY, found) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(numbers=st.lists(st.floats(0, 1), min_size=2, max_size=30))
@example(numbers=[0.0, 4.7e-156])
@example(numbers=[0.0, 5e-324])
@example(numbers=[1.0, 1.0 - 2**-53])
def test_a_shares_interval_holds_it_and_stays_a_share(numbers: list[float]) -> None:
    found = estimate(ACCURACY, of("acc", numbers))
    assert found is not None
    low, high = interval(ACCURACY, found) or (math.nan, math.nan)
    assert 0 <= low <= found.value + 1e-12
    assert found.value - 1e-12 <= high <= 1


def test_a_losss_interval_stays_positive_and_is_even_on_the_logarithms_scale() -> None:
    low, high = interval(PERPLEXITY, Estimate(20.0, 30.0, 5)) or (math.nan, math.nan)
    assert 0 < low < 20 < high
    assert low * high == pytest.approx(400)


def test_any_other_interval_is_the_normal_one() -> None:
    correlation = Metric("mcc", ("gold", "answer"), matthews, stderr="bootstrap", is_share=False)
    assert interval(correlation, Estimate(0.1, 0.1, 50)) == pytest.approx((-0.095996, 0.295996), abs=1e-6)


def test_there_is_no_interval_without_a_standard_error() -> None:
    assert interval(ACCURACY, Estimate(1.0, None, 1)) is None
