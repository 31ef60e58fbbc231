"""The Benchmark tab: tasks on the sides over rows, run on the desk, whether this page stays open or not."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import gradio as gr

from workbench.errors import BadRequest
from workbench.evaluating import all_tasks
from workbench.manager import ModelSpec
from workbench.ui.bench import Bench, Page, Tab
from workbench.ui.benchmark.benchmark_form import FILE, HEAD_NAMES, Form, files_of, form_view, head_choices, task_lists
from workbench.ui.benchmark.benchmark_view import DESK_JS, EMPTY_DESK, desk_markup, table_markup, task_markup
from workbench.ui.benchmark.evaluate_endpoint import evaluate_endpoint
from workbench.ui.benchmark.try_task import tried_markup
from workbench.ui.components import QUIET, box, html
from workbench.ui.host.kept_upload import kept_upload
from workbench.ui.links.address import Kept
from workbench.ui.links.code_panels import benchmark_code
from workbench.ui.links.snippet_view import code_panel
from workbench.ui.parts import notice, told
from workbench.ui.ready import made_ready
from workbench.ui.sides.asking_sides import chosen_spec, side_head

Updates = dict[Any, Any]

BUSY_SECONDS, IDLE_SECONDS = 1.0, 5.0
"""Between two looks at the desk."""
_KEYS = (
    "<p class='keys'>The runs belong to the server, not to this page: close it, and come back by its address. "
    "The same run asked for again goes on where it stopped.</p>"
)
_GONE = notice(
    "plain",
    "The runs of this address are not on the desk any more",
    "They were cleared, or the server was started anew. What was done of them stands on the Runs tab, where Resume "
    "goes on with those that had not ended; any that had not begun must be asked for again.",
)
_AT_ADDRESS = """
(batch) => {
  const url = new URL(location.href);
  url.searchParams.delete("run");
  if (batch) url.searchParams.set("batch", batch); else url.searchParams.delete("batch");
  history.replaceState(null, "", url);
}
"""
"""Puts a batch into the page's address."""
_IN_SIGHT = """
() => {
  const desk = document.getElementById("bench-desk"), top = desk.getBoundingClientRect().top;
  if (top < 0 || top > innerHeight / 2) desk.scrollIntoView({ block: "start" });
}
"""
"""Shows how a run gets on, which may stand far above its button or, on a narrow screen, below it."""


@dataclass(frozen=True)
class View:
    """The components of the tab beside its form."""

    task: gr.HTML
    """What the task at hand asks."""
    shown_task: gr.State
    """Its name."""
    try_it: gr.Button
    tried: gr.HTML
    sample: gr.State
    """Which of its samples comes next."""
    run: gr.Button
    message: gr.HTML
    desk: gr.HTML
    table: gr.HTML
    batch: gr.Textbox
    """The visitor's own batch; not shown."""
    seen: gr.State
    """The desk's version that the page shows."""
    clock: gr.Timer


def build(page: Page, container: gr.Tab) -> None:
    """Fills the tab."""
    with gr.Row(elem_classes="workspace"):
        with gr.Column(scale=5, min_width=320):
            groups = task_lists()
            task = html(task_markup(None), elem_id="bench-task")
            try_it = gr.Button("Try it on a sample", interactive=False, elem_id="bench-try")
            tried = box("bench-tried")
            form = form_view(groups, page.sides, shared=not page.bench.settings.serves_locally)
            run = gr.Button("Run", variant="primary", elem_id="bench-run", elem_classes="key-run")
            message = box("bench-message")
            html(_KEYS)
        with gr.Column(scale=6, min_width=320):
            desk = gr.HTML(EMPTY_DESK, js_on_load=DESK_JS, apply_default_css=False, elem_id="bench-desk")
            table = box("bench-table")
            code = code_panel("bench-code")
    batch = gr.Textbox("", visible=False, elem_id="bench-batch")
    clock = gr.Timer(IDLE_SECONDS)
    view = View(
        task, gr.State(""), try_it, tried, gr.State(0), run, message, desk, table, batch, gr.State(-1), clock
    )  # fmt: skip
    _connect_form(page, container, form, view)
    _connect_desk(page, container, form, view)
    benchmark_code(page, code, form)
    evaluate_endpoint(page.bench)


