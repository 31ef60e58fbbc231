"""Local data: folders of files named by split, and Parquet within bounds."""

import contextlib
import dataclasses
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.evals.data.toy_task import OWN, ROWS, TASK, row, write
from workbench.errors import BadRequest
from workbench.evals.data.parquet_files import read_parquet
from workbench.evals.data.sources import load_data
from workbench.evals.data.tables import LOCAL
from workbench.evals.task import Source


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"rows": 5}, "rows"),
        ({"columns": 4}, "columns"),
        ({"cell_characters": 5}, "characters"),
        ({"bytes": 9}, "bytes"),
    ],
)
def test_a_parquet_file_beyond_the_limits_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = write(tmp_path / "rows.parquet", ROWS)
    with pytest.raises(BadRequest, match=said):
        load_data(TASK, path, None, dataclasses.replace(LOCAL, **changes))


def test_a_text_that_parquet_writes_once_counts_in_every_row(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.parquet", [row(number, goal="x" * 100_000) for number in range(200)])
    assert path.stat().st_size < 50_000
    with pytest.raises(BadRequest, match="unpacks to more than 2,000,000 bytes"):
        load_data(TASK, path, None, dataclasses.replace(LOCAL, bytes=2_000_000))


def test_the_values_in_lists_are_counted_before_they_are_unpacked(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.parquet", [row(0, more=[1] * 1_000_000)])
    assert path.stat().st_size < 50_000
    with pytest.raises(BadRequest, match=r"holds 1,000,\d+ values"):
        load_data(TASK, path, None, dataclasses.replace(LOCAL, rows=100, columns=10))


@given(st.randoms(use_true_random=False))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_broken_parquet_file_is_refused_or_read(tmp_path: Path, chance: random.Random) -> None:
    path = write(tmp_path / "rows.parquet", ROWS)
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 3, 10])):
        content[chance.randrange(len(content))] = chance.randrange(256)
    path.write_bytes(content[: chance.choice([len(content), chance.randrange(len(content))])])
    with contextlib.suppress(BadRequest):
        read_parquet(path, LOCAL)


def test_a_folders_files_are_told_apart_by_their_split(tmp_path: Path) -> None:
    write(tmp_path / "toy_train.jsonl", [row(7)])
    write(tmp_path / "dev.csv", ROWS[:2])
    write(tmp_path / "test-00000-of-00001.parquet", ROWS[2:])
    found = load_data(TASK, tmp_path, None, LOCAL)
    assert [one.values["id"] for one in found.rows] == ["q0", "q1"]
    assert [one.values["id"] for one in found.shot_rows] == ["q7"]


def test_a_split_in_several_files_is_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for number in (1, 0):
        write(tmp_path / "data" / f"validation-0000{number}-of-00002.parquet", ROWS[3 * number : 3 * number + 3])
    found = load_data(TASK, tmp_path, None, LOCAL)
    assert [one.values["id"] for one in found.rows] == [f"q{number}" for number in range(6)]
    assert [one.index for one in found.rows] == list(range(6))


def test_a_folder_may_hold_one_file_of_any_name(tmp_path: Path) -> None:
    write(tmp_path / "mine.jsonl", ROWS)
    assert len(load_data(OWN, tmp_path, None, LOCAL).rows) == 6


def test_a_folder_may_keep_a_configuration_in_a_folder_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "hard" / "validation.jsonl", ROWS[:1])
    write(tmp_path / "easy" / "validation.jsonl", ROWS[1:])
    task = dataclasses.replace(TASK, source=Source("toys/Choices", "validation", name="easy"))
    assert len(load_data(task, tmp_path, None, LOCAL).rows) == 5


def test_a_folder_without_the_split_says_which_there_are(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", ROWS)
    write(tmp_path / "test.jsonl", ROWS)
    with pytest.raises(BadRequest, match=r"no file of the split validation; it has files of these: test, train"):
        load_data(TASK, tmp_path, None, LOCAL)


def test_an_empty_folder_says_what_is_taken(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"holds no data file. Taken are .jsonl, .csv"):
        load_data(TASK, tmp_path, None, LOCAL)
