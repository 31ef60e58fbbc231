"""evaluate, compare, tasks and runs on the command line: what they print, what they leave, and what they refuse."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tasks import piqa, winogrande
from tests.text.tiny import write_checkpoint
from workbench.cli import main
from workbench.evals.runs.run import Run

PIQA = ("evaluate", "--tasks", "piqa", "--data", "piqa=samples")
SAMPLES = len(piqa.TASK.samples)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny checkpoint."""
    return str(write_checkpoint(tmp_path_factory.mktemp("tiny"), n_positions=2000))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, folder: str) -> Path:
    """The runs of piqa and winogrande, zero-shot, and of piqa once more with two worked examples."""
    out = tmp_path_factory.mktemp("runs")
    data = ("--data", "piqa=samples", "--data", "winogrande=samples")
    assert main(["evaluate", "--model", folder, "--tasks", "piqa,winogrande", *data, "--out", str(out)]) == 0
    assert main([*PIQA, "--model", folder, "--shots", "2", "--out", str(out)]) == 0
    return out


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """The JSON document a command prints, strictly read."""
    status = main([*arguments, "--json"])
    shown = capsys.readouterr()
    assert status == 0, shown.err
    return json.loads(shown.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The message of a command with bad input."""
    assert main(list(arguments)) == 2
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err and not shown.out
    return shown.err


def rows_file(folder: Path, rows: Sequence[Any], name: str = "rows.jsonl") -> str:
    """A JSONL file."""
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def piqa_runs(runs: Path) -> list[str]:
    """The folders of piqa's two runs: zero-shot, then two shots."""
    found = [Run.open(path) for path in runs.glob("piqa-*")]
    return [str(run.folder) for run in sorted(found, key=lambda run: int(run.record["shots"]["count"]))]


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


def test_a_file_stands_in_for_the_hub(capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path) -> None:
    file = rows_file(tmp_path, piqa.TASK.samples)
    command = ("evaluate", "--tasks", "piqa", "--model", folder, "--out", str(tmp_path / "out"))
    from_file = asked(capsys, *command, "--data", f"piqa={file}")["runs"][0]
    from_samples = asked(capsys, *command, "--data", "piqa=samples")["runs"][0]
    assert from_file["metrics"] == from_samples["metrics"] and from_file["run"] != from_samples["run"]


def test_the_same_command_again_gives_the_done_run(capsys: pytest.CaptureFixture[str], folder: str, runs: Path) -> None:
    assert main([*PIQA, "--model", folder, "--out", str(runs), "--batch-size", "3"]) == 0
    shown = capsys.readouterr()
    assert "done before" in shown.err and piqa_runs(runs)[0] in shown.out and "±" in shown.out


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


def test_compare_gives_the_difference_its_interval_and_the_flips(
    capsys: pytest.CaptureFixture[str], runs: Path
) -> None:
    answer = asked(capsys, "compare", *piqa_runs(runs))
    assert answer["metric"] == "acc" and answer["n"] == SAMPLES and 0 <= answer["p_value"] <= 1
    assert answer["low"] <= answer["difference"] <= answer["high"]
    assert sum(answer[name] for name in ("a_only", "b_only", "both", "neither")) == SAMPLES
    assert len(answer["flips"]["a_only"]) == answer["a_only"]


def test_compare_by_another_metric_than_right_or_wrong_counts_no_flips(
    capsys: pytest.CaptureFixture[str], runs: Path
) -> None:
    answer = asked(capsys, "compare", *piqa_runs(runs), "--metric", "brier_score")
    assert answer["a_only"] is None and answer["test"] == "bootstrap" and answer["p_value"] is not None


def test_compare_as_a_table_tells_which_way_round_it_is(capsys: pytest.CaptureFixture[str], runs: Path) -> None:
    assert main(["compare", *piqa_runs(runs)]) == 0
    assert "A less B" in capsys.readouterr().out


def test_three_runs_are_compared_in_pairs_with_their_agreement(
    capsys: pytest.CaptureFixture[str], runs: Path, folder: str
) -> None:
    (third,) = asked(capsys, *PIQA, "--model", folder, "--shots", "1", "--out", str(runs.parent / "third"))["runs"]
    answer = asked(capsys, "compare", *piqa_runs(runs), third["run"])
    assert len(answer["pairs"]) == 3 and len(answer["agreement"]["share"]) == 3
    assert all("p_holm" in pair for pair in answer["pairs"])


def test_runs_that_cannot_be_compared_are_told(capsys: pytest.CaptureFixture[str], runs: Path, tmp_path: Path) -> None:
    one, other = piqa_runs(runs)
    (different,) = map(str, runs.glob("winogrande-*"))
    (tmp_path / "run.json").write_text("{")
    for names, said in [
        ([one, different], "different tasks"),
        ([one, one], "named twice"),
        ([one], "at least two"),
        ([one, str(tmp_path / "nowhere")], "There is no run"),
        ([one, str(tmp_path)], "is damaged"),
        ([one, other, "--metric", "bleu"], "no metric 'bleu'. There are: acc"),
    ]:
        assert said in refused(capsys, "compare", *names)


def test_runs_stand_beside_published_scores_with_their_protocol(capsys: pytest.CaptureFixture[str], runs: Path) -> None:
    assert main(["runs", str(runs), "--task", "winogrande"]) == 0
    shown = capsys.readouterr().out
    assert "0.6530" in shown and "GPT-J-6B" in shown and "mesh-transformer-jax" in shown and "piqa" not in shown
    answer = asked(capsys, "runs", str(runs))
    assert len(answer["runs"]) == 3 and any(one["model"] == "GPT-J-6B" for one in answer["published"])


@pytest.mark.parametrize(
    "shown_as, holds", [("csv", '"run","task","model"'), ("latex", r"\toprule"), ("json", '"stderr"')]
)
def test_runs_are_written_for_other_programs(
    capsys: pytest.CaptureFixture[str], runs: Path, tmp_path: Path, shown_as: str, holds: str
) -> None:
    assert main(["runs", str(runs), "--format", shown_as]) == 0
    assert holds in capsys.readouterr().out
    file = tmp_path / f"results.{ {'latex': 'tex'}.get(shown_as, shown_as) }"
    (written,) = asked(capsys, "runs", str(runs), "--format", shown_as, "--out", str(file))["files"]
    assert holds in Path(written).read_text()


def test_runs_in_lm_evals_format_are_two_files_each(
    capsys: pytest.CaptureFixture[str], runs: Path, tmp_path: Path
) -> None:
    files = asked(capsys, "runs", str(runs), "--format", "lm-eval", "--out", str(tmp_path))["files"]
    assert len(files) == 6 and all(Path(file).is_file() for file in files)


@pytest.mark.parametrize(
    "options, said",
    [(["--format", "lm-eval"], "Give --out DIR"), (["--format", "csv", "--out", "x.tex"], "ends in .csv")],
)
def test_an_export_that_has_no_place_is_told(
    capsys: pytest.CaptureFixture[str], runs: Path, options: list[str], said: str
) -> None:
    assert said in refused(capsys, "runs", str(runs), *options)


def test_a_folder_without_runs_says_how_to_make_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "evaluate` makes one" in refused(capsys, "runs", str(tmp_path))
