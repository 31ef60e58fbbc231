"""Runs as files for other programs."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.evals.runs.toy_benchmark import TASK, HashModel, riddles, run_of
from workbench.errors import BadRequest, Cancelled, NotSaved
from workbench.evals.exports import downloads as run_exports
from workbench.evals.exports.downloads import write_lm_eval, write_results, write_tables
from workbench.evals.exports.lm_eval import results_record, sample_records
from workbench.evals.metrics.metric import Metric
from workbench.evals.metrics.statistics import perplexity, ratio
from workbench.evals.runs.run import Run
from workbench.evals.runs.runner import Options

METRICS = TASK.method.metrics
ROWS = riddles(12)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_of(tmp_path_factory.mktemp("runs"), ROWS, Options(shots=2, limit=10))


def unfinished(folder: Path) -> Run:
    """A run that was stopped after five examples."""
    left = iter(range(5))

    def stop(_: Any) -> None:
        if next(left, None) is None:
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        run_of(folder, ROWS, Options(batch_size=1), model=HashModel(before=stop))
    (home,) = folder.iterdir()
    return Run.open(home)


def test_results_have_the_harnesss_shape(run: Run, tmp_path: Path) -> None:
    results, _ = write_lm_eval(run, METRICS, tmp_path)
    record = json.loads(results.read_text(encoding="utf-8"))
    found = record["results"]["riddles"]
    assert found["acc,none"] == run.metrics["acc"].value
    assert found["acc_stderr,none"] == run.metrics["acc"].stderr
    assert (found["alias"], found["sample_len"]) == ("riddles", 10)
    assert record["n-shot"] == {"riddles": 2}
    assert record["n-samples"] == {"riddles": {"original": None, "effective": 10}}
    assert record["higher_is_better"]["riddles"]["brier_score"] is False
    assert record["versions"] == {"riddles": 1}
    assert record["configs"]["riddles"]["output_type"] == "multiple_choice"
    assert {"metric": "acc", "aggregation": "mean", "higher_is_better": True} in record["configs"]["riddles"][
        "metric_list"
    ]
    assert record["config"]["limit"] == 10


def test_the_files_are_named_as_the_harness_finds_them(run: Run, tmp_path: Path) -> None:
    results, samples = write_lm_eval(run, METRICS, tmp_path)
    day = r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{6}"
    assert re.fullmatch(rf"results_{day}\.json", results.name)
    assert re.fullmatch(rf"samples_riddles_{day}\.jsonl", samples.name)
    assert results.parent == samples.parent == tmp_path / run.name


def test_a_sample_is_what_was_asked_and_answered(run: Run, tmp_path: Path) -> None:
    _, samples = write_lm_eval(run, METRICS, tmp_path)
    lines = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 10
    common = run.record["shots"]["prefix"]
    for number, (line, prediction) in enumerate(zip(lines, run.predictions, strict=True)):
        choices = prediction.detail["choices"]
        prefix = common if prediction.prefix is None else prediction.prefix
        assert line["doc_id"] == number
        assert line["target"] == str(prediction.gold)
        assert line["acc"] == prediction.scores["acc"]
        assert line["metrics"] == [metric.name for metric in METRICS]
        assert [line["arguments"][f"gen_args_{place}"] for place in range(3)] == [
            {"arg_0": prefix + prediction.prompt, "arg_1": " " + choice["text"]} for choice in choices
        ]
        assert line["filtered_resps"] == [[str(one["loglikelihood"]), str(one["is_greedy"])] for one in choices]
        assert line["resps"] == [[response] for response in line["filtered_resps"]]


def test_a_sample_that_is_a_worked_example_shows_what_stood_before_it_instead(tmp_path: Path) -> None:
    found = run_of(tmp_path, ROWS, Options(shots=2))
    itself = found.record["shots"]["rows"][0]
    prompts = [one["arguments"]["gen_args_0"]["arg_0"] for one in sample_records(found, METRICS)]
    assert prompts[itself].count(ROWS[itself]["question"]) == 1
    assert [number for number, one in enumerate(prompts) if not one.startswith(found.record["shots"]["prefix"])] == (
        sorted(found.record["shots"]["rows"])
    )


def test_a_metric_of_two_columns_has_both_in_a_sample_and_one_that_does_not_count_is_left_out(run: Run) -> None:
    pair = Metric("pair", ("acc", "brier_score"), ratio)
    uncounted = Metric("perplexity", ("loglikelihood",), perplexity)
    sample = sample_records(run, [pair, uncounted])[0]
    assert sample["metrics"] == ["pair"]
    assert sample["pair"] == [run.predictions[0].scores[column] for column in pair.columns]
    assert "perplexity" not in sample


def test_hashes_are_of_what_they_name(run: Run) -> None:
    samples = sample_records(run, METRICS)
    first = samples[0]
    prompt = first["arguments"]["gen_args_0"]["arg_0"]
    assert first["prompt_hash"] == hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()
    assert first["target_hash"] == hashlib.sha256(first["target"].encode()).hexdigest()
    joined = "".join(one["doc_hash"] + one["prompt_hash"] + one["target_hash"] for one in samples)
    assert results_record(run, METRICS)["task_hashes"]["riddles"] == hashlib.sha256(joined.encode()).hexdigest()


def test_an_export_is_the_same_each_time(run: Run, tmp_path: Path) -> None:
    first = [path.read_bytes() for path in write_lm_eval(run, METRICS, tmp_path / "a")]
    assert first == [path.read_bytes() for path in write_lm_eval(run, METRICS, tmp_path / "b")]


def test_a_run_that_is_not_done_is_refused_in_the_harnesss_format(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="is not done"):
        write_lm_eval(unfinished(tmp_path / "runs"), METRICS, tmp_path)


def test_the_harness_shows_our_results(run: Run) -> None:
    utilities = pytest.importorskip("lm_eval.utils")
    shown = utilities.make_table(results_record(run, METRICS))
    assert "|riddles|" in shown
    assert f"{run.metrics['acc'].value:.4f}" in shown


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_hold_every_prediction(run: Run, tmp_path: Path, ending: str) -> None:
    csv, parquet = write_tables(run, tmp_path)
    table = pd.read_csv(csv) if ending == "csv" else pd.read_parquet(parquet)
    assert list(table["id"]) == [one.id for one in run.predictions]
    assert list(table["scores.acc"]) == [one.scores["acc"] for one in run.predictions]
    assert list(table["gold"]) == [one.gold for one in run.predictions]
    assert len(json.loads(table["detail.choices"][0])) == 3


def test_parquet_keeps_texts_and_csv_has_no_formula(tmp_path: Path) -> None:
    rows = [{**row, "question": "=1+1"} for row in riddles(2)]
    csv, parquet = write_tables(run_of(tmp_path / "runs", rows), tmp_path)
    assert list(pd.read_parquet(parquet)["prompt"]) == ["=1+1"] * 2
    assert list(pd.read_csv(csv)["prompt"]) == ["'=1+1"] * 2


def test_a_column_of_several_types_is_one_of_texts_in_parquet() -> None:
    mixed = pd.DataFrame({"answer": [1, "a", None], "whole": [1, None, 2]}, dtype=object)
    found = run_exports._one_type_each(mixed)
    assert list(found["answer"])[:2] == ["1", "a"]
    assert list(found["whole"].dropna()) == [1, 2]


def test_tables_of_an_unfinished_run_hold_what_there_is(tmp_path: Path) -> None:
    some = unfinished(tmp_path / "runs")
    csv, _ = write_tables(some, tmp_path)
    assert 0 < len(pd.read_csv(csv)) == len(some.predictions) < len(ROWS)


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_results_of_several_runs_have_a_line_for_each_metric(run: Run, tmp_path: Path, ending: str) -> None:
    other = run_of(tmp_path / "runs", ROWS)
    path = write_results([run, other], tmp_path / f"results.{ending}")
    table = pd.read_csv(path) if ending == "csv" else pd.DataFrame(json.loads(path.read_text(encoding="utf-8")))
    assert list(table["run"]) == [run.name] * len(METRICS) + [other.name] * len(METRICS)
    assert table["value"][0] == pytest.approx(run.metrics["acc"].value)


@pytest.mark.parametrize("ending, mark", [("tex", "\\toprule"), ("md", "| ---: |")])
def test_results_of_several_runs_are_a_table_for_people(run: Run, tmp_path: Path, ending: str, mark: str) -> None:
    assert mark in write_results([run], tmp_path / f"results.{ending}").read_text(encoding="utf-8")


@pytest.mark.parametrize("ending", ["csv", "json", "tex", "md"])
def test_runs_that_are_not_done_have_no_results_to_write(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"results.{ending}"
    with pytest.raises(BadRequest, match="None of the runs is done"):
        write_results([unfinished(tmp_path / "runs")], path)
    assert not path.exists()


def test_an_unknown_ending_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"must end in \.csv, \.json, \.tex, \.md"):
        write_results([run], tmp_path / "results.xls")


def test_a_file_that_cannot_be_written_leaves_the_earlier_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_results([run], tmp_path / "results.tex")
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(NotSaved, match="No space left"):
        write_results([run, run], path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
