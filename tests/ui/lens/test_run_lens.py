"""Looking into an example: what each run's model is asked, and by which model."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.ui.fake_runs import asked, bench, finished
from workbench.errors import BadRequest
from workbench.evals.runs.run import Run
from workbench.manager import ModelSpec
from workbench.ui.lens.run_lens import looks_of, run_spec


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    """The same examples through two models."""
    return [finished(tmp_path, asked()), finished(tmp_path, asked(precision="int8"))]


def test_each_runs_model_is_asked_about_the_same_choices(runs: list[Run]) -> None:
    example, looks = looks_of(runs, "3")
    assert [look.letter for look in looks] == ["A", "B"] and example.row == 3
    assert [one.requests for one in looks[0].asks] == [one.requests for one in looks[1].asks]
    assert [one.kept for one in looks[0].asks] != [one.kept for one in looks[1].asks]


def test_a_run_alone_has_no_letter(runs: list[Run]) -> None:
    assert [look.letter for look in looks_of(runs[:1], "0")[1]] == [""]


def test_a_run_whose_example_is_another_one_is_not_asked(runs: list[Run]) -> None:
    other = replace(runs[1])
    other.__dict__["predictions"] = tuple(replace(one, digest="0") for one in runs[1].predictions)
    assert [look.run for look in looks_of([runs[0], other], "0")[1]] == [runs[0]]


@pytest.mark.parametrize("row", ["99", "", "<b>"])
def test_an_example_that_is_not_there_is_told(runs: list[Run], row: str) -> None:
    with pytest.raises(BadRequest, match="not open any more"):
        looks_of(runs, row)
    with pytest.raises(BadRequest, match="not open any more"):
        looks_of([], row)


def test_a_runs_model_is_the_one_it_was_made_with(runs: list[Run], tmp_path: Path) -> None:
    assert run_spec(bench(tmp_path), runs[1]) == ModelSpec("demo", precision="int8")


def test_on_a_public_page_no_model_is_loaded_because_a_run_names_it(runs: list[Run], tmp_path: Path) -> None:
    record = dict(runs[0].record) | {"model": {**runs[0].record["model"], "checkpoint": "/somewhere/else"}}
    strange = replace(runs[0], record=record)
    with pytest.raises(BadRequest, match="not served on this page"):
        run_spec(bench(tmp_path, host="0.0.0.0"), strange)
    assert run_spec(bench(tmp_path), strange).checkpoint == "/somewhere/else"
