"""evaluate and tasks on the command line: what they print, what they leave, and what they refuse."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tasks import piqa, winogrande
from tests.command_line import asked, refused
from tests.text.tiny import write_checkpoint
from workbench.cli import main
from workbench.commands import evaluate

PIQA = ("evaluate", "--tasks", "piqa", "--data", "piqa=samples")
SAMPLES = len(piqa.TASK.samples)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny checkpoint."""
    return str(write_checkpoint(tmp_path_factory.mktemp("tiny"), n_positions=2000))


def rows_file(folder: Path, rows: Sequence[Any], name: str = "rows.jsonl") -> str:
    """A JSONL file."""
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_evaluate_gives_each_tasks_metrics_with_errors_and_the_runs_folder(
    capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path
) -> None:
    tasks = ("--tasks", "piqa, wikitext", "--data", "piqa=samples", "--data", "wikitext=samples")
    answer = asked(capsys, "evaluate", "--model", folder, *tasks, "--limit", "4", "--out", str(tmp_path))
    assert [run["task"] for run in answer["runs"]] == ["piqa", "wikitext"]
    for run in answer["runs"]:
        assert run["n"] == 4 and run["seconds"] > 0 and (Path(run["run"]) / "run.json").is_file()
        assert all({"value", "stderr"} <= found.keys() for found in run["metrics"].values())
    assert {"acc", "acc_norm"} <= answer["runs"][0]["metrics"].keys()


def test_a_task_whose_rows_come_along_needs_no_data(
    capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path
) -> None:
    command = ("evaluate", "--tasks", "our_stories", "--model", folder, "--limit", "3", "--out", str(tmp_path))
    (run,) = asked(capsys, *command)["runs"]
    assert run["n"] == 3 and json.loads((Path(run["run"]) / "run.json").read_text())["data"]["origin"] == "project"
    assert asked(capsys, *command, "--data", "our_stories=samples")["runs"][0]["run"] == run["run"]


def test_a_file_stands_in_for_the_hub(capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path) -> None:
    file = rows_file(tmp_path, piqa.TASK.samples)
    command = ("evaluate", "--tasks", "piqa", "--model", folder, "--out", str(tmp_path / "out"))
    from_file = asked(capsys, *command, "--data", f"piqa={file}")["runs"][0]
    from_samples = asked(capsys, *command, "--data", "piqa=samples")["runs"][0]
    assert from_file["metrics"] == from_samples["metrics"] and from_file["run"] != from_samples["run"]


def test_the_same_command_again_gives_the_done_run_and_says_how_to_compare_it(
    capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path
) -> None:
    command = [*PIQA, "--model", folder, "--out", str(tmp_path)]
    (run,) = asked(capsys, *command)["runs"]
    assert main([*command, "--batch-size", "3"]) == 0
    shown = capsys.readouterr()
    assert "done before" in shown.err and f"compare {run['run']} RUN" in shown.err
    assert run["run"] in shown.out and "±" in shown.out


def test_tasks_may_be_named_with_commas_or_with_spaces(
    capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path
) -> None:
    data = [part for name in ("piqa", "sst2", "trec") for part in ("--data", f"{name}=samples")]
    command = ("evaluate", "--model", folder, *data, "--limit", "1", "--out", str(tmp_path))
    answer = asked(capsys, *command, "--tasks", "piqa,", "sst2,trec")
    assert [run["task"] for run in answer["runs"]] == ["piqa", "sst2", "trec"]


