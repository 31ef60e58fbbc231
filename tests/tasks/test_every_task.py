"""What each file of tasks/ must keep to."""

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import tasks
from tests.evals.answering import StandIn
from workbench.collect import collect
from workbench.errors import BadRequest
from workbench.evals.asking import Answer, Request, ask
from workbench.evals.data.rows import Row
from workbench.evals.data.sources import load_data
from workbench.evals.data.tables import LOCAL
from workbench.evals.metrics.estimates import estimate
from workbench.evals.task import Task
from workbench.text.requests import (
    Generate,
    Generated,
    LogLikelihood,
    RollingLogLikelihood,
    Scored,
    Span,
    Spans,
    TokenText,
)

TASKS: dict[str, Task[Any]] = collect(tasks, "TASK")
METHODS = {"multiple_choice", "cloze", "generation", "perplexity", "classification", "extraction"}
BENCHMARKS = {
    "lambada_openai", "lambada_standard", "hellaswag", "piqa", "winogrande", "arc_easy", "arc_challenge",
    "openbookqa", "sciq", "boolq", "copa", "rte", "cb", "wsc273", "truthfulqa_mc1", "triviaqa", "wikitext",
    "sst2", "ag_news", "trec", "sms_spam", "squad", "squad_v2", "cnn_dailymail",
}  # fmt: skip
WITHOUT_SHOTS = {"truthfulqa_mc1", "cnn_dailymail", "wikitext", "own_perplexity"}
SHOTS = 5

every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


class FakeModel(StandIn):
    """Answers everything: a log-likelihood of -0.1 a character, the prompt's first word, the passage's first span."""

    def answers(self, requests: Sequence[Request]) -> Sequence[Answer]:
        """An answer for each request."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Answer:
        if isinstance(request, LogLikelihood | RollingLogLikelihood):
            text = request.continuation if isinstance(request, LogLikelihood) else request.text
            tokens = tuple(TokenText(0, piece, -0.1) for piece in text.split() or [text])
            return Scored(-0.1 * len(text), len(text) % 2 == 0, tokens)
        if isinstance(request, Generate):
            return Generated(text=f" {request.prompt.split()[0]}", finish_reason="stop", completion_tokens=1)
        word = request.context.split()[0]
        return Spans((Span(word, 0, len(word), -1.0, 0.7),), -2.0, 1)


def rows_of(task: Task[Any]) -> tuple[Row, ...]:
    """The task's samples."""
    return tuple(Row(values, index) for index, values in enumerate(task.samples))


