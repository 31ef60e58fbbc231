"""The Train tab: a head for texts or for questions, planned before it starts, and watched while it learns."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.errors import WorkbenchError
from workbench.loading.heads import read_card
from workbench.training.head_request import TrainHead
from workbench.training.heads import Trained, train_head
from workbench.training.plan import plan_training
from workbench.training.progress import FineTuneProgress
from workbench.ui.background import followed
from workbench.ui.bench import Page, Tab
from workbench.ui.components import QUIET, box, html
from workbench.ui.host.upload import likely_columns
from workbench.ui.parts import notice, told
from workbench.ui.train.train_data import fewest_values, question_facts, read_rows, table_facts
from workbench.ui.train.train_endpoint import train_endpoint
from workbench.ui.train.train_form import Form, form_view, head_name, hint_markup, shown_for
from workbench.ui.train.train_view import Curves, data_facts, plan_bars, progress_line, trained_markup
from workbench.ui.train.training_desk import TrainingDesk

Updates = dict[Any, Any]

CURVE_SECONDS = 1.0
"""Between two drawings of the curves."""
_KEYS = (
    "<p class='keys'>Stop keeps the best head so far, and so does closing the page. Start again with the same name and "
    "settings to go on.</p>"
)
_PLAN_HINT = (
    "Upload the data, and for a classifier pick its columns: what each method needs depends on how long its texts are. "
    "It is shown here beside what is free, and nothing is loaded for it."
)
_PICK_LABEL = "<p class='keys'>No column looks like labels: pick the label column.</p>"
_LOCAL_ONLY = (
    "Training takes this machine's memory and writes to its disk, and others use this page too. Start the workbench on "
    "your own machine, with GRADIO_SERVER_NAME unset, and this tab trains heads there."
)


@dataclass(frozen=True)
class View:
    """The components of the tab beside its form."""

    run: gr.Button
    stop: gr.Button
    plan: gr.HTML
    message: gr.HTML
    progress: gr.HTML
    curves: gr.HTML

    def buttons(self, running: bool) -> Updates:
        """Start and Stop: exactly one of them can be pressed."""
        return {self.run: gr.Button(interactive=not running), self.stop: gr.Button(interactive=running)}


def build(page: Page, container: gr.Tab) -> None:
    """Fills the tab."""
    train_endpoint(page.bench)
    if not page.bench.settings.serves_locally:
        html(notice("plain", "Nobody trains on a shared page", _LOCAL_ONLY))  # fmt: skip
        return
    with gr.Row(elem_classes="workspace"):
        with gr.Column(scale=5, min_width=320):
            form = form_view(page.bench)
            with gr.Row(elem_classes="actions"):
                run = gr.Button("Start", variant="primary", elem_id="train-run", elem_classes="key-run", scale=3)
                stop = gr.Button("Stop", interactive=False, elem_id="train-stop", elem_classes="key-stop", scale=1)
            html(_KEYS)
        with gr.Column(scale=6, min_width=320):
            plan, message, progress, curves = (
                box(f"train-{name}") for name in ("plan", "message", "progress", "curves")
            )
    view = View(run, stop, plan, message, progress, curves)
    _connect_form(page, container, form, view)
    _connect_run(page, form, view)


def _connect_form(page: Page, container: gr.Tab, form: Form, view: View) -> None:
    """The form's events: what is shown of it, what the data holds, and the memory plan."""

    # Not called plan: Gradio would give the endpoint's name to it.
    def replan(values: Updates) -> Iterator[Updates]:
        yield from told(_planned(form, view, values), view.plan, "There is no plan for this training")

    def data(values: Updates) -> Iterator[Updates]:
        yield from told(_data_read(form, values), form.facts, "This file can't be trained on")

    def label(values: Updates) -> Iterator[Updates]:
        yield from told(_labels_counted(form, values), form.facts, "This file can't be trained on")

    def shown_anew(kind: str, method: str) -> Updates:
        return shown_for(form, kind, method)

    shown = [form.columns, form.lora, *form.fields.values()]
    gr.on([form.kind.input, form.method.input], shown_anew, [form.kind, form.method], shown, **QUIET)
    read = gr.on([form.data.change, form.kind.input], data, form.inputs(),
                 [form.facts, form.text_column, form.label_column], **QUIET)  # fmt: skip
    counted = form.label_column.input(label, form.inputs(), form.facts, **QUIET)
    container.select(replan, form.inputs(), view.plan, **QUIET)
    updating = QUIET | {"show_progress": "minimal"}  # the old plan fades until the new one is there
    for planned_after in (read.then, counted.then, form.text_column.input):
        planned_after(replan, form.inputs(), view.plan, **updating)
    changes = [part.change for part in form.planned_by()]
    gr.on(changes, replan, form.inputs(), view.plan, trigger_mode="always_last", **updating)


