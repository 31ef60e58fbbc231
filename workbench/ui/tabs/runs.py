"""The Runs tab: the leaderboard of all runs, any of them side by side, and every example as it was asked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.errors import BadRequest
from workbench.evals.runs.run import Run
from workbench.loading.precision import precisions
from workbench.ui.bench import Bench, Page, Tab
from workbench.ui.components import QUIET, box, html
from workbench.ui.parts import notice, told
from workbench.ui.runs.compare_view import compared, compared_markup
from workbench.ui.runs.run_actions import delete_runs, found_runs, same_on_another, what_finishes
from workbench.ui.runs.run_details import protocol_markup, run_downloads
from workbench.ui.runs.run_endpoints import run_endpoints
from workbench.ui.runs.run_examples import Examples, connect_examples, examples_view
from workbench.ui.runs.runs_view import BOARD_JS, board_markup, opened_markup

Updates = dict[Any, Any]

ALL_TASKS = ""
FIRST_FIGURE = ""
_FIRST = ("A task's first figure", FIRST_FIGURE)
_OWN_PRECISION = ""
_MOST_OPENED = 6
_AT_ADDRESS = """
(run) => {
  const url = new URL(location.href);
  url.searchParams.delete("batch");
  if (run) url.searchParams.set("run", run); else url.searchParams.delete("run");
  history.replaceState(null, "", url);
}
"""
"""Puts a run into the page's address."""
_DELETING = "Deleting takes the run's folder, with all its predictions, from the disk."


@dataclass(frozen=True)
class View:
    """The components of the tab."""

    task: gr.Dropdown
    figure: gr.Dropdown
    """What orders the board and is plotted."""
    board: gr.HTML
    picked: gr.State
    """The folders' names of the runs that are ticked, in the order they were."""
    show: gr.Button
    delete: gr.Button
    sure: gr.Row
    yes: gr.Button
    no: gr.Button
    message: gr.HTML
    opened: gr.State
    """The runs that are shown below, as `Run`s."""
    address: gr.Textbox
    """Their folders' names, with commas; not shown."""
    details: gr.Column
    compared: gr.HTML
    examples: Examples
    model: gr.Dropdown
    precision: gr.Dropdown
    again: gr.Button
    make_files: gr.Button
    files: gr.File
    protocol: gr.HTML

    def chosen(self) -> list[Any]:
        """What follows the ticks."""
        return [self.picked, self.show, self.delete, self.sure]

    def results(self) -> list[Any]:
        """Everything that opening runs changes."""
        shown = [
            self.task,
            self.figure,
            self.board,
            *self.chosen(),
            self.message,
            self.opened,
            self.address,
            self.details,
            self.compared,
        ]
        return [*shown, *self.examples.outputs(), self.model, self.files, self.protocol]


def build(page: Page, container: gr.Tab) -> None:
    """Fills the tab."""
    run_endpoints(page.bench)
    with gr.Row():
        task = gr.Dropdown(
            [("All tasks", ALL_TASKS)], value=ALL_TASKS, label="Task", min_width=240, elem_id="runs-task"
        )
        figure = gr.Dropdown([_FIRST], value=FIRST_FIGURE, label="Ordered and plotted by", min_width=240,
                             elem_id="runs-figure")  # fmt: skip
    with gr.Row(elem_classes="actions runs-keys"):
        show = gr.Button("Tick runs to compare", variant="primary", interactive=False, elem_id="runs-show", scale=3)
        delete = gr.Button("Delete", interactive=False, visible=page.bench.settings.serves_locally,
                           elem_id="runs-delete", scale=1)  # fmt: skip
    with gr.Row(visible=False, elem_classes="sure") as sure:
        yes = gr.Button("Yes, delete for good", variant="stop", elem_id="runs-delete-yes")
        no = gr.Button("Keep", elem_id="runs-delete-no")
    message = box("runs-message")
    board = gr.HTML("", js_on_load=BOARD_JS, apply_default_css=False, elem_id="runs-board")
    with gr.Column(visible=False) as details:
        side = html(elem_id="runs-compared")
        again = _again_row(page.bench)
        examples = examples_view()
        with gr.Accordion("Downloads", open=False):
            make_files = gr.Button("Make the files", elem_id="runs-make-files")
            files = gr.File(label="Files", file_count="multiple", interactive=False, elem_id="runs-files")
        with gr.Accordion("Protocol: everything the numbers depend on", open=False, elem_id="runs-protocol"):
            protocol = html()
    view = View(
        task, figure, board, gr.State([]), show, delete, sure, yes, no, message, gr.State([], time_to_live=3600),
        gr.Textbox("", visible=False), details, side, examples, *again, make_files, files, protocol,
    )  # fmt: skip
    _connect_board(page, container, view)
    _connect_details(page, view)