def test_the_names_are_the_files_names() -> None:
    files = {path.stem for path in Path(tasks.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(TASKS) == files
    assert all(task.name == name for name, task in TASKS.items())


def test_all_benchmarks_are_there() -> None:
    assert set(TASKS) >= BENCHMARKS


def test_each_method_has_a_task_for_a_file_of_ones_own() -> None:
    assert {task.method.name for task in TASKS.values() if task.source is None} == METHODS


@every_task
def test_a_task_says_in_one_sentence_what_is_asked(task: Task[Any]) -> None:
    assert re.fullmatch(r"[A-Z].*[.?]", task.about)
    assert len(task.about) <= 120


@every_task
def test_there_are_samples_enough_for_worked_examples(task: Task[Any]) -> None:
    assert len(task.samples) >= 8
    assert len({json.dumps(sample) for sample in task.samples}) == len(task.samples)


@every_task
def test_samples_load_as_data_do(task: Task[Any]) -> None:
    found = load_data(task, "samples", None, LOCAL)
    assert [dict(row.values) for row in found.rows] == list(task.samples)


@every_task
@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_samples_read_the_same_from_a_file(task: Task[Any], ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows{ending}"
    columns = [column for column in task.samples[0] if column in task.columns or column == task.id_column]
    rows = [{column: sample[column] for column in columns} for sample in task.samples]
    if ending == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif ending == ".csv":
        write_csv(path, rows)
    else:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    found = load_data(task, path, None, LOCAL)
    assert [task.read(row) for row in found.rows] == [task.read(row) for row in rows_of(task)]


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """A CSV file, lists and objects as JSON."""
    import csv

    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        for row in rows:
            nested = {name: json.dumps(cell) for name, cell in row.items() if isinstance(cell, list | dict)}
            writer.writerow(row | nested)


@every_task
def test_a_row_needs_the_columns_that_are_listed_and_no_others(task: Task[Any]) -> None:
    for sample in task.samples:
        needed = {column: sample[column] for column in task.columns}
        task.read(Row(needed))
        for column in task.columns:
            with pytest.raises(BadRequest, match=column):
                task.read(Row({name: cell for name, cell in needed.items() if name != column}))


@every_task
def test_every_sample_is_asked_and_judged(task: Task[Any]) -> None:
    examples = [task.read(row) for row in rows_of(task)]
    predictions = list(ask(FakeModel(), task.method, examples))
    assert [prediction.error for prediction in predictions] == [None] * len(examples)
    assert json.loads(json.dumps([dataclasses.asdict(prediction) for prediction in predictions], allow_nan=False))
    for metric in task.method.metrics:
        found = estimate(metric, predictions, bootstrap=False)
        assert found is not None, metric.name
        assert found.n > 0


@every_task
def test_a_failed_example_has_a_prediction_that_says_why(task: Task[Any]) -> None:
    failed = task.method.failed(task.read(rows_of(task)[0]), "The model is out.")
    assert failed.error == "The model is out."


@every_task
def test_worked_examples_come_before_every_prompt(task: Task[Any]) -> None:
    asked, *shots = (task.read(row) for row in rows_of(task))
    if task.name in WITHOUT_SHOTS:
        with pytest.raises(BadRequest, match="0 shots"):
            task.method.with_shots(shots[:SHOTS])
        return
    method = task.method.with_shots(shots[:SHOTS])
    assert method.prefix.count("\n\n") >= SHOTS
    for request in method.requests(asked):
        begun = [request.context, request.shared] if isinstance(request, LogLikelihood) and request.context else []
        assert all(text.startswith(method.prefix) for text in begun)


@every_task
def test_the_method_is_one_of_six_with_the_first_metric_in_front(task: Task[Any]) -> None:
    assert task.method.name in METHODS
    names = [metric.name for metric in task.method.metrics]
    assert len(set(names)) == len(names) > 0


@every_task
def test_references_name_a_metric_of_the_task_and_tell_their_protocol(task: Task[Any]) -> None:
    metrics = {metric.name: metric for metric in task.method.metrics}
    for reference in task.references:
        assert reference.metric in metrics
        assert len(reference.protocol) > 20
        if metrics[reference.metric].is_share:
            assert 0 <= reference.value <= 1


@every_task
def test_a_source_is_a_data_set_of_the_hub_at_a_whole_commit(task: Task[Any]) -> None:
    if task.source is not None:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", task.source.path)
        assert task.source.split in ("train", "validation", "test")
        assert re.fullmatch(r"[0-9a-f]{40}", task.source.revision or "0" * 40)


@every_task
def test_right_answers_of_the_samples_are_not_all_the_same(task: Task[Any]) -> None:
    if task.method.name in ("multiple_choice", "classification") and task.name not in ("sciq", "truthfulqa_mc1"):
        predictions = list(ask(FakeModel(), task.method, [task.read(row) for row in rows_of(task)]))
        assert len({prediction.gold for prediction in predictions}) > 1


def test_labels_of_ones_own_file_come_from_the_file() -> None:
    task = TASKS["own_classification"]
    rows = [{"text": "a", "label": "left"}, {"text": "b", "label": " right "}, {"text": "c", "label": "left"}]
    found = load_data(task, "samples", None, LOCAL)
    fitted = task.for_data(dataclasses.replace(found, rows=[Row(one) for one in rows], shot_rows=()))
    assert fitted.method.settings["labels"] == ["left", "right"]


def test_one_label_alone_is_no_classification() -> None:
    task = TASKS["own_classification"]
    found = load_data(task, "samples", None, LOCAL)
    with pytest.raises(BadRequest, match="at least two different labels; it holds 'left' alone"):
        task.for_data(dataclasses.replace(found, rows=[Row({"text": "a", "label": "left"})], shot_rows=()))


def test_listing_all_tasks_takes_no_torch_and_no_data_library() -> None:
    code = (
        "import sys, time; began = time.perf_counter()\n"
        "import tasks; from workbench.collect import collect; count = len(collect(tasks, 'TASK'))\n"
        "print(f'{count} tasks in {time.perf_counter() - began:.2f} s')\n"
        "print([name for name in ('torch', 'datasets', 'evaluate', 'pandas', 'gradio') if name in sys.modules])"
    )
    root = Path(tasks.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    print(done.stdout)
    assert done.stdout.splitlines()[-1] == "[]"
