"""Worked examples: the same draw for the same seed, and never the example that is asked."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evals.runs.toy_benchmark import MODEL, TASK, data_of, read_riddle, riddles
from workbench.errors import BadRequest
from workbench.evals.data.rows import Row
from workbench.evals.runs.protocol import content_digest
from workbench.evals.runs.runner import Options, prepare
from workbench.evals.runs.shots import draw_shots

ROWS = [Row(values, index) for index, values in enumerate(riddles(40))]
counts, seeds = st.integers(1, 30), st.integers(0, 2**40)


@settings(deadline=None)
@given(counts, seeds)
def test_a_seed_draws_the_same_rows_again(count: int, seed: int) -> None:
    assert draw_shots(ROWS, count, seed, read_riddle) == draw_shots(list(ROWS), count, seed, read_riddle)


@settings(deadline=None)
@given(counts, seeds)
def test_an_example_never_stands_before_itself(count: int, seed: int) -> None:
    shots = draw_shots(ROWS, count, seed, read_riddle)
    for row in ROWS:
        before = shots.before(row, content_digest(read_riddle(row)))
        assert len(before) == count and read_riddle(row) not in before


@settings(deadline=None)
@given(counts, seeds)
def test_examples_that_were_not_drawn_share_their_worked_examples(count: int, seed: int) -> None:
    shots = draw_shots(ROWS, count, seed, read_riddle)
    drawn = {row.index for row in shots.rows}
    others = [row for row in ROWS if row.index not in drawn]
    assert {shots.before(row, content_digest(read_riddle(row))) for row in others} <= {shots.examples[:count]}


def test_another_seed_draws_other_rows() -> None:
    assert draw_shots(ROWS, 5, 0, read_riddle) != draw_shots(ROWS, 5, 1, read_riddle)


def test_no_worked_examples_look_at_no_row() -> None:
    class Unreachable:
        def __len__(self) -> int:
            raise AssertionError

    nothing: Any = Unreachable()
    assert draw_shots(nothing, 0, 0, read_riddle).examples == ()


@pytest.mark.parametrize("rows", [ROWS[:4], []])
def test_more_worked_examples_than_rows_are_refused(rows: list[Row]) -> None:
    with pytest.raises(BadRequest, match="fewer shots"):
        draw_shots(rows, 5, 0, read_riddle)


def test_an_example_that_no_other_row_can_stand_in_for_is_refused() -> None:
    with pytest.raises(BadRequest, match="Row 0: only 4 of the 5"):
        prepare(MODEL, TASK, data_of(riddles(5)), Options(shots=5))


def test_a_drawn_row_that_cannot_be_read_is_named() -> None:
    with pytest.raises(BadRequest, match="Row 0: answer"):
        draw_shots([Row({**ROWS[0].values, "answer": 9}, 0)], 1, 0, read_riddle)
