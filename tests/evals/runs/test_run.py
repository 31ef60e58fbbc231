"""A run's folder: what is read is what was written, and what is not a whole run of this protocol is told."""

import errno
import json
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evals.runs.toy_benchmark import HashModel, contents, finished, riddles, run_of, steps
from workbench.errors import BadRequest, Busy, NotSaved
from workbench.evals.prediction import Prediction
from workbench.evals.runs import files as run_files
from workbench.evals.runs import progress
from workbench.evals.runs.files import line_of, read_line, read_predictions
from workbench.evals.runs.run import Run
from workbench.evals.runs.runner import Options
from workbench.evals.runs.store import RunStore

ROWS = riddles(6)
numbers = st.floats(allow_nan=False) | st.integers(-(2**60), 2**60)
leaves = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=()), max_size=20)
values = st.recursive(leaves | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=5)
predictions = st.builds(
    Prediction,
    prompt=texts,
    gold=values,
    answer=values,
    scores=st.dictionaries(texts, st.floats(allow_nan=False)),
    detail=st.dictionaries(texts, values),
    unseen_tokens=st.integers(0, 10**6),
    error=st.none() | texts,
    id=texts,
    row=st.integers(0, 10**9),
    digest=texts,
    prefix=st.none() | texts,
)


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was stopped after three of six examples; its folder."""
    monkeypatch.setattr(progress, "TOLD_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(progress, "_LARGEST_SHARE", float("inf"))
    with closing(steps(tmp_path, ROWS, model=HashModel(seconds=0.02), options=Options(batch_size=1))) as evaluation:
        while next(evaluation).done < 3:
            pass
    (folder,) = tmp_path.iterdir()
    return folder


@settings(deadline=None)
@given(predictions)
def test_a_prediction_is_one_line_and_reads_back_the_same(prediction: Prediction) -> None:
    line = line_of(prediction)
    assert line.count(b"\n") == 1 and read_line(line) == prediction
    assert line_of(read_line(line)) == line


@settings(deadline=None)
@given(st.lists(predictions, max_size=3), st.data())
def test_a_file_cut_off_anywhere_keeps_its_whole_lines(several: list[Prediction], data: st.DataObject) -> None:
    content = b"".join(map(line_of, several))
    end = data.draw(st.integers(0, len(content)))
    found = read_predictions(content[:end])
    assert found.predictions == several[: content[:end].count(b"\n")] and not found.broken
    assert content[: found.whole_bytes].endswith(b"\n") or not found.whole_bytes


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_whatever_bytes_a_file_holds_it_can_be_read(content: bytes) -> None:
    found = read_predictions(content)
    assert len(found.predictions) + found.broken == content.count(b"\n")


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    run = run_of(tmp_path, ROWS)
    again = Run.open(run.folder)
    assert again == run and again.predictions == run.predictions and again.metrics["acc"].n == 6
    assert again.state == "done" and again.task == "riddles" and again.model == "toy float32"
    assert json.loads((run.folder / "run.json").read_text())["metrics"]["brier_score"]["higher_is_better"] is False


def test_a_stopped_run_shows_what_it_has(stopped: Path) -> None:
    run = Run.open(stopped)
    assert run.state == "stopped" and run.n == 3 and run.rows == 6 and not run.metrics
    assert [one.row for one in run.predictions] == sorted(one.row for one in run.predictions)


def test_a_run_that_is_written_to_says_so_and_takes_no_second_writer(tmp_path: Path) -> None:
    with closing(steps(tmp_path, ROWS)) as first:
        next(first)
        (run,) = RunStore(tmp_path).runs()
        assert run.state == "running"
        with pytest.raises(Busy, match="Another process is writing"):
            run_of(tmp_path, ROWS)
    assert run.state == "stopped"


def test_broken_lines_are_computed_again_with_a_note(stopped: Path) -> None:
    path = stopped / "predictions.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"prompt": 3}\n' + lines[2].replace(b'"digest": "', b'"digest": "0') + b'{"half')
    evaluation = steps(stopped.parent, ROWS)
    told = next(evaluation)
    assert told.done == 1 and "2 damaged lines" in told.note
    assert contents(finished(evaluation)) == contents(run_of(stopped.parent / "other", ROWS))


@pytest.mark.parametrize("damage", [lambda content: content[:-40], lambda content: content.replace(b"0", b"1", 1)])
def test_predictions_that_changed_after_the_run_are_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    run = run_of(tmp_path, ROWS)
    path = run.folder / "predictions.jsonl"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadRequest, match="changed or cut off"):
        _ = Run.open(run.folder).predictions
    with pytest.raises(BadRequest, match="--fresh"):
        run_of(tmp_path, ROWS)
    assert contents(run_of(tmp_path, ROWS, Options(fresh=True))) == contents(run_of(tmp_path / "other", ROWS))


def _cut(record: dict[str, Any]) -> str:
    return json.dumps(record)[:-30]


def _newer(record: dict[str, Any]) -> str:
    return json.dumps(record | {"format": 99})


def _without_model(record: dict[str, Any]) -> str:
    return json.dumps({name: value for name, value in record.items() if name != "model"})


def _other_kind(record: dict[str, Any]) -> str:
    return json.dumps(record | {"task": {"name": 3}})


@pytest.mark.parametrize(
    "change, said",
    [(_cut, "is damaged: it is no JSON"), (_newer, "Update the workbench"), (_without_model, "model is missing"),
     (_other_kind, "task.name is missing or is something else"), (lambda record: "[]", "is damaged"),
     (lambda record: "[" * 100_000, "is damaged")],
)  # fmt: skip
def test_a_record_that_cannot_be_read_is_refused_with_the_reason(
    tmp_path: Path, change: Callable[[dict[str, Any]], str], said: str
) -> None:
    run = run_of(tmp_path, ROWS)
    whole = contents(run)
    (run.folder / "run.json").write_text(change(dict(run.record)))
    with pytest.raises(BadRequest, match=said):
        Run.open(run.folder)
    with pytest.raises(BadRequest, match=said):
        run_of(tmp_path, ROWS)
    assert list(RunStore(tmp_path).damaged()) == [run.name] and not RunStore(tmp_path).runs()
    assert contents(run_of(tmp_path, ROWS, Options(fresh=True))) == whole


def test_another_run_in_the_folder_is_told_with_what_differs(tmp_path: Path) -> None:
    run = run_of(tmp_path, ROWS)
    record = dict(run.record) | {"limit": 5}
    (run.folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(BadRequest, match="holds another run: limit differ"):
        run_of(tmp_path, ROWS)


def test_foreign_files_without_a_run_are_left_alone(tmp_path: Path) -> None:
    name = run_of(tmp_path / "first", ROWS).name
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.txt").write_text("ten years of work")
    with pytest.raises(BadRequest, match=r"other files \(thesis.txt\)"):
        run_of(tmp_path, ROWS)
    assert [path.name for path in (tmp_path / name).iterdir()] == ["thesis.txt"]


def test_foreign_files_beside_a_run_stay_even_when_it_starts_anew(tmp_path: Path) -> None:
    run = run_of(tmp_path, ROWS)
    (run.folder / "notes.txt").write_text("look at row 3")
    run_of(tmp_path, ROWS, Options(fresh=True))
    assert (run.folder / "notes.txt").read_text() == "look at row 3"


@pytest.mark.parametrize("place", ["a file", "a file/inside", "x" * 300])
def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_computed(tmp_path: Path, place: str) -> None:
    (tmp_path / "a file").write_text("")
    model = HashModel()
    with pytest.raises(BadRequest, match="Choose another folder"):
        run_of(tmp_path / place, ROWS, model=model)
    assert not model.asked


def test_a_finished_run_in_a_folder_that_cannot_be_written_still_comes_back(tmp_path: Path) -> None:
    run = run_of(tmp_path, ROWS)
    with _read_only(run.folder):
        assert contents(run_of(tmp_path, ROWS)) == contents(run)


@pytest.mark.parametrize("room", [0, 1, 400, 2500])
def test_a_full_disk_keeps_whole_lines_and_says_how_to_go_on(
    tmp_path: Path, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", _cramped(room))
        with pytest.raises(NotSaved, match=r"No space left on device.*is kept in.*the same command again"):
            run_of(tmp_path, ROWS)
    (folder,) = tmp_path.iterdir()
    kept = (folder / "predictions.jsonl").read_bytes()
    assert len(kept) <= room and kept[-1:] in (b"", b"\n")
    assert contents(run_of(tmp_path, ROWS)) == contents(run_of(tmp_path / "other", ROWS))


def test_a_disk_that_fills_up_at_the_end_loses_no_prediction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    evaluation = steps(tmp_path, ROWS)
    next(evaluation)
    with monkeypatch.context() as patch:
        patch.setattr(run_files.os, "replace", full)
        with pytest.raises(NotSaved):
            finished(evaluation)
    model = HashModel()
    assert run_of(tmp_path, ROWS, model=model).is_done and not model.asked


def test_each_line_is_with_the_kernel_as_soon_as_it_is_told(tmp_path: Path) -> None:
    def recorded(requests: Any) -> None:
        (folder,) = tmp_path.iterdir()
        seen.append((folder / "predictions.jsonl").read_bytes().count(b"\n"))

    seen: list[int] = []
    run_of(tmp_path, ROWS, Options(batch_size=1), model=HashModel(recorded))
    assert seen == list(range(6))


def test_a_store_lists_runs_and_finds_them_by_name_path_or_beginning(tmp_path: Path) -> None:
    one, other = run_of(tmp_path, ROWS), run_of(tmp_path, ROWS, Options(shots=1))
    (tmp_path / "unrelated").mkdir()
    store = RunStore(tmp_path)
    assert {run.name for run in store.runs()} == {one.name, other.name} and not store.runs("piqa")
    for name in (one.name, str(one.folder), one.name[:-3]):
        assert store.find(name) == one
    with pytest.raises(BadRequest, match=r"In .* there are: riddles"):
        store.find("riddles")
    with pytest.raises(BadRequest, match="There is no run 'nonsense'"):
        store.find("nonsense")


def test_the_cost_counts_every_sitting(stopped: Path) -> None:
    run = run_of(stopped.parent, ROWS)
    assert [sitting.examples for sitting in run.cost.sittings] == [3, 3] and run.cost.examples == 6
    assert run.cost.tokens == 6 * 6 and run.cost.model_bytes == 4000 and run.cost.seconds > 0.05
    (run.folder / "cost.json").write_text("{")
    assert replace(run.cost) == type(run.cost)()


def _cramped(room: int) -> Callable[[int, bytes], int]:
    """os.write on a disk with so much room."""
    original, left = os.write, room

    def write(descriptor: int, content: bytes) -> int:
        nonlocal left
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = original(descriptor, content[:left])
        left -= written
        return written

    return write


class _read_only:
    """A folder without permission to write, while the context lasts."""

    def __init__(self, folder: Path):
        self._folder = folder

    def __enter__(self) -> None:
        self._folder.chmod(0o500)

    def __exit__(self, *reason: object) -> None:
        self._folder.chmod(0o700)
