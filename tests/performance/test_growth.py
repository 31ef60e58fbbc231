"""Lines through growing figures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.performance.growth import line


@given(st.floats(0, 100), st.floats(-1, 1))
def test_a_line_is_found_again(base: float, slope: float) -> None:
    found = line({x: base + slope * x for x in (128, 512, 1024, 1920)})
    assert found == (pytest.approx(base, abs=1e-6), pytest.approx(slope, abs=1e-9), pytest.approx(0, abs=1e-6))


def test_what_lies_off_the_line_is_told() -> None:
    assert line({0: 0.0, 1: 3.0, 2: 0.0})[2] == pytest.approx(2.0)