def _connect_form(page: Page, container: gr.Tab, form: Form, view: View) -> None:
    """What the form shows: the lists as they are now, the task at hand, and one of its samples asked about."""

    _connect_heads(page, container, form)
    known = dict.fromkeys(HEAD_NAMES, _known_heads)
    page.address.keeps(Kept(TAB.name, form.named(), (view.run,), known=known))
    # Not `input`: a link that opens the page sets the rows too.
    form.data.change(lambda data: gr.File(visible=data == FILE), form.data, form.file, **QUIET)
    about_task = [view.task, view.shown_task, view.sample, view.try_it, view.tried]
    groups = list(form.tasks.values())
    page.address.afterwards(lambda *ticked: _task_shown(view, [*chain(*ticked)]), groups, about_task)
    for group in groups:
        group.input(
            lambda names: _task_shown(view, names), group, about_task,
            trigger_mode="always_last", **QUIET,
        )  # fmt: skip

    def ask(values: Updates) -> Iterator[Updates]:
        yield from told(_tried(page, form, view, values), view.tried)

    inputs = form.inputs() | {view.shown_task, view.sample}
    view.try_it.click(ask, inputs, [view.tried, view.sample, page.status], concurrency_limit=None, **QUIET)


def _connect_heads(page: Page, container: gr.Tab, form: Form) -> None:
    """The lists of heads, which are those of each side's model."""

    def lists(values: Updates) -> Updates:
        return _lists(page.bench, form, values)

    picked = page.sides.inputs() | set(form.heads)
    shown_anew = [container.select, *(part.change for side in page.sides.all for part in (side.model, side.precision))]
    gr.on(shown_anew, lists, picked, list(form.heads), **QUIET)
    page.address.waits_for(page.blocks.load(lists, picked, list(form.heads), **QUIET))


def _connect_desk(page: Page, container: gr.Tab, form: Form, view: View) -> None:
    """The desk: what is put on it, what is pressed on it, and how it stands."""
    bench, shown = page.bench, [view.desk, view.table, view.seen, view.clock]
    desk = bench.desk  # made here, before visitors come

    def put(values: Updates) -> Iterator[Updates]:
        yield {view.run: gr.Button(interactive=False)}
        yield from told(_put(bench, form, view, values), view.message, "Nothing was run")
        yield {view.run: gr.Button(interactive=True)}

    view.run.click(put, form.inputs(), [view.run, view.message, view.batch, *shown], **QUIET)
    view.batch.change(None, view.batch, None, js=_AT_ADDRESS, **QUIET)
    view.batch.change(None, None, None, js=_IN_SIGHT, **QUIET)

    def look(batch: str, seen: int) -> Updates:
        return {view.seen: seen} if desk.version == seen else stands(bench, view, batch)

    view.clock.tick(look, [view.batch, view.seen], shown, concurrency_limit=None, queue=True, **QUIET)
    container.select(lambda batch: stands(bench, view, batch), view.batch, shown, **QUIET)

    def pressed(batch: str, event: gr.EventData) -> Iterator[Updates]:
        yield from told(_pressed(page, view, batch, str(event.name)), view.message)

    view.desk.press(pressed, view.batch, [*shown, view.message, page.opened], **QUIET)

    def asked_for(batch: str) -> Updates:
        gone = "" if any(line.batch == batch for line in desk.lines()) else _GONE
        return {page.tabs: gr.Tabs(selected=TAB.name), view.batch: batch, view.message: gone} | stands(
            bench, view, batch
        )

    def arrived(request: gr.Request) -> str:
        return str(request.query_params.get("batch", ""))

    # By a text of its own: Gradio draws the tabs anew even where nothing changes, and what stood in them is gone.
    asked = gr.Textbox("", visible=False)
    asked.change(asked_for, asked, [page.tabs, view.batch, view.message, *shown], **QUIET)
    page.blocks.load(arrived, None, asked, **QUIET)


