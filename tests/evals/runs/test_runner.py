"""The runner: the same bytes whatever happens on the way, and nothing computed where something is wrong."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evals.runs.toy_benchmark import MODEL, TASK, HashModel, contents, data_of, finished, riddles, run_of, steps
from workbench.errors import BadRequest, Busy, CheckpointNotFound, NumericalFailure
from workbench.evals.runs import progress as progress_module
from workbench.evals.runs.process import Process
from workbench.evals.runs.runner import Options, evaluate, prepare
from workbench.text.requests import LogLikelihood

ROWS = riddles(12)


@pytest.fixture(autouse=True)
def told_at_every_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress after each example, however quick."""
    monkeypatch.setattr(progress_module, "TOLD_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(progress_module, "_LARGEST_SHARE", float("inf"))


def protocol(
    rows: list[dict[str, Any]] = ROWS, options: Options | None = None, model: Any = MODEL, task: Any = TASK
) -> str:
    """The digest of a run's protocol."""
    return prepare(model, task, data_of(rows), options or Options()).protocol.digest


def test_a_run_holds_a_prediction_for_each_row_in_the_datas_order(tmp_path: Path) -> None:
    run = run_of(tmp_path, ROWS)
    assert [one.row for one in run.predictions] == list(range(12))
    assert [one.id for one in run.predictions] == [row["key"] for row in ROWS]
    assert run.is_done and run.n == 12 and run.errors == 0


def test_the_longest_examples_are_asked_first(tmp_path: Path) -> None:
    model = HashModel()
    run_of(tmp_path, ROWS, model=model)
    sizes = [
        sum(len(r.context + r.continuation) for r in asked if isinstance(r, LogLikelihood)) for asked in model.asked
    ]
    assert sizes == sorted(sizes, reverse=True)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([1, 2, 4, 8, 16]), st.integers(0, 3))
def test_the_number_of_examples_under_way_changes_no_byte(tmp_path_factory: Any, batch_size: int, shots: int) -> None:
    ours, theirs = tmp_path_factory.mktemp("a"), tmp_path_factory.mktemp("b")
    one = run_of(ours, ROWS, Options(shots=shots, batch_size=batch_size))
    assert contents(one) == contents(run_of(theirs, ROWS, Options(shots=shots)))


@settings(max_examples=10, deadline=None)
@given(st.permutations(ROWS), st.integers(0, 3))
def test_the_order_of_the_rows_changes_no_prediction(tmp_path_factory: Any, rows: Any, shots: int) -> None:
    """The worked examples are the same, and drawn from rows of their own."""
    there = riddles(20, seed=1)
    found = []
    for order in (ROWS, rows):
        data = data_of(order, there)
        folder = tmp_path_factory.mktemp("run")
        run = finished(evaluate(HashModel(), MODEL, TASK, data, Options(shots=shots), folder))
        found.append({one.id: replace(one, row=0) for one in run.predictions})
    assert found[0] == found[1]


def test_the_exact_prompt_of_each_example_can_be_read_again(tmp_path: Path) -> None:
    model = HashModel()
    run = run_of(tmp_path, ROWS, Options(shots=4), model=model)
    asked = {request.context for requests in model.asked for request in requests if isinstance(request, LogLikelihood)}
    common = run.record["shots"]["prefix"]
    prompts = {(common if one.prefix is None else one.prefix) + one.prompt for one in run.predictions}
    assert prompts == asked - {""}
    assert [one.row for one in run.predictions if one.prefix is not None] == sorted(run.record["shots"]["rows"])


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 13), max_size=4))
def test_a_run_that_is_stopped_goes_on_to_the_same_bytes(tmp_path_factory: Any, stops: list[int]) -> None:
    folder = tmp_path_factory.mktemp("stopped")
    for stop in stops:
        evaluation = steps(folder, ROWS, model=HashModel())
        for _, _ in zip(range(stop), evaluation, strict=False):
            pass
        evaluation.close()
    whole = run_of(tmp_path_factory.mktemp("whole"), ROWS)
    assert contents(run_of(folder, ROWS)) == contents(whole)


def test_a_stopped_run_computes_nothing_twice(tmp_path: Path) -> None:
    evaluation, first, second = steps(tmp_path, ROWS, model=(first := HashModel())), first, HashModel()
    while next(evaluation).done < 5:
        pass
    evaluation.close()
    run_of(tmp_path, ROWS, model=second)
    assert len(first.asked) == 5 and len(second.asked) == 7


def test_a_done_run_comes_back_as_it_is_and_says_so(tmp_path: Path) -> None:
    run_of(tmp_path, ROWS)
    model = HashModel()
    (told,) = list(steps(tmp_path, ROWS, model=model))
    assert not model.asked and "done before" in told.note and told.done == 12


def test_fresh_computes_a_done_run_anew(tmp_path: Path) -> None:
    before = contents(run_of(tmp_path, ROWS))
    model = HashModel()
    assert contents(run_of(tmp_path, ROWS, Options(fresh=True), model=model)) == before
    assert len(model.asked) == 12


