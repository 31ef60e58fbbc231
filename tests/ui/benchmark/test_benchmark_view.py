"""The desk and a task as pictures: every state has its words and its buttons, and no text from outside is markup."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.ui.fake_runs import asked, finished
from workbench.evals.metrics.metric import Estimate
from workbench.evals.runs.progress import Progress
from workbench.evaluating import all_tasks
from workbench.ui.benchmark.bench_desk import Line
from workbench.ui.benchmark.benchmark_view import EMPTY_DESK, desk_markup, table_markup, task_markup

PAYLOAD = "<img src=x onerror=alert(1)>"
HALF = Progress(50, 100, 10.0, 10.0, {"acc": Estimate(0.5, 0.05, 50)})


def line(state: str = "running", progress: Progress | None = HALF, number: int = 1, **changes: object) -> Line:
    """A line of the desk."""
    return Line(number, "cafe0001", asked(), state, progress, **changes)  # type: ignore[arg-type]


def test_an_empty_desk_says_what_to_do() -> None:
    assert desk_markup([]) == EMPTY_DESK and "Tick tasks" in EMPTY_DESK


def test_a_running_line_tells_how_far_it_is_and_what_it_comes_to_so_far() -> None:
    shown = desk_markup([line()])
    assert "50 of 100, about 10 s left" in shown and "50.0 ± 5.0 %" in shown and 'data-do="stop"' in shown


@pytest.mark.parametrize("state, words", [
    ("waiting", "waits"), ("stopping", "stopping after the examples"), ("stopped", "Resume"), ("failed", "Try again"),
])  # fmt: skip
def test_every_state_has_its_words(state: str, words: str) -> None:
    assert words in desk_markup([line(state)])


def test_a_line_that_is_done_can_be_opened(tmp_path: Path) -> None:
    run = finished(tmp_path, asked())
    assert f'data-do="open" data-name="{run.name}"' in desk_markup([line("done", run=run)])


def test_a_run_that_was_done_before_says_so() -> None:
    before = replace(HALF, note="This run was done before")
    assert "This run was done before" in desk_markup([line("done", before)])


def test_what_runs_stands_first_and_what_ended_last() -> None:
    shown = desk_markup([line("done", number=1), line("waiting", number=2), line("running", number=3)])
    assert shown.index('class="running"') < shown.index('class="waiting"') < shown.index('class="done"')


def test_a_visitors_own_batch_comes_with_its_address() -> None:
    assert "?batch=cafe0001" in desk_markup([line()], "cafe0001") and "?batch" not in desk_markup([line()])


def test_on_a_shared_page_the_keys_are_for_ones_own_batch_alone() -> None:
    ended = line("failed", number=2)
    own, others = (desk_markup([line(), ended], batch, shared=True) for batch in ("cafe0001", ""))
    assert 'data-do="stop"' in own and 'data-do="again"' in own and 'data-do="stop-all"' in own
    assert "data-do" not in others and 'data-do="clear"' not in own
    assert 'data-do="clear"' in desk_markup([ended])


def test_texts_from_outside_are_escaped() -> None:
    bad = replace(asked(), head=PAYLOAD, spec=replace(asked().spec, checkpoint=PAYLOAD))
    shown = desk_markup([replace(line("failed", error=PAYLOAD), evaluation=bad)], PAYLOAD)
    assert PAYLOAD not in shown and PAYLOAD not in table_markup([replace(line(), evaluation=bad)])


def test_the_table_has_a_column_for_each_model_and_a_row_for_each_figure() -> None:
    other = replace(line(number=2), evaluation=asked(precision="int8"))
    shown = table_markup([line(), other])
    assert shown.count('<th scope="col">') == 4 and "demo · int8" in shown
    assert shown.count("<tr>") == 1 + len(all_tasks()["piqa"].method.metrics)


def test_figures_of_runs_under_way_come_with_a_warning(tmp_path: Path) -> None:
    assert "longest examples come first" in table_markup([line()])
    assert "longest examples" not in table_markup([line("done", run=finished(tmp_path, asked()))])


def test_a_table_without_figures_is_empty() -> None:
    assert table_markup([line("waiting", None)]) == ""


@pytest.mark.parametrize("name", sorted(all_tasks()))
def test_every_task_shows_what_it_asks_its_columns_and_a_row(name: str) -> None:
    shown = task_markup(all_tasks()[name])
    assert name in shown and all(column in shown for column in all_tasks()[name].columns)


def test_a_tasks_rows_are_the_hubs_the_projects_or_ones_own() -> None:
    shown = {name: task_markup(all_tasks()[name]) for name in ("piqa", "our_cloze", "own_cloze")}
    assert "baber/piqa" in shown["piqa"] and "60 that come with the project" in shown["our_cloze"]
    assert "a file of your own" in shown["own_cloze"]


def test_a_batch_that_ended_on_several_models_opens_side_by_side(tmp_path: Path) -> None:
    runs = [finished(tmp_path, asked(precision=precision)) for precision in ("float32", "int8")]
    lines = [line("done", run=run, number=number) for number, run in enumerate(runs)]
    shown = desk_markup(lines)
    assert f'data-do="open" data-name="{runs[0].name},{runs[1].name}">Compare 2 runs of piqa</button>' in shown


def test_a_batch_of_which_a_run_is_still_under_way_is_not_compared(tmp_path: Path) -> None:
    runs = [finished(tmp_path, asked(precision=precision)) for precision in ("float32", "int8")]
    lines = [line("done", run=run, number=number) for number, run in enumerate(runs)]
    assert "Compare" not in desk_markup([*lines, line("running", number=3)])


def test_one_run_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    assert "Compare" not in desk_markup([line("done", run=finished(tmp_path, asked()))] * 2)
