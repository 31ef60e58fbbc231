"""Plots of values with intervals: everything lies inside the drawing, whatever the values."""

import math
import re

from hypothesis import given
from hypothesis import strategies as st

from workbench.ui.charts.run_plots import WIDTH, Mark, interval_plot

numbers = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=8), st.booleans(), st.booleans())
def test_everything_is_drawn_inside(found: list[tuple[float, float, float]], share: bool, zero: bool) -> None:
    marks = [Mark("x", value, min(ends), max(ends), "1") for value, *ends in found]
    shown = interval_plot("Values", marks, share, zero)
    places = [float(x) for x in re.findall(r'(?:c?x|x1|x2)="([-\d.]+)"', shown)]
    assert len(places) > len(marks) and all(0 <= x <= WIDTH for x in places)


def test_nothing_finite_draws_nothing() -> None:
    assert interval_plot("Values", [], True) == ""
    assert interval_plot("Values", [Mark("x", math.inf, None, None, "")], False) == ""


def test_a_difference_is_drawn_around_zero() -> None:
    assert 'class="zero"' in interval_plot("d", [Mark("x", 0.3, 0.2, 0.4, "+30")], True, zero=True)


def test_published_values_have_another_mark() -> None:
    shown = interval_plot(
        "v", [Mark("theirs", 0.7, None, None, "70 %", "published"), Mark("ours", 0.5, 0.4, 0.6, "")], True
    )
    assert shown.count("<path") == 1 and shown.count("<circle") == 1


def test_names_are_escaped() -> None:
    assert "<b>" not in interval_plot("<b>", [Mark("<b>", 1.0, None, None, "<b>")], False, note="<b>")
