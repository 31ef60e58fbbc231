"""The Benchmark form: which evaluations it asks for, and what it refuses."""

from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.ui.fake_runs import asked, bench
from workbench.errors import BadRequest
from workbench.evals.runs.runner import Options
from workbench.evaluating import SAMPLES, all_tasks
from workbench.manager import ModelSpec
from workbench.profiles import PUBLIC
from workbench.ui.benchmark.benchmark_form import (
    FILE,
    Form,
    check_evaluations,
    files_of,
    form_view,
    head_choices,
    task_lists,
)
from workbench.ui.sides.sides_bar import sides_bar


@pytest.fixture
def form(tmp_path: Path) -> Form:
    """The tab's form."""
    with gr.Blocks():
        return form_view(task_lists(), sides_bar(bench(tmp_path)))


def values_of(form: Form, *tasks: str, sides: tuple[str, ...] = ("",), **changes: Any) -> dict[Any, Any]:
    """The values of a page just opened, these tasks ticked; the demo on a side for each precision of `sides`."""
    known = all_tasks()
    ticked = {
        group: [name for name in tasks if known[name].method.name == method] for method, group in form.tasks.items()
    }
    shown = {part: part.value for part in form.inputs()} | ticked | {form.sides.count: len(sides)}
    shown |= {side.precision: precision for side, precision in zip(form.sides.all, sides, strict=False)}
    return shown | {getattr(form, name): value for name, value in changes.items()}


def test_every_task_can_be_ticked_once(form: Form) -> None:
    names = [name for group in form.tasks.values() for _, name in group.choices]
    assert sorted(names) == sorted(all_tasks())


def test_each_task_is_asked_of_each_side_side_by_side(form: Form, tmp_path: Path) -> None:
    values = values_of(form, "piqa", "copa", sides=("int8", "float32"), data=SAMPLES, shots=2, limit=7, seed=3)
    found = form.evaluations(values, bench(tmp_path))
    assert [(one.task.name, one.spec.precision) for one in found] == [
        ("copa", "int8"), ("piqa", "int8"), ("copa", "float32"), ("piqa", "float32"),
    ]  # fmt: skip
    assert {one.options for one in found} == {Options(limit=7, shots=2, seed=3)} and found[0].data == SAMPLES


def test_a_side_is_asked_as_it_stands_and_in_each_ticked_precision_too(form: Form, tmp_path: Path) -> None:
    values = values_of(form, "piqa", sides=("", "int8"), data=SAMPLES, precisions=["nf4", "int8"])
    found = [one.spec.precision for one in form.evaluations(values, bench(tmp_path))]
    assert found == [None, "nf4", "int8"]


def test_a_side_that_is_not_in_use_is_not_asked(form: Form, tmp_path: Path) -> None:
    values = values_of(form, "piqa", data=SAMPLES) | {form.sides.all[1].precision: "int8"}
    assert [one.spec.precision for one in form.evaluations(values, bench(tmp_path))] == [None]


def test_two_sides_that_differ_in_their_head_alone_are_two_runs(form: Form, tmp_path: Path) -> None:
    values = values_of(form, "sst2", "piqa", sides=("", ""), data=SAMPLES) | {form.heads[1]: "classify:sentiment"}
    found = [(one.task.name, one.head) for one in form.evaluations(values, bench(tmp_path))]
    assert found == [("piqa", None), ("sst2", None), ("sst2", "sentiment")]


def test_a_limit_of_none_asks_for_all(form: Form, tmp_path: Path) -> None:
    values = values_of(form, "piqa", data=SAMPLES, limit=0)
    assert form.evaluations(values, bench(tmp_path))[0].options.limit is None


def test_a_head_answers_only_the_tasks_of_its_kind(form: Form, tmp_path: Path) -> None:
    values = values_of(form, "piqa", "sst2", "squad", data=SAMPLES) | {form.heads[0]: "classify:sentiment"}
    found = {one.task.name: one.head for one in form.evaluations(values, bench(tmp_path))}
    assert found == {"piqa": None, "sst2": "sentiment", "squad": None}


@pytest.mark.parametrize("tasks, changes, message", [
    ((), {}, "No task is ticked"),
    (("piqa",), {"shots": -1}, "Worked examples must be a whole number"),
    (("piqa",), {"limit": 2.5}, "Examples must be a whole number"),
    (("piqa",), {"seed": None}, "Seed must be a whole number .* empty"),
    (("piqa",), {"limit": float("nan")}, "Examples must be a whole number"),
    (("own_cloze",), {}, "no data set of its own"),
])  # fmt: skip
def test_what_can_not_be_run_is_told(form: Form, tmp_path: Path, tasks: tuple, changes: dict, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        form.evaluations(values_of(form, *tasks, **changes), bench(tmp_path))


def test_a_model_that_is_gone_is_told(form: Form, tmp_path: Path) -> None:
    values = values_of(form, "piqa", data=SAMPLES) | {form.sides.all[0].model: "gone"}
    with pytest.raises(BadRequest, match="not on the list"):
        form.evaluations(values, bench(tmp_path))


def test_an_own_file_serves_a_task_without_a_data_set(form: Form, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    (found,) = form.evaluations(values_of(form, "own_cloze", data=FILE), bench(tmp_path), {"own_cloze": file})
    assert found.data == file


def test_a_task_whose_rows_come_along_needs_no_file_and_no_limit(form: Form, tmp_path: Path) -> None:
    (found,) = form.evaluations(values_of(form, "our_cloze", limit=0), bench(tmp_path))
    assert found.data is None
    check_evaluations([found], PUBLIC)


def test_one_file_serves_every_task_and_of_several_each_is_named_as_its_task() -> None:
    tasks = [all_tasks()["piqa"], all_tasks()["copa"]]
    assert files_of(["/x/mine.csv"], tasks) == {"piqa": "/x/mine.csv", "copa": "/x/mine.csv"}
    assert files_of(["/x/copa.csv", "/y/piqa.jsonl"], tasks) == {"piqa": "/y/piqa.jsonl", "copa": "/x/copa.csv"}
    with pytest.raises(BadRequest, match=r"None of the 2 files is for copa.*copa\.jsonl"):
        files_of(["/x/piqa.csv", "/x/other.csv"], tasks)
    with pytest.raises(BadRequest, match="no file"):
        files_of([], tasks)


def test_a_public_page_bounds_examples_and_runs() -> None:
    with pytest.raises(BadRequest, match="from 1 to 100"):
        check_evaluations([asked_of_the_hub(None)], PUBLIC)
    with pytest.raises(BadRequest, match="from 1 to 100"):
        check_evaluations([asked_of_the_hub(101)], PUBLIC)
    check_evaluations([asked_of_the_hub(100), asked()], PUBLIC)
    with pytest.raises(BadRequest, match="at most 12"):
        check_evaluations([asked()] * 13, PUBLIC)


def asked_of_the_hub(limit: int | None) -> Any:
    evaluation = asked(limit=limit)
    return type(evaluation)(evaluation.task, evaluation.spec, evaluation.options, None)


def test_the_language_model_is_always_among_the_heads(tmp_path: Path) -> None:
    assert head_choices(bench(tmp_path), ModelSpec("demo")) == [("The language model itself", "")]
