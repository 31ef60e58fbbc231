"""Two runs over the same examples: the difference, its interval, the test, the flips."""

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import BadRequest
from workbench.evals.metrics.estimates import estimate
from workbench.evals.metrics.metric import Metric
from workbench.evals.metrics.statistics import macro_f1, mean, perplexity
from workbench.evals.paired import Comparison, LeftOut, Outcomes, Side, compare, compare_all, holm, mcnemar_mid_p
from workbench.evals.prediction import Prediction

ACCURACY = Metric("acc", ("acc",), mean)
F1 = Metric("f1", ("f1",), mean)
PERPLEXITY = Metric("perplexity", ("ll",), perplexity, higher_is_better=False, stderr="bootstrap", is_share=False)
MACRO_F1 = Metric("macro_f1", ("gold", "answer"), macro_f1, stderr="bootstrap")

judged = st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0])), min_size=2, max_size=25)
scored = st.lists(st.tuples(st.floats(-5, 0), st.floats(-5, 0)), min_size=2, max_size=25)
few = {"resamples": 200}


def run(column: str, numbers: Sequence[float]) -> list[Prediction]:
    return [
        Prediction(scores={column: number}, row=row, id=f"id{row}", digest=f"digest{row}")
        for row, number in enumerate(numbers)
    ]


def sides(column: str, pairs: Sequence[tuple[float, float]]) -> tuple[list[Prediction], list[Prediction]]:
    return run(column, [a for a, _ in pairs]), run(column, [b for _, b in pairs])


def swapped(found: Comparison) -> Comparison:
    assert found.low is not None and found.high is not None
    return replace(
        found,
        a=found.b,
        b=found.a,
        difference=-found.difference,
        low=pytest.approx(-found.high, abs=1e-12),
        high=pytest.approx(-found.low, abs=1e-12),
        outcomes=found.outcomes and replace(found.outcomes, a_only=found.outcomes.b_only, b_only=found.outcomes.a_only),
    )


@settings(deadline=None, max_examples=40)
@given(pairs=judged)
def test_swapping_the_runs_swaps_the_sign_and_the_flips(pairs: list[tuple[float, float]]) -> None:
    a, b = sides("acc", pairs)
    assert compare(ACCURACY, b, a, **few) == swapped(compare(ACCURACY, a, b, **few))


@settings(deadline=None, max_examples=40)
@given(pairs=scored)
def test_swapping_the_runs_swaps_the_sign_of_a_perplexity_too(pairs: list[tuple[float, float]]) -> None:
    a, b = sides("ll", pairs)
    assert compare(PERPLEXITY, b, a, **few) == swapped(compare(PERPLEXITY, a, b, **few))


@pytest.mark.parametrize("metric", [ACCURACY, F1, PERPLEXITY])
def test_a_run_beside_itself_differs_by_nothing(metric: Metric) -> None:
    column = metric.columns[0]
    numbers = [0.0, 1.0, 1.0] if metric is ACCURACY else [-0.5, 0.25, 0.7]
    found = compare(metric, run(column, numbers), run(column, numbers), **few)
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


@given(pairs=judged)
@settings(deadline=None, max_examples=40)
def test_every_example_is_in_one_of_the_four_outcomes(pairs: list[tuple[float, float]]) -> None:
    found = compare(ACCURACY, *sides("acc", pairs), **few)
    outcomes = found.outcomes
    assert outcomes is not None
    ids = [*outcomes.both, *outcomes.a_only, *outcomes.b_only, *outcomes.neither]
    assert sorted(ids) == sorted(f"id{row}" for row in range(len(pairs)))
    assert found.difference == pytest.approx((len(outcomes.a_only) - len(outcomes.b_only)) / len(pairs))


def test_the_flips_are_named_both_ways() -> None:
    found = compare(ACCURACY, *sides("acc", [(1, 0), (0, 1), (1, 1), (0, 0), (1, 0)]), **few)
    assert found.outcomes == Outcomes(both=("id2",), a_only=("id0", "id4"), b_only=("id1",), neither=("id3",))


@settings(deadline=None, max_examples=40)
@given(counts=st.tuples(*[st.integers(0, 6)] * 3).filter(lambda counts: sum(counts) > 1))
def test_the_interval_of_right_and_wrong_is_that_of_all_resamples(counts: tuple[int, int, int]) -> None:
    a_only, b_only, same = counts
    n = sum(counts)
    found = compare(ACCURACY, *sides("acc", [(1, 0)] * a_only + [(0, 1)] * b_only + [(1, 1)] * same))
    chances: dict[int, float] = defaultdict(float)
    for up in range(n + 1):
        for down in range(n + 1 - up):
            ways = math.comb(n, up) * math.comb(n - up, down)
            chances[up - down] += ways * a_only**up * b_only**down * same ** (n - up - down) / n**n
    steps = range(-n, n + 1)
    below = [sum(chances[one] for one in steps if one <= step) for step in steps]
    above = [sum(chances[one] for one in steps if one >= step) for step in steps]
    low = min(step for step, chance in zip(steps, below, strict=True) if chance >= 0.025 - 1e-12)
    high = max(step for step, chance in zip(steps, above, strict=True) if chance >= 0.025 - 1e-12)
    assert (found.low, found.high) == pytest.approx((low / n, high / n))


