"""Sources: rows of files, samples and the Hub for a task, each read before anything is asked."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.evals.data.toy_task import OWN, ROWS, TASK, read, row, write
from workbench.errors import BadRequest
from workbench.evals.data.rows import Row
from workbench.evals.data.sources import load_data
from workbench.evals.data.tables import LOCAL
from workbench.evals.methods.multiple_choice import Choices
from workbench.evals.runs.protocol import content_digest


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".tsv", ".json", ".parquet"])
def test_every_kind_of_file_gives_the_same_examples(tmp_path: Path, ending: str) -> None:
    found = load_data(TASK, write(tmp_path / f"rows{ending}", ROWS), None, LOCAL)
    assert [read(one) for one in found.rows] == [read(Row(values)) for values in ROWS]
    assert [one.index for one in found.rows] == list(range(6))
    assert [content_digest(read(one)) for one in found.rows] == [content_digest(read(Row(values))) for values in ROWS]


def test_a_files_origin_is_its_name_its_digest_and_its_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", ROWS)
    expected = {"path": "rows.jsonl", "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "rows": 6}
    origin = load_data(TASK, path, None, LOCAL).origin
    assert origin == {"origin": "file", "name": None, "split": None, "revision": None} | expected


def test_samples_are_rows_of_their_own(tmp_path: Path) -> None:
    found = load_data(TASK, "samples", None, LOCAL)
    assert [dict(one.values) for one in found.rows] == ROWS[:3]
    assert (found.origin["origin"], found.origin["rows"]) == ("samples", 3)
    assert found.shot_rows == found.rows


def test_a_complete_task_needs_no_data_set() -> None:
    task = dataclasses.replace(OWN, complete=True)
    found = load_data(task, None, 2, LOCAL)
    assert [dict(one.values) for one in found.rows] == ROWS[:2]
    assert (found.origin["origin"], found.origin["rows"], len(found.shot_rows)) == ("project", 2, 3)


def test_a_complete_tasks_samples_are_its_data_set() -> None:
    task = dataclasses.replace(OWN, complete=True)
    assert load_data(task, "samples", None, LOCAL) == load_data(task, None, None, LOCAL)


def test_a_file_stands_in_for_a_complete_tasks_rows(tmp_path: Path) -> None:
    task = dataclasses.replace(OWN, complete=True)
    assert len(load_data(task, write(tmp_path / "rows.jsonl", ROWS), None, LOCAL).rows) == 6


def test_a_limit_takes_the_first_rows_and_leaves_all_for_worked_examples(tmp_path: Path) -> None:
    found = load_data(TASK, write(tmp_path / "rows.jsonl", ROWS), 2, LOCAL)
    assert [one.values["id"] for one in found.rows] == ["q0", "q1"]
    assert found.origin["rows"] == 2
    assert len(found.shot_rows) == 6


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(BadRequest, match="limit must be at least 1"):
        load_data(TASK, "samples", limit, LOCAL)


def test_extra_columns_do_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [row(0, more="x", other=[1, {"a": 2}])])
    assert load_data(TASK, path, None, LOCAL).rows[0].values["more"] == "x"


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_missing_columns_are_named_beside_those_that_are_needed_and_there(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"rows{ending}", [{"goal": "x", "sol1": "a", "answer": 1}])
    said = r"toy needs the columns goal, sol1, sol2, label; sol2, label can't be found among 'goal', 'sol1', 'answer'"
    with pytest.raises(BadRequest, match=said):
        load_data(TASK, path, None, LOCAL)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"label": 2}, r"rows.jsonl, line 5: label must be a whole number from 0 to 1; it is 2"),
        ({"label": "right"}, r"rows.jsonl, line 5: label must be a whole number from 0 to 1; it is 'right'"),
        ({"label": -1}, r"rows.jsonl, line 5: label has no right answer"),
        ({"label": None}, r"rows.jsonl, line 5: label has no right answer"),
        ({"goal": 5}, r"rows.jsonl, line 5: goal must be a text; it is 5"),
        ({"sol1": " "}, r"rows.jsonl, line 5: sol1 is empty; it is ' '"),
        ({"id": "q1"}, r"rows.jsonl, line 5: id came before, at rows.jsonl, line 2; it is 'q1'"),
    ],
)
def test_a_wrong_cell_is_found_before_anything_is_asked(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = write(tmp_path / "rows.jsonl", [*ROWS[:4], row(4, **changes), ROWS[5]])
    with pytest.raises(BadRequest, match=said):
        load_data(TASK, path, 2, LOCAL)


def test_an_id_that_is_another_rows_number_is_refused_where_that_row_has_none(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [row(0, id=1), row(1, id=None)])
    with pytest.raises(BadRequest, match=r"rows.jsonl, line 2: id came before, at rows.jsonl, line 1"):
        load_data(TASK, path, None, LOCAL)


def test_a_row_that_lacks_a_column_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [ROWS[0], {"goal": "x", "sol1": "a", "label": 0}])
    with pytest.raises(BadRequest, match=r"rows.jsonl, line 2: there is no column 'sol2'"):
        load_data(TASK, path, None, LOCAL)


def test_a_csv_row_is_named_by_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", [row(0, goal="two\nlines"), row(1, label="x")])
    with pytest.raises(BadRequest, match=r"rows.csv, line 4: label must be a whole number"):
        load_data(TASK, path, None, LOCAL)


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("rows.jsonl", "", "empty"),
        ("rows.csv", "goal,sol1,sol2,label\n", "no rows"),
        ("rows.json", "[]", "holds no row"),
        ("rows.jsonl", '{"goal": ', r"line 1"),
        ("rows.parquet", "PAR1 and then nothing", "can't be read as Parquet"),
        ("rows.txt", "goal", r"the ending .txt says nothing of rows. Taken are .jsonl"),
        ("rows.jsonl", "[1, 2]\n", "one object"),
    ],
)
def test_a_file_that_holds_no_rows_is_refused(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(BadRequest, match=said):
        load_data(TASK, tmp_path / name, None, LOCAL)


@pytest.mark.parametrize("name", ["none.jsonl", "none.csv", "none.json", "none.parquet", "none"])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadRequest, match=f"There is no file or folder .*{name}"):
        load_data(TASK, tmp_path / name, None, LOCAL)


def test_a_task_of_ones_own_file_asks_for_it() -> None:
    with pytest.raises(BadRequest, match=r"--data own_toy=FILE .* whose columns are goal, sol1, sol2, label"):
        load_data(OWN, None, None, LOCAL)


def test_a_row_that_makes_no_example_is_named_too(tmp_path: Path) -> None:
    def read_one_choice(given: Row) -> Choices:
        return Choices(given.text("goal"), (given.text("sol1"),), 0)

    task = dataclasses.replace(TASK, read=read_one_choice)
    with pytest.raises(BadRequest, match=r"rows.jsonl, line 1: A multiple-choice example needs at least two choices"):
        load_data(task, write(tmp_path / "rows.jsonl", ROWS), None, LOCAL)
