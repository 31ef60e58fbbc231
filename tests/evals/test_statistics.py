"""The figures that metrics are made of, beside scikit-learn's, alone and for many resamples at once."""

import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.evals.metrics.statistics import (
    bits_per_byte,
    macro_f1,
    macro_f1_of,
    matthews,
    mean,
    perplexity,
    ratio,
    weighted_perplexity,
)

sklearn = pytest.importorskip("sklearn.metrics")

classes = st.tuples(st.integers(0, 3), st.integers(-1, 3))
pairs = st.lists(classes, min_size=1, max_size=30)


@settings(deadline=None)
@given(pairs=pairs)
def test_macro_f1_is_scikit_learns_over_the_classes_that_occur(pairs: list[tuple[int, int]]) -> None:
    gold, answered = zip(*pairs, strict=True)
    occurring = sorted({*gold, *answered} - {-1})
    expected = sklearn.f1_score(gold, answered, labels=occurring, average="macro", zero_division=0)
    assert macro_f1(np.array(pairs, dtype=np.float64)) == pytest.approx(expected)


@settings(deadline=None)
@given(pairs=pairs)
def test_macro_f1_of_so_many_classes_counts_those_that_do_not_occur(pairs: list[tuple[int, int]]) -> None:
    gold, answered = zip(*pairs, strict=True)
    expected = sklearn.f1_score(gold, answered, labels=range(5), average="macro", zero_division=0)
    assert macro_f1_of(5)(np.array(pairs, dtype=np.float64)) == pytest.approx(expected)


@settings(deadline=None)
@given(pairs=pairs)
def test_matthews_correlation_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scikit-learn, where there is one class
        expected = sklearn.matthews_corrcoef(*zip(*pairs, strict=True))
    assert matthews(np.array(pairs, dtype=np.float64)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "statistic", [mean, perplexity, ratio, weighted_perplexity, bits_per_byte, macro_f1, macro_f1_of(4), matthews]
)
def test_many_samples_at_once_are_each_alone(statistic: Callable) -> None:
    samples = np.random.RandomState(0).randint(1, 4, (2, 5, 9, 2)).astype(np.float64)
    together = statistic(samples)
    assert together.shape == (2, 5)
    alone = [[float(statistic(one)) for one in some] for some in samples]
    assert np.allclose(together, alone, rtol=1e-12, atol=0)


def test_perplexities_are_of_a_document_a_word_and_a_byte() -> None:
    sample = np.array([[-2.0, 4.0], [-6.0, 12.0]])
    assert perplexity(sample) == pytest.approx(math.exp(4))
    assert weighted_perplexity(sample) == pytest.approx(math.exp(0.5))
    assert bits_per_byte(sample) == pytest.approx(0.5 / math.log(2))


def test_no_unit_of_text_gives_no_number_and_no_warning() -> None:
    assert math.isnan(ratio(np.array([[0.0, 0.0]])))
    assert math.isinf(weighted_perplexity(np.array([[-1.0, 0.0]])))