def _lists(bench: Bench, form: Form, values: Updates) -> Updates:
    """The lists of heads as they are now, keeping what was picked while it is still there."""
    updates: Updates = {}
    for side, head in zip(form.sides.all, form.heads, strict=True):
        heads = head_choices(bench, chosen_spec(bench, side, values))
        known = values[head] if values[head] in [value for _, value in heads] else ""
        updates[head] = gr.Dropdown(heads, value=known)
    return updates


def _task_shown(view: View, names: list[str]) -> Updates:
    """The task that was ticked last."""
    task = all_tasks().get(names[-1]) if names else None
    return {
        view.task: task_markup(task),
        view.shown_task: task.name if task else "",
        view.sample: 0,
        view.try_it: gr.Button(interactive=task is not None),
        view.tried: "",
    }


def _known_heads(bench: Bench, spec: ModelSpec) -> list[str]:
    """The values that a list of heads may have in a link."""
    return [value for _, value in head_choices(bench, spec)]


def _tried(page: Page, form: Form, view: View, values: Updates) -> Iterator[Updates]:
    """Asks each side about the task's next sample."""
    task = all_tasks()[values[view.shown_task]]
    place, shots = int(values[view.sample]), form.options(values).shots
    sides, shown = page.sides.chosen(page.bench, values), ""
    for side in sides:
        yield from made_ready(page, view.tried, side.spec)
        head = form.head_for(values, task, side.index)
        name = side_head(side.letter, side.name) if len(sides) > 1 else ""
        shown += name + tried_markup(page.bench.manager, task, side.spec, place, shots, head)
        yield {view.tried: shown}
    yield {view.sample: place + 1}


def _put(bench: Bench, form: Form, view: View, values: Updates) -> Iterator[Updates]:
    """Lays what the form asks for on the desk."""
    files: dict[str, Path] = {}
    if values[form.data] == FILE:
        paths = files_of(values[form.file] or (), form.chosen(values))
        form.evaluations(values, bench, {name: Path(path) for name, path in paths.items()})  # refuses before it keeps
        kept = {path: kept_upload(path, bench.settings) for path in set(paths.values())}
        files = {name: kept[path] for name, path in paths.items()}
    batch = bench.desk.put(form.evaluations(values, bench, files))
    yield {view.message: "", view.batch: batch} | stands(bench, view, batch)


def stands(bench: Bench, view: View, batch: str) -> Updates:
    """The desk as it stands."""
    version, lines = bench.desk.version, bench.desk.lines()
    return {
        view.desk: desk_markup(lines, batch, shared=not bench.settings.serves_locally),
        view.table: table_markup(lines),
        view.seen: version,
        view.clock: gr.Timer(BUSY_SECONDS if bench.desk.busy else IDLE_SECONDS),
    }


def _pressed(page: Page, view: View, batch: str, pressed: str) -> Iterator[Updates]:
    """One of the desk's buttons: what it does, and to which line."""
    desk, (what, _, which) = page.bench.desk, pressed.partition(":")
    if what == "open":
        yield {page.opened: which}
        return
    if what in ("stop", "again") and which.isdecimal():
        _check_own(page.bench, int(which), batch)
        (desk.stop if what == "stop" else desk.again)(int(which))
    elif what == "stop-all":
        for line in desk.lines():
            if page.bench.settings.serves_locally or line.batch == batch:
                desk.stop(line.number)
    elif what == "clear":
        if not page.bench.settings.serves_locally:
            raise BadRequest("Others use this page too: lines that ended leave the desk by themselves.")
        desk.clear()
    else:
        raise BadRequest("There is no such button any more. Open the page again.")
    yield {view.message: ""} | stands(page.bench, view, batch)


def _check_own(bench: Bench, number: int, batch: str) -> None:
    """Raises BadRequest where others use the page too and it is their benchmark; a batch's name is its owner's key."""
    own = any(line.number == number and line.batch == batch for line in bench.desk.lines())
    if not own and not bench.settings.serves_locally:
        raise BadRequest("This benchmark is another visitor's. Only who asked for it can stop it or go on with it.")


TAB = Tab("Benchmark", build)