def test_the_interval_of_right_and_wrong_is_that_of_drawn_resamples() -> None:
    pairs = [(1.0, 0.0)] * 70 + [(0.0, 1.0)] * 40 + [(1.0, 1.0)] * 390
    found = compare(ACCURACY, *sides("acc", pairs))
    # Halves are not right or wrong, so their mean's interval is drawn.
    drawn = compare(ACCURACY, *sides("acc", [(a / 2, b / 2) for a, b in pairs]))
    assert (found.test, drawn.test) == ("mcnemar_mid_p", "bootstrap")
    assert drawn.low is not None and drawn.high is not None
    assert (found.low, found.high) == pytest.approx((2 * drawn.low, 2 * drawn.high), abs=0.003)


@settings(deadline=None)
@given(a_only=st.integers(0, 400), b_only=st.integers(0, 400))
def test_the_mid_p_value_is_the_binomials(a_only: int, b_only: int) -> None:
    binom = pytest.importorskip("scipy.stats").binom
    flips, fewer = a_only + b_only, min(a_only, b_only)
    expected = 2 * binom.cdf(fewer, flips, 0.5) - binom.pmf(fewer, flips, 0.5)
    assert mcnemar_mid_p(a_only, b_only) == pytest.approx(min(1.0, expected), rel=1e-9)


def test_without_a_flip_or_with_as_many_both_ways_p_is_1() -> None:
    assert mcnemar_mid_p(0, 0) == 1
    assert all(mcnemar_mid_p(count, count) == pytest.approx(1) for count in (1, 2, 50, 1000, 10**6))


def test_huge_counts_have_a_p_value() -> None:
    assert mcnemar_mid_p(10**9, 10**9 + 10**5) == pytest.approx(
        math.erfc(10**5 / math.sqrt(2 * (2 * 10**9 + 10**5))), rel=1e-3
    )
    assert mcnemar_mid_p(10**6, 0) == 0


def test_nine_of_ten_flips_one_way_is_the_textbooks_value() -> None:
    assert mcnemar_mid_p(9, 1) == pytest.approx(2 * (1 + 10 / 2) / 1024)


@pytest.mark.parametrize("metric", [ACCURACY, F1])
def test_the_interval_holds_the_true_difference_about_95_times_of_100(metric: Metric) -> None:
    draw = np.random.RandomState(0)
    hits, simulations = 0, 400
    for _ in range(simulations):
        easy = draw.random_sample(80)
        noise = draw.random_sample((2, 80))
        # A is right where the noise is below 0.4 + easy / 5, B where it is below 0.3 + easy / 5: 0.1 apart, and paired.
        a, b = (noise[0] < 0.4 + easy / 5), (noise[0 if metric is F1 else 1] < 0.3 + easy / 5)
        if metric is F1:
            a, b = a * 0.5 + easy / 4, b * 0.5 + easy / 4
        column = metric.columns[0]
        found = compare(metric, run(column, a.astype(float)), run(column, b.astype(float)), resamples=400)
        true = 0.05 if metric is F1 else 0.1
        hits += (found.low or 0) <= true <= (found.high or 0)
    assert 0.91 <= hits / simulations <= 0.98


@settings(deadline=None, max_examples=40)
@given(pairs=scored)
def test_zero_is_in_the_interval_where_p_is_well_above_5_percent(pairs: list[tuple[float, float]]) -> None:
    found = compare(PERPLEXITY, *sides("ll", pairs), **few)
    assert found.low is not None and found.high is not None and found.p_value is not None
    assert found.test == "bootstrap"
    if found.p_value > 0.08 and found.n > 4:  # of fewer, all for one run is no evidence yet
        assert found.low <= 1e-9 and found.high >= -1e-9


def test_a_clear_difference_of_a_loss_has_a_small_p_value_but_never_0() -> None:
    draw = random.Random(0)
    easy = [draw.uniform(-3, 0) for _ in range(50)]
    found = compare(PERPLEXITY, run("ll", easy), run("ll", [ll - 1 for ll in easy]), resamples=1000)
    assert found.p_value == pytest.approx(2 / 1001)
    assert found.high is not None and found.high < 0


def test_the_estimates_are_those_of_the_shared_examples() -> None:
    a, b = sides("acc", [(1, 0), (1, 1), (0, 1), (0, 0), (1, 1)])
    found = compare(ACCURACY, a[1:], b, **few)
    assert (found.a, found.b) == (estimate(ACCURACY, a[1:]), estimate(ACCURACY, b[1:]))


def test_a_perplexitys_standard_error_is_that_of_the_comparisons_resamples() -> None:
    a, b = sides("ll", [(-draw / 10, -1.0) for draw in range(40)])
    found, whole = compare(PERPLEXITY, a, b), estimate(PERPLEXITY, a)
    assert whole is not None and found.a.stderr == pytest.approx(whole.stderr, rel=0.03)


