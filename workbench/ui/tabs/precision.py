"""The Precision tab: the same checkpoint in several precisions, and what each costs in what the model says."""

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from workbench.evals.precision_report import Report
from workbench.evals.precision_summary import record, summaries
from workbench.evals.precision_work import measure
from workbench.evals.task import Task
from workbench.json_values import json_value
from workbench.manager import ModelSpec
from workbench.precision_sides import compared_precisions
from workbench.ui.background import followed
from workbench.ui.bench import Page, Tab, spec_name
from workbench.ui.components import QUIET, box, html
from workbench.ui.links.address import Kept
from workbench.ui.links.code_panels import precision_code
from workbench.ui.links.snippet_view import code_panel
from workbench.ui.parts import notice, progress_bar, told
from workbench.ui.precision.precision_endpoint import precision_endpoint
from workbench.ui.precision.precision_form import PROMPT, TASK, TEXT, Form, checkpoints, form_view
from workbench.ui.precision.precision_view import EMPTY_REPORT, report_markup
from workbench.ui.status import ready_line

Updates = dict[Any, Any]


@dataclass
class Going:
    """A report under way; the page's state holds it, so that Stop finds it."""

    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class View:
    """The components of the tab beside its form."""

    run: gr.Button
    stop: gr.Button
    message: gr.HTML
    report: gr.HTML
    file: gr.DownloadButton
    going: gr.State

    def buttons(self, running: bool) -> Updates:
        """Run and Stop: exactly one of them can be pressed."""
        return {self.run: gr.Button(interactive=not running), self.stop: gr.Button(interactive=running)}


def build(page: Page, container: gr.Tab) -> None:
    """Fills the tab."""
    with gr.Row(elem_classes="workspace"):
        with gr.Column(scale=4, min_width=300):
            form = form_view(page.bench)
            with gr.Row(elem_classes="actions"):
                run = gr.Button("Run", variant="primary", elem_id="precision-run", elem_classes="key-run", scale=3)
                stop = gr.Button("Stop", interactive=False, elem_id="precision-stop", elem_classes="key-stop", scale=1)
        with gr.Column(scale=7, min_width=320):
            message = box("precision-message")
            report = html(EMPTY_REPORT, elem_id="precision-report")
            file = gr.DownloadButton("Save JSON", interactive=False, elem_id="precision-json", size="md")
            code = code_panel("precision-code")
    view = View(run, stop, message, report, file, gr.State(None, time_to_live=3600))
    _connect_form(page, container, form, view)
    _connect_run(page, form, view)
    precision_code(page, code, form)
    precision_endpoint(page.bench)


def _connect_form(page: Page, container: gr.Tab, form: Form, view: View) -> None:
    """What is shown of the form, and what of it stands in the page's address."""

    def kinds(kind: str) -> Updates:
        return {
            form.prompt: gr.Textbox(visible=kind == PROMPT),
            form.text: gr.Textbox(visible=kind == TEXT),
            form.rows: gr.Column(visible=kind == TASK),
        }

    # Not `input`: a link that opens the page sets the kind too.
    form.kind.change(kinds, form.kind, [form.prompt, form.text, form.rows], **QUIET)

    def lists(picked: str) -> Any:
        names = list(checkpoints(page.bench))
        return gr.Dropdown(names, value=picked if picked in names else names[0])

    container.select(lists, form.model, form.model, **QUIET)
    page.address.waits_for(page.blocks.load(lists, form.model, form.model, **QUIET))
    known = {"checkpoint": lambda bench, _: checkpoints(bench)}
    titles = {PROMPT: ["prompt"], TEXT: ["text"], TASK: ["task"]}
    page.address.keeps(Kept(TAB.name, form.named(), (view.run,), titles, known, kind="on"))


def _connect_run(page: Page, form: Form, view: View) -> None:
    """The run and its Stop."""
    outputs = [view.run, view.stop, view.message, view.report, view.file, view.going, page.status]

    def run(values: Updates) -> Iterator[Updates]:
        yield from told(_run(page, form, view, values), view.message, "The precisions can't be compared")
        yield view.buttons(False) | {page.status: ready_line(page.bench)}

    # One at a time for all visitors: each loads a checkpoint several times over, and measures how fast it is.
    view.run.click(run, form.inputs(), outputs, concurrency_limit=1, concurrency_id="precision", **QUIET)

    # Not a cancelled event: Gradio sends the last progress of one once more, over what Stop says.
    def stop(going: Going | None) -> Updates:
        if going is not None:
            going.stop.set()
        return {view.stop: gr.Button(interactive=False), view.message: progress_bar("Stopping after this step", None)}

    view.stop.click(stop, view.going, [view.stop, view.message], concurrency_limit=None, **QUIET)


def _run(page: Page, form: Form, view: View, values: Updates) -> Iterator[Updates]:
    """Makes the report; what is done of it is shown as soon as a precision is."""
    going, manager = Going(), page.bench.manager
    off = gr.DownloadButton(value=None, interactive=False)
    starting = progress_bar("Reading what they are compared on", None)
    yield {view.message: starting, view.report: "", view.file: off, view.going: going} | view.buttons(True)
    spec = form.spec(page.bench, values)
    task, material = form.material(page.bench, values)
    precisions = compared_precisions(manager, spec, values[form.precisions] or (), task)
    report, shown = Report(material), 0
    with closing(followed(lambda: measure(precisions, material), going.stop)) as steps:
        for reports in steps:
            report = reports[-1] if reports else report
            update: Updates = {view.going: gr.skip()}  # a heartbeat, so that who left can be noticed
            if report.complete > shown:
                shown = report.complete
                update[view.report] = report_markup(report, summaries(report, task)[:shown])
            if not going.stop.is_set():
                update[view.message] = progress_bar(report.note or "Starting", report.done)
            yield update
    yield _ended(view, spec, report, task, going.stop.is_set())


def _ended(view: View, spec: ModelSpec, report: Report, task: Task[Any] | None, stopped: bool) -> Updates:
    """The report as it is at the end, and the file of it."""
    if stopped and not report.results:
        return {
            view.message: notice("plain", "Stopped before the first precision was loaded."),
            view.report: EMPTY_REPORT,
        }
    shown = summaries(report, task)
    words = "What was measured until then stands below." if stopped else ""
    title = "Stopped" if stopped else "Done"
    return {
        view.message: notice("plain" if stopped else "good", title, words),
        view.report: report_markup(report, shown),
        view.file: gr.DownloadButton(value=str(_file(spec, report, record(report, shown), view)), interactive=True),
    }


def _file(spec: ModelSpec, report: Report, found: dict[str, Any], view: View) -> Path:
    """The report as JSON, in a new folder that nobody can guess."""
    home = Path(view.file.GRADIO_CACHE) / secrets.token_hex(16)
    home.mkdir(parents=True)
    name = "".join(letter if letter.isalnum() else "-" for letter in spec.checkpoint.rstrip("/").rpartition("/")[2])
    path = home / f"precisions-{name}.json"
    content = json_value({"model": spec_name(spec), **found})
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8")
    return path


TAB = Tab("Precision", build)