def test_progress_that_goes_to_a_file_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "SECONDS_BETWEEN_LINES", 0)
    assert main([*PIQA, "--model", folder, "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().err
    assert f"piqa  {SAMPLES} of {SAMPLES}" in told and "\r" not in told


def test_runs_stand_in_the_settings_folder_unless_told_otherwise(
    capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "mine"))
    (run,) = asked(capsys, *PIQA, "--model", folder, "--limit", "2")["runs"]
    assert Path(run["run"]).parent == tmp_path / "mine"
    assert [one["run"] for one in asked(capsys, "runs")["runs"]] == [run["run"]]


@pytest.mark.parametrize(
    "options, said",
    [
        (["--tasks", "piqq"], "no task 'piqq'. Did you mean piqa"),
        (["--tasks", ","], "No task is named"),
        (["--tasks", "PIQA"], "Did you mean piqa"),
        (["--tasks", "arc-easy"], "Did you mean arc_easy"),
        (["--tasks", "piqa", "--data", "piqa"], "must be TASK=FILE"),
        (["--tasks", "piqa", "--data", "boolq=samples"], "--tasks does not ask for it"),
        (["--tasks", "piqa", "--data", "piqa=samples", "--data", "piqa=x.csv"], "given twice for piqa"),
        (["--tasks", "piqa", "--data", "piqa=missing.jsonl"], "missing.jsonl"),
        (["--tasks", "piqa", "--data", "piqa=samples", "--limit", "0"], "limit must be"),
        (["--tasks", "piqa", "--data", "piqa=samples", "--limit", "-2"], "limit must be"),
        (["--tasks", "piqa", "--data", "piqa=samples", "--shots", "-1"], "shots must be"),
        (["--tasks", "piqa", "--data", "piqa=samples", "--shots", "500"], "fewer shots"),
        (["--tasks", "piqa", "--data", "piqa=samples", "--batch-size", "0"], "batch_size must be"),
        (["--tasks", "piqa", "--data", "piqa=samples", "--head", "none"], "a head can take"),
        (["--tasks", "own_multiple_choice"], "--data own_multiple_choice=FILE"),
    ],
)
def test_wrong_options_are_refused_with_what_to_do(
    capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path, options: list[str], said: str
) -> None:
    assert said in refused(capsys, "evaluate", "--model", folder, *options, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_name_is_refused_and_nothing_is_written_here(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "--out is empty" in refused(capsys, *PIQA, "--out", "")
    assert not list(tmp_path.iterdir())


def test_what_is_wrong_with_a_later_task_shows_before_the_first_is_asked(
    capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path
) -> None:
    file = rows_file(tmp_path, winogrande.TASK.samples[:2])
    data = ("--data", "piqa=samples", "--data", f"winogrande={file}")
    command = ("evaluate", "--model", folder, "--tasks", "piqa,winogrande", *data, "--shots", "3")
    assert "fewer shots" in refused(capsys, *command, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "rows, said",
    [
        ([], "row"),
        ([{"goal": "g", "sol1": "a"}], "sol2"),
        ([{**piqa.TASK.samples[0], "label": 7}], "line 1: label"),
        ([{**piqa.TASK.samples[0], "sol1": 3}], "line 1: sol1"),
        ([{name: value for name, value in piqa.TASK.samples[0].items() if name != "label"}], "label"),
    ],
    ids=["empty", "missing columns", "label out of range", "wrong type", "no gold"],
)
def test_wrong_rows_are_refused_before_the_model_is_loaded(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, rows: list[Any], said: str
) -> None:
    command = ("evaluate", "--tasks", "piqa", "--model", "no/such-model", "--out", str(tmp_path / "out"))
    assert said in refused(capsys, *command, "--data", f"piqa={rows_file(tmp_path, rows)}")


def test_tasks_tells_method_metrics_and_source_of_each_without_torch() -> None:
    program = "import sys; from workbench.cli import main; main(['tasks', '--json']); sys.exit('torch' in sys.modules)"
    began = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0 and time.monotonic() - began < 10
    found = {task["task"]: task for task in json.loads(ended.stdout)["tasks"]}
    assert found["piqa"]["method"] == "multiple_choice" and found["piqa"]["metrics"][0] == "acc"
    assert found["piqa"]["source"]["path"] and found["own_cloze"]["source"] is None and len(found) >= 30


def test_tasks_as_a_table_names_every_task(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks"]) == 0
    shown = capsys.readouterr().out
    assert "hellaswag" in shown and "own_spans" in shown and "a file of your own" in shown
    assert "60 rows that come with the project" in shown


def test_a_task_that_is_named_is_told_in_full_with_a_row_of_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "own_cloze"]) == 0
    shown = capsys.readouterr().out
    assert "columns  text, ending" in shown and '{"text": ' in shown and "piqa" not in shown
    assert [task["task"] for task in asked(capsys, "tasks", "piqa", "own_cloze")["tasks"]] == ["piqa", "own_cloze"]
    assert "There are: ag_news" in refused(capsys, "tasks", "own_clothes")
