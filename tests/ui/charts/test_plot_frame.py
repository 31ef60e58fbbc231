"""The frame of a drawing: ticks around every range, and places that keep the order of values."""

from hypothesis import given
from hypothesis import strategies as st

from workbench.ui.charts.plot_frame import Frame, Margins, round_ticks, tick_words

FRAME = Frame(100, 60, Margins(left=10, right=5, top=5, bottom=15), (-1.0, 0.0, 1.0), (0.0, 2.0))


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_lie_around_their_range(low: float, length: float) -> None:
    ticks = round_ticks(low, low + length)
    assert ticks[0] <= low + 1e-6 * length + 1e-6 and ticks[-1] >= low + length - 1e-6 * length - 1e-6
    assert 2 <= len(ticks) <= 8


def test_the_ends_of_the_scales_are_the_ends_of_the_frame() -> None:
    assert (FRAME.x(-1), FRAME.x(1), FRAME.y(0), FRAME.y(2)) == (10, 95, 45, 5)


def test_what_lies_above_the_scale_stands_at_its_end() -> None:
    assert FRAME.y(9) == FRAME.y(2)


def test_every_tick_has_a_line_and_words() -> None:
    rows = FRAME.rows(tick_words)
    assert rows.count("<line") == 2 and ">2<" in rows and ">−1<" in FRAME.columns(tick_words)
