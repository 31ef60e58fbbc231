"""Line charts: points that can't be drawn are left out, ticks are round, texts are escaped."""

import math
import re

from hypothesis import given
from hypothesis import strategies as st

from workbench.ui.charts.curves import HEIGHT, WIDTH, curves_markup

numbers = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 6))


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=50))
def test_every_point_is_inside_the_drawing(points: list[tuple[float, float]]) -> None:
    drawn = re.search(r'points="([^"]*)"', curves_markup("T", "x", {"line": points}))
    assert drawn is not None
    for place in drawn.group(1).split():
        x, y = map(float, place.split(","))
        assert 0 <= x <= WIDTH and 0 <= y <= HEIGHT


def test_without_a_point_there_is_a_hint() -> None:
    assert "Nothing yet" in curves_markup("T", "x", {"line": [(0, math.nan)], "other": []})


def test_names_are_escaped() -> None:
    markup = curves_markup("<T>", "<x>", {"<b>": [(0, 1)]})
    assert "<b>&" not in markup and "&lt;b&gt;" in markup and "&lt;T&gt;" in markup and "&lt;x&gt;" in markup


def test_the_legend_tells_where_a_line_ends() -> None:
    assert "<b>0.25</b>" in curves_markup("T", "x", {"loss": [(0, 1.0), (10, 0.25)]})