def _again_row(bench: Bench) -> tuple[gr.Dropdown, gr.Dropdown, gr.Button]:
    with gr.Row(elem_classes="columns again"):
        names = list(bench.specs())
        model = gr.Dropdown(names, value=names[0], label="The same on another model", min_width=180, scale=3,
                            elem_id="runs-again-model")  # fmt: skip
        choices = [("As named", _OWN_PRECISION), *((name, name) for name in precisions())]
        precision = gr.Dropdown(choices, value=_OWN_PRECISION, label="In the precision", min_width=120, scale=2,
                                elem_id="runs-again-precision")  # fmt: skip
        again = gr.Button("Run the same", elem_id="runs-again", min_width=120, scale=2)
    return model, precision, again


def _connect_board(page: Page, container: gr.Tab, view: View) -> None:
    """The leaderboard: what is ticked, opened, deleted."""
    bench = page.bench

    def fresh(task: str, figure: str, picked: list[str]) -> Updates:
        there = {run.name for run in bench.runs.runs()}
        kept = [name for name in picked if name in there]
        # What is still there stays as it is: a tick that comes while this is under way must not be taken back.
        return _board(bench, view, task, figure, kept) | (_chosen(view, kept) if kept != picked else {})

    listed = [view.task, view.figure, view.picked]
    for shown_anew in (container.select, view.task.input, view.figure.input):
        shown_anew(fresh, listed, [view.task, view.figure, view.board, *view.chosen()], **QUIET)

    def pressed(figure: str, picked: list[str], event: gr.EventData) -> Iterator[Updates]:
        yield from told(_pressed(page, view, figure, picked, str(event.name)), view.message)

    # One after another, and none dropped: whoever ticks fast ticks the second run before the first is answered.
    one_by_one: dict[str, Any] = {"trigger_mode": "multiple", "concurrency_limit": 1}
    view.board.press(pressed, listed[1:], view.results(), **QUIET, **one_by_one)

    def show(figure: str, picked: list[str]) -> Iterator[Updates]:
        yield from told(_opened(bench, view, figure, picked), view.message, "The runs can't be shown side by side")

    view.show.click(show, listed[1:], view.results(), **QUIET | {"show_progress": "minimal"})
    view.delete.click(lambda: {view.sure: gr.Row(visible=True)}, None, [view.sure], **QUIET)
    view.no.click(lambda: {view.sure: gr.Row(visible=False)}, None, [view.sure], **QUIET)

    def delete(task: str, figure: str, picked: list[str]) -> Iterator[Updates]:
        yield from told(_deleted(bench, view, task, figure, picked), view.message, "Not deleted")

    view.yes.click(delete, listed, view.results(), **QUIET)


def _connect_details(page: Page, view: View) -> None:
    """The opened runs: their examples, the same again on another model, files; and their address."""
    bench = page.bench
    connect_examples(page, view.examples, view.opened)
    view.address.change(None, view.address, None, js=_AT_ADDRESS, **QUIET)

    def again(runs: Sequence[Run], model: str, precision: str) -> Iterator[Updates]:
        yield from told(_again(bench, view, runs, model, precision), view.message, "Nothing was run")

    view.again.click(again, [view.opened, view.model, view.precision], [view.message], **QUIET)

    def files(runs: Sequence[Run]) -> Iterator[Updates]:
        yield from told(iter([{view.files: run_downloads(runs, view.files.GRADIO_CACHE)}]), view.message)

    view.make_files.click(files, view.opened, [view.files, view.message], **QUIET | {"show_progress": "minimal"})

    def asked_for(name: str, figure: str = FIRST_FIGURE) -> Iterator[Updates]:
        if not name:  # it was opened, and its name taken away again
            yield {view.message: gr.skip()}
            return
        # All at once: the tab, once it is shown, asks for its board by the task that stands there then.
        for step in told(_opened(bench, view, figure, name.split(",")), view.message):
            yield {page.tabs: gr.Tabs(selected=TAB.name), page.opened: ""} | step

    outputs = [page.tabs, page.opened, *view.results()]
    page.opened.change(asked_for, [page.opened, view.figure], outputs, **QUIET)

    def arrived(request: gr.Request) -> str:
        return str(request.query_params.get("run", ""))

    # Not the tabs themselves: Gradio draws them anew even where nothing changes, and what stood in them is gone.
    page.blocks.load(arrived, None, page.opened, **QUIET)


