"""/evaluate: the command line's JSON for a caller, within bounds on a public page."""

from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.ui.fake_runs import bench
from workbench.errors import BadRequest
from workbench.evals.runs.runner import Options
from workbench.evaluating import run_record
from workbench.ui.bench import Bench
from workbench.ui.benchmark.evaluate_endpoint import asked_evaluations, evaluate_endpoint, task_names


def endpoint(page: Bench) -> Any:
    """The registered function."""
    with gr.Blocks() as blocks:
        evaluate_endpoint(page)
    return next(function.fn for function in blocks.fns.values() if function.api_name == "evaluate")


def asked(page: Bench, **changes: Any) -> list[Any]:
    """What a caller who changes this asks for."""
    given = {"tasks": "piqa", "model": "", "precision": "", "options": Options(limit=5), "data": "samples", "head": ""}
    return asked_evaluations(page, **given | changes)


def test_runs_come_back_as_the_command_line_tells_them(tmp_path: Path) -> None:
    page = bench(tmp_path)
    *_, last = endpoint(page)("copa, piqa", limit=3, data="samples")
    assert [run["task"] for run in last["runs"]] == ["copa", "piqa"] and set(last) == {"runs"}
    stored = {run.task: run for run in page.runs.runs()}
    assert last["runs"][0] == run_record(stored["copa"])
    assert last["runs"][0]["n"] == 3 and last["runs"][0]["metrics"]["acc"].keys() == {"value", "stderr", "n"}


def test_progress_comes_before_the_result(tmp_path: Path) -> None:
    first, *_ = endpoint(bench(tmp_path))(["piqa"], data="samples")
    assert first["runs"] == [] and first["progress"]["task"] == "piqa"


def test_a_caller_who_leaves_ends_the_run(tmp_path: Path) -> None:
    page = bench(tmp_path)
    steps = endpoint(page)("piqa", data="samples")
    next(steps)
    steps.close()
    assert all(not run.is_done for run in page.runs.runs())


def test_an_error_is_told_escaped(tmp_path: Path) -> None:
    with pytest.raises(gr.Error, match="no task '&lt;b&gt;x'"):
        next(endpoint(bench(tmp_path))("<b>x"))


@pytest.mark.parametrize("tasks", ["piqa,copa", " copa , piqa ,", ["piqa", "copa"]])
def test_tasks_are_a_list_or_a_text(tasks: Any) -> None:
    assert sorted(task_names(tasks)) == ["copa", "piqa"]


@pytest.mark.parametrize("changes, message", [
    ({"tasks": 5}, "tasks is 5"), ({"tasks": [5]}, "must be a list of names"), ({"tasks": ""}, "No task is named"),
    ({"tasks": "hellaswog"}, "Did you mean hellaswag"), ({"data": "/etc/passwd"}, "“hub” or “samples”"),
    ({"model": 5}, "model is 5"), ({"head": 5}, "head is 5"), ({"tasks": "own_cloze", "data": "hub"}, "no data set"),
])  # fmt: skip
def test_a_wrong_value_is_told(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        asked(bench(tmp_path), **changes)


def test_a_public_page_serves_its_own_models_on_bounded_rows(tmp_path: Path) -> None:
    page = bench(tmp_path, host="0.0.0.0")
    assert asked(page, data="hub", options=Options(limit=100))
    with pytest.raises(BadRequest, match="from 1 to 100"):
        asked(page, data="hub", options=Options(limit=None))
    with pytest.raises(BadRequest, match="not served here"):
        asked(page, model="someone/model")
    with pytest.raises(BadRequest, match="no head"):
        asked(page, tasks="sst2", head="/etc")