def _connect_run(page: Page, form: Form, view: View) -> None:
    """A training's start and its stop."""
    desk = page.bench.training

    def train(values: Updates) -> Iterator[Updates]:
        yield from told(_trained(page, desk, form, view, values), view.message, "The head was not trained")
        yield view.buttons(False)

    outputs = [view.message, view.progress, view.curves, view.run, view.stop]
    view.run.click(train, form.inputs(), outputs, concurrency_limit=None, **QUIET)

    def stop() -> Updates:
        desk.stop()
        return {view.stop: gr.Button(interactive=False)}

    view.stop.click(stop, None, [view.stop], concurrency_limit=None, **QUIET)


def _planned(form: Form, view: View, values: Updates) -> Iterator[Updates]:
    """The memory plan of every method, for the form as it is."""
    if not values[form.data] or (values[form.kind] == "classify" and not values[form.label_column]):
        yield {view.plan: notice("plain", "Planned before it starts", _PLAN_HINT)}
        return
    yield {view.plan: plan_bars(plan_training(form.planned(values)))}


def _data_read(form: Form, values: Updates) -> Iterator[Updates]:
    """What the data holds; the columns are picked by their names."""
    kind, path = values[form.kind], values[form.data]
    if not path:
        yield {form.facts: hint_markup(kind)}
        return
    if kind == "answer":
        yield {form.facts: data_facts(question_facts(path))}
        return
    table = read_rows(path)
    text, label = likely_columns(table)
    label = label or fewest_values(table, [column for column in table.columns if column != text])
    yield {
        form.facts: data_facts(table_facts(table, label)) + ("" if label else _PICK_LABEL),
        form.text_column: gr.Dropdown(table.columns, value=text),
        form.label_column: gr.Dropdown(table.columns, value=label),
    }


def _labels_counted(form: Form, values: Updates) -> Iterator[Updates]:
    """The facts of the data for another column of labels."""
    if values[form.data] and values[form.kind] == "classify":
        yield {form.facts: data_facts(table_facts(read_rows(values[form.data]), values[form.label_column]))}


def _trained(page: Page, desk: TrainingDesk, form: Form, view: View, values: Updates) -> Iterator[Updates]:
    """Trains, with its progress and curves; at the end, or where it was stopped, the card of what was kept."""
    request = form.request(values, page.bench.settings)
    stop = desk.take(head_name(values[form.name]))

    def work() -> Generator[FineTuneProgress, None, Trained]:
        try:
            return (yield from train_head(request))
        finally:
            desk.leave()

    yield {view.message: "", view.progress: progress_line(None), view.curves: ""} | view.buttons(True)
    curves, latest, drawn_at = Curves(), None, -CURVE_SECONDS
    training = followed(work, stop)
    try:
        while True:
            moments = next(training)
            for latest in moments:
                curves.add(latest)
            update: Updates = {view.progress: progress_line(latest, stop.is_set())}
            if moments and time.monotonic() - drawn_at >= CURVE_SECONDS:
                drawn_at = time.monotonic()
                update[view.curves] = curves.markup()
            yield update
    except StopIteration as end:
        yield {view.progress: "", view.curves: curves.markup(), view.message: _kept(request, end.value)}
    finally:
        training.close()


def _kept(request: TrainHead, trained: Trained | None) -> str:
    """What there is after a training; None: it was stopped."""
    if trained is not None:
        return trained_markup(trained.card, trained.seconds, stopped=False)
    try:
        return trained_markup(read_card(request.folder), None, stopped=True)
    except WorkbenchError:  # there is no card yet
        return notice("plain", "Stopped", "There was no validated head yet. Start again to go on where it stopped.")


TAB = Tab("Train", build)