def test_progress_begins_before_the_first_example_and_tells_the_time_left(tmp_path: Path) -> None:
    told = list(steps(tmp_path, ROWS, model=HashModel(seconds=0.002)))
    assert (told[0].done, told[0].total, told[0].seconds_left) == (0, 12, None)
    assert told[3].seconds_left is not None and told[3].seconds_left > 0 and told[-1].seconds_left == 0
    assert sum(len(one.latest) for one in told) == 12 and "acc" in told[-1].metrics


def test_an_example_that_fails_is_counted_and_the_others_go_on(tmp_path: Path) -> None:
    def fails(requests: Any) -> None:
        if "Riddle 3:" in requests[0].context:
            raise NumericalFailure("its logits are NaN")

    run = run_of(tmp_path, ROWS, model=HashModel(fails))
    assert run.errors == 1 and run.predictions[3].error == "its logits are NaN"
    assert run.metrics["acc"].n == 12 and run.predictions[3].scores["acc"] == 0


def test_a_failure_that_is_no_examples_fault_leaves_a_run_to_go_on_with(tmp_path: Path) -> None:
    def gone(requests: Any) -> None:
        if "Riddle 3:" in requests[0].context:
            raise Busy("the model is in use")

    with pytest.raises(Busy):
        run_of(tmp_path, ROWS, model=HashModel(gone))
    assert contents(run_of(tmp_path, ROWS)) == contents(run_of(tmp_path / "other", ROWS))


@pytest.mark.parametrize(
    "column, value, said",
    [("answer", 3, "Row 2: answer"), ("choices", [], "Row 2: choices"), ("question", None, "Row 2: question")],
)
def test_a_row_that_cannot_be_read_ends_the_run_before_anything_is_computed(
    tmp_path: Path, column: str, value: Any, said: str
) -> None:
    model = HashModel()
    rows = [*ROWS[:2], ROWS[2] | {column: value}]
    with pytest.raises(BadRequest, match=said):
        run_of(tmp_path, rows, model=model)
    assert not model.asked and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "changed",
    [
        {"rows": riddles(12, seed=1)},
        {"rows": ROWS[:11]},
        {"rows": [*ROWS[1:], ROWS[0]]},
        {"options": Options(limit=11)},
        {"options": Options(shots=1)},
        {"options": Options(shots=2)},
        {"options": Options(shots=1, seed=5)},
        {"model": replace(MODEL, fingerprint="e" * 64)},
        {"model": replace(MODEL, precision="int8")},
        {"model": replace(MODEL, dtype="bfloat16")},
        {"model": replace(MODEL, device="cuda:0")},
        {"model": replace(MODEL, revision="abc")},
        {"model": replace(MODEL, context_tokens=100)},
        {"task": replace(TASK, version=2)},
        {"task": replace(TASK, name="puzzles")},
        {"task": replace(TASK, method=replace(TASK.method, delimiter="\n"))},
        {"task": replace(TASK, method=replace(TASK.method, mutual_info=False))},
    ],
    ids=lambda changed: ", ".join(changed),
)
def test_whatever_a_number_depends_on_makes_another_run(changed: dict[str, Any]) -> None:
    assert protocol(**changed) != protocol()


def test_what_no_number_depends_on_makes_the_same_run() -> None:
    assert protocol(options=Options(batch_size=3, fresh=True)) == protocol()


def test_run_json_holds_no_time(tmp_path: Path) -> None:
    run = run_of(tmp_path, ROWS)
    assert "seconds" not in json.dumps(dict(run.record)) and run.cost.seconds > 0 and run.cost.examples == 12


def test_several_processes_merge_to_the_bytes_of_one(tmp_path: Path) -> None:
    alone = contents(run_of(tmp_path / "alone", ROWS))
    with ThreadPoolExecutor() as pool:
        both = [pool.submit(run_of, tmp_path / "both", ROWS, process=Process(rank, 2)) for rank in (1, 0)]
        run, same = (one.result(20) for one in both)
    assert contents(run) == contents(same)
    assert contents(run) == alone and sorted(path.name for path in run.folder.iterdir()) == [
        "cost.json",
        "predictions.jsonl",
        "run.json",
    ]


def test_any_number_of_processes_goes_on_with_a_run(tmp_path: Path) -> None:
    second = steps(tmp_path / "both", ROWS, process=Process(1, 2))
    list(zip(range(8), second, strict=False))
    second.close()
    model = HashModel()
    run = run_of(tmp_path / "both", ROWS, model=model)
    assert contents(run) == contents(run_of(tmp_path / "alone", ROWS)) and len(model.asked) == 6


def test_several_processes_start_nothing_anew(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="Delete its folder"):
        run_of(tmp_path, ROWS, Options(fresh=True), process=Process(0, 2))


@pytest.mark.parametrize(
    "values, named",
    [
        ({"limit": 0}, "limit"),
        ({"limit": -3}, "limit"),
        ({"shots": -1}, "shots"),
        ({"seed": -1}, "seed"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_options_out_of_range_are_refused_by_name(values: dict[str, int], named: str) -> None:
    with pytest.raises(BadRequest, match=named):
        Options(**values)


def test_no_model_is_asked_when_the_model_itself_is_gone(tmp_path: Path) -> None:
    def missing(requests: Any) -> None:
        raise CheckpointNotFound("the folder is gone")

    with pytest.raises(CheckpointNotFound):
        finished(evaluate(HashModel(missing), MODEL, TASK, data_of(ROWS), Options(), tmp_path))