def test_a_metric_of_two_columns_is_compared() -> None:
    gold, answers = [0, 1, 1, 0], ([0, 1, 1, 1], [0, 0, 0, 0])
    a, b = (
        [
            Prediction(scores={"gold": float(right), "answer": float(given)}, id=str(row), row=row)
            for row, (right, given) in enumerate(zip(gold, some, strict=True))
        ]
        for some in answers
    )
    found = compare(MACRO_F1, a, b, **few)
    assert found.difference == pytest.approx((0.8 + 2 / 3) / 2 - 1 / 3)
    assert found.outcomes is None


def test_what_is_left_out_is_counted_by_reason() -> None:
    a, b = sides("acc", [(1, 0)] * 6)
    b[0] = replace(b[0], digest="other")
    b[1] = replace(b[1], scores={})
    found = compare(ACCURACY, a[:5], b[:3] + b[4:], **few)
    assert found.left_out == LeftOut(only_in_a=1, only_in_b=1, changed=1, uncounted=1)
    assert "1 with other content in A than in B" in str(found.left_out)
    assert found.n == 2


def test_runs_with_nothing_in_common_are_refused_with_the_reason() -> None:
    a, b = sides("acc", [(1, 0), (0, 1)])
    with pytest.raises(BadRequest, match="1 only in A; 1 only in B"):
        compare(ACCURACY, a[:1], b[1:])
    with pytest.raises(BadRequest, match="2 with other content"):
        compare(ACCURACY, a, [replace(one, digest="other") for one in b])
    with pytest.raises(BadRequest, match="both are empty"):
        compare(ACCURACY, [], [])


def test_the_order_of_the_predictions_changes_nothing() -> None:
    a, b = sides("ll", [(-1.0, -2.0), (-3.0, -0.5), (-0.2, -0.1)])
    assert compare(PERPLEXITY, a[::-1], b, **few) == compare(PERPLEXITY, a, b, **few)


def test_a_seed_gives_the_same_interval_each_time_and_another_seed_another() -> None:
    a, b = sides("ll", [(-one / 7, -((one * 5) % 11) / 3) for one in range(30)])
    first = compare(PERPLEXITY, a, b, seed=1, **few)
    assert first == compare(PERPLEXITY, a, b, seed=1, **few)
    assert first.low != compare(PERPLEXITY, a, b, seed=2, **few).low


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_few_examples_that_agree_prove_no_more_of_a_loss_than_of_an_accuracy(count: int) -> None:
    found = compare(PERPLEXITY, *sides("ll", [(-3.0, -2.0)] * count))
    assert found.p_value == pytest.approx(mcnemar_mid_p(count, 0))


def test_one_example_has_no_interval() -> None:
    found = compare(PERPLEXITY, *sides("ll", [(-1, -2)]))
    assert (found.n, found.low, found.high, found.p_value) == (1, None, None, None)


def test_one_example_right_in_one_run_has_a_p_value_but_no_interval() -> None:
    found = compare(ACCURACY, *sides("acc", [(1, 0)]))
    assert (found.difference, found.low, found.high, found.p_value) == (1, None, None, 0.5)


def test_perplexities_beyond_all_numbers_have_no_interval() -> None:
    found = compare(PERPLEXITY, *sides("ll", [(-2000.0, -1), (-1, -2)]), **few)
    assert (found.low, found.high, found.p_value) == (None, None, None)


def test_every_two_runs_are_compared_and_their_p_values_corrected() -> None:
    numbers = {"x": [1.0] * 30, "y": [1.0] * 20 + [0.0] * 10, "z": [1.0] * 25 + [0.0] * 5}
    pairs = compare_all(ACCURACY, [Side(name, "piqa", run("acc", some)) for name, some in numbers.items()], **few)
    assert [(pair.a, pair.b) for pair in pairs] == [("x", "y"), ("x", "z"), ("y", "z")]
    assert [pair.p_holm for pair in pairs] == holm([pair.comparison.p_value or 0 for pair in pairs])


def test_runs_of_different_tasks_are_refused() -> None:
    with pytest.raises(BadRequest, match="piqa, sst2"):
        compare_all(ACCURACY, [Side("a", "piqa", []), Side("b", "sst2", [])])


def test_one_run_alone_is_refused() -> None:
    with pytest.raises(BadRequest, match="at least two"):
        compare_all(ACCURACY, [Side("a", "piqa", [])])


def test_holms_correction_is_the_textbooks() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1, 1]
    assert holm([]) == []


@given(p_values=st.lists(st.floats(0, 1), max_size=8))
def test_a_corrected_p_value_is_no_smaller_and_keeps_the_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(raw <= one <= 1 for raw, one in zip(p_values, corrected, strict=True))
    assert [one for _, one in sorted(zip(p_values, corrected, strict=True))] == sorted(corrected)
