"""Tables and JSON of the measuring harness."""

import json

import pytest

from tests.performance.report import Figure, Table, as_text, compared, failures
from tests.performance.turns import Turn

MILLISECONDS = Figure("ms", lambda turn: turn.answers[0]["ms"], less_is_better=True)
RATE = Figure("tokens/s", lambda turn: turn.answers[0]["ms"])


def made(engine: str, *found: float) -> list[Turn]:
    return [Turn(number, "one", engine, {}, ({"ms": value},), 1.0) for number, value in enumerate(found)]


def test_ratios_are_taken_round_by_round() -> None:
    # The medians alone, 20 and 40, would give 2.
    turns = made("ours", 10.0, 20.0, 100.0) + made("other", 40.0, 30.0, 250.0)
    _, figures = compared("one", turns, MILLISECONDS, ["ours", "other"], {})
    assert figures["other"]["times_ours_is_better"]["median"] == pytest.approx(2.5)


@pytest.mark.parametrize("figure, times", [(MILLISECONDS, 4.0), (RATE, 0.25)])
def test_a_ratio_above_one_means_that_ours_is_ahead(figure: Figure, times: float) -> None:
    _, figures = compared("one", made("ours", 5.0) + made("other", 20.0), figure, ["ours", "other"], {})
    assert figures["other"]["times_ours_is_better"]["median"] == pytest.approx(times)


def test_an_engine_without_figures_stays_in_the_table_with_its_reason() -> None:
    table, figures = compared("one", made("ours", 5.0), RATE, ["ours", "other"], {"other": "it can't be installed"})
    assert table.rows[1][:2] == ("other", "-")
    assert figures["other"] == {"failed": "it can't be installed"}
    assert failures({"other": "it can't be installed"})[0].rows == (("other", "it can't be installed"),)


def test_figures_without_ours_have_no_ratio() -> None:
    table, figures = compared("one", made("other", 5.0), RATE, ["ours", "other"], {})
    assert figures["other"]["times_ours_is_better"] is None
    assert table.rows[1][4] == "-"


def test_each_row_has_a_cell_for_each_column() -> None:
    turns = made("ours", 5.0) + made("other", 20.0)
    table, _ = compared("one", turns, RATE, ["ours", "other", "third"], {}, share=lambda turn: 0.5)
    assert {len(row) for row in table.rows} == {len(table.header)}


def test_figures_can_be_written_as_json() -> None:
    _, figures = compared("one", made("ours", 5.0, 6.0), RATE, ["ours"], {}, share=lambda turn: 0.5)
    told = json.loads(json.dumps(figures))
    assert told["ours"]["by_round"] == {"0": 5.0, "1": 6.0}
    assert told["ours"]["share_of_read_limit"]["median"] == 0.5


def test_columns_line_up_under_a_header() -> None:
    lines = as_text(Table("Title", ("", "ms"), (("ours", "5"), ("a longer name", "12345")))).splitlines()
    assert lines[2:] == ["                  ms", "--------------------", "ours               5", "a longer name  12345"]


def test_rows_without_a_header_are_flush_left() -> None:
    assert as_text(Table("Title", (), (("a", "one"), ("bc", "three")))).splitlines()[2:] == ["a   one", "bc  three"]