def _board(bench: Bench, view: View, task: str, figure: str, picked: list[str]) -> Updates:
    """The leaderboard as it stands, with what can't be read told below it."""
    runs = bench.runs.runs()
    tasks = sorted({run.task for run in runs})
    task = task if task in tasks else ALL_TASKS
    figures = list(dict.fromkeys(name for run in runs if task in (ALL_TASKS, run.task) for name in run.metrics))
    figure = figure if figure in figures else FIRST_FIGURE
    broken = bench.runs.damaged()
    lost = "".join(notice("bad", f"{name} can't be read", why) for name, why in broken.items())
    return {
        view.task: gr.Dropdown([("All tasks", ALL_TASKS), *((name, name) for name in tasks)], value=task),
        view.figure: gr.Dropdown([_FIRST, *((name, name) for name in figures)], value=figure),
        view.board: board_markup(runs, picked, task, figure) + lost,
    }


def _chosen(view: View, picked: list[str]) -> Updates:
    """The keys below the board, for what is ticked."""
    words = f"Compare {len(picked)} runs" if len(picked) > 1 else "Open the run" if picked else "Tick runs to compare"
    return {
        view.picked: picked,
        view.show: gr.Button(words, interactive=bool(picked)),
        view.delete: gr.Button(f"Delete {len(picked)}" if picked else "Delete", interactive=bool(picked)),
        view.sure: gr.Row(visible=False),
    }


def _pressed(page: Page, view: View, figure: str, picked: list[str], pressed: str) -> Iterator[Updates]:
    """A tick or a button of the board."""
    what, _, name = pressed.partition(":")
    if what in ("pick", "drop"):
        kept = [one for one in picked if one != name]
        yield _chosen(view, [*kept, name] if what == "pick" else kept)
    elif what == "open":
        yield from _opened(page.bench, view, figure, [name])
    elif what == "resume":
        page.bench.desk.put([what_finishes(page.bench, name)])
        yield {view.message: notice("good", "It goes on", "Follow it on the Benchmark tab.")}


def _opened(bench: Bench, view: View, figure: str, names: list[str]) -> Iterator[Updates]:
    """The runs below the board: one alone, or several side by side."""
    if not names:
        raise BadRequest("No run is ticked. Tick one, or two or more of the same task.")
    if len(names) > _MOST_OPENED:
        raise BadRequest(f"{len(names)} runs are ticked; at most {_MOST_OPENED} are shown side by side.")
    runs = found_runs(bench, names)
    side = compared_markup(compared(runs)) if len(runs) > 1 else opened_markup(runs[0])
    specs = list(bench.specs())
    own = runs[0].record["model"]["checkpoint"]
    model = next((name for name in specs if name.startswith(own)), specs[0])
    yield {
        **_board(bench, view, runs[0].task, figure, names),
        **_chosen(view, names),
        view.message: "",
        view.opened: runs,
        view.address: ",".join(names),
        view.details: gr.Column(visible=True),
        view.compared: side,
        **view.examples.opened(runs),
        view.model: gr.Dropdown(specs, value=model),
        view.files: None,
        view.protocol: protocol_markup(runs),
    }


def _deleted(bench: Bench, view: View, task: str, figure: str, picked: list[str]) -> Iterator[Updates]:
    """The page without the ticked runs."""
    delete_runs(bench, picked)
    yield {
        **_board(bench, view, task, figure, []),
        **_chosen(view, []),
        view.message: notice("good", f"{len(picked)} run{'' if len(picked) == 1 else 's'} deleted"),
        view.opened: [],
        view.address: "",
        view.details: gr.Column(visible=False),
        **view.examples.opened([]),
    }


def _again(bench: Bench, view: View, runs: Sequence[Run], model: str, precision: str) -> Iterator[Updates]:
    """Puts the same tasks, rows and settings on the desk, for another model or precision."""
    asked = same_on_another(bench, runs, model, precision)
    bench.desk.put(asked)
    words = "Follow it on the Benchmark tab; when it is done it stands on the board above, ready to compare."
    yield {view.message: notice("good", f"{asked[0].task.name} is on the desk again", words)}


TAB = Tab("Runs", build)
