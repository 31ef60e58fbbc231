"""Many texts on the Classify tab: typed or from a table, with live progress, metrics, a threshold and downloads."""

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import gradio as gr

from workbench.evals.asking import ask
from workbench.evals.data.tables import Table
from workbench.evals.data.text_rows import text_examples
from workbench.evals.methods.head import MULTI_LABEL
from workbench.evals.methods.labels import ClassPrediction, TextExample
from workbench.loading.heads import HeadCard
from workbench.ui.background import followed
from workbench.ui.bench import Page
from workbench.ui.class_batch import COLUMNS, Batch, typed_examples
from workbench.ui.class_examples import ClassExample
from workbench.ui.class_form import Form
from workbench.ui.class_methods import ClassMethod
from workbench.ui.head_choice import picked_head
from workbench.ui.metrics_view import metrics_markup
from workbench.ui.parts import notice, progress_bar, told
from workbench.ui.ready import made_ready
from workbench.ui.threshold_view import best_threshold, sweepable, threshold_markup
from workbench.ui.upload import TABLE_ENDINGS, likely_columns, read_uploaded_table

Updates = dict[Any, Any]

_NO_LABELS = "(no right answers)"
_SEPARATOR = "|"
"""Between the right answers of a text that may have several, unless the head was trained with another one."""
_TABLE_SECONDS = 1.0
_ROWS_A_SECOND = 2_000
"""A long table is sent less often: every so many rows add a second to the wait."""
_SAMPLE = 200
"""Texts of the batch that the domain calibration draws its words from."""
_MOST_LABELS_TAKEN = 200


@dataclass(frozen=True)
class Many:
    """The components for many texts."""

    texts: gr.Textbox
    file: gr.File
    columns: gr.Row
    text_column: gr.Dropdown
    label_column: gr.Dropdown
    take_labels: gr.Button
    run: gr.Button
    stop: gr.Button
    notice: gr.HTML
    table: gr.Dataframe
    csv: gr.DownloadButton
    jsonl: gr.DownloadButton
    metrics: gr.HTML
    sweep: gr.Column
    sweep_class: gr.Dropdown
    threshold: gr.Slider
    sweep_chart: gr.HTML
    uploaded: gr.State
    batch: gr.State

    def buttons(self, running: bool) -> Updates:
        """Classify and Stop: exactly one of them can be pressed."""
        return {self.run: gr.Button(interactive=not running), self.stop: gr.Button(interactive=running)}

    def examples(self, page: Page, values: Updates, card: HeadCard | None) -> list[TextExample]:
        """The texts: the uploaded table's where there is one, else those typed."""
        table = values[self.uploaded]
        if table is None:
            return typed_examples(values[self.texts] or "", page.bench)
        label = values[self.label_column]
        several = card is not None and card.problem == MULTI_LABEL
        separator = str(card.settings.get("separator", _SEPARATOR)) if card is not None and several else None
        return text_examples(table, values[self.text_column], None if label == _NO_LABELS else label, separator)

    def results(self) -> list[Any]:
        """What shows a batch."""
        shown = [self.notice, self.table, self.csv, self.jsonl, self.metrics]
        return [*shown, self.sweep, self.sweep_class, self.threshold, self.sweep_chart]


def many_texts(first: ClassExample) -> Many:
    """Draws the part, to be called where it should stand."""
    texts = gr.Textbox("\n".join(first.texts), label="Texts, one a line", lines=5, max_lines=14, elem_id="class-texts")
    file = gr.File(label="Or a table: CSV, TSV or JSONL", file_types=TABLE_ENDINGS, height=120, elem_id="class-file")
    with gr.Row(visible=False, elem_classes="columns") as columns:
        text_column = gr.Dropdown([], label="Column with the text", elem_id="text-column", min_width=150)
        label_column = gr.Dropdown([], label="Column with the right answer", elem_id="label-column", min_width=150)
        take_labels = gr.Button("Take its labels", elem_id="take-labels", min_width=120)
    with gr.Row(elem_classes="actions"):
        run = gr.Button("Classify all", variant="primary", elem_id="many-run", elem_classes="key-run", scale=3)
        stop = gr.Button("Stop", interactive=False, elem_id="many-stop", elem_classes="key-stop", scale=1)
    message = gr.HTML("", js_on_load=None, apply_default_css=False, elem_id="many-notice", elem_classes="page-notice")
    table = gr.Dataframe(
        headers=COLUMNS, datatype="str", type="array", interactive=False, max_height=360, visible=False,
        label="Predictions: click a row to see its bars and to ask why", elem_id="class-table",
        column_widths=["52px", "340px", "130px", "90px", "120px", "110px"], show_search="search",
        buttons=["fullscreen"],
    )  # fmt: skip
    with gr.Row():
        csv = gr.DownloadButton("Save CSV", interactive=False, elem_id="class-csv", size="md")
        jsonl = gr.DownloadButton("Save JSONL", interactive=False, elem_id="class-jsonl", size="md")
    metrics = gr.HTML("", js_on_load=None, apply_default_css=False, elem_id="class-metrics")
    return Many(
        texts, file, columns, text_column, label_column, take_labels, run, stop, message, table, csv, jsonl, metrics,
        *_threshold_controls(), gr.State(None, time_to_live=3600), gr.State(None, time_to_live=3600),
    )  # fmt: skip


def _threshold_controls() -> tuple[gr.Column, gr.Dropdown, gr.Slider, gr.HTML]:
    with gr.Column(visible=False, elem_classes="sweep-part") as sweep:
        with gr.Row():
            label = gr.Dropdown([], label="Threshold for the class", elem_id="sweep-class", min_width=150)
            threshold = gr.Slider(
                0, 1, 0.5, step=0.01, label="Threshold", elem_id="sweep-threshold", min_width=200,
                info="The class is given from this probability on. The model is not asked again.",
            )  # fmt: skip
        picture = gr.HTML("", js_on_load=None, apply_default_css=False, elem_id="sweep-chart")
    return sweep, label, threshold, picture


def connect_many(page: Page, many: Many, form: Form) -> None:
    """The part's events: the file, the run and its Stop, the threshold."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    _connect_file(page, many, form, quiet)
    outputs = [*many.results(), many.run, many.stop, many.batch, page.status]

    def run_batch(values: Updates) -> Iterator[Updates]:
        yield from told(_classify(page, many, form, values), many.notice)
        yield many.buttons(False)

    # Not a cancelled event: Gradio sends the last progress of one once more, over what Stop says.
    def stop(batch: Batch | None) -> Updates:
        if batch is not None:
            batch.stop.set()
        return {many.stop: gr.Button(interactive=False)}

    inputs = {many.texts, many.uploaded, many.text_column, many.label_column} | form.inputs()
    many.run.click(run_batch, inputs, outputs, concurrency_limit=None, **quiet)
    many.stop.click(stop, many.batch, [many.stop], concurrency_limit=None, **quiet)

    def at_threshold(batch: Batch | None, label: str, threshold: float) -> str:
        return threshold_markup(batch.predictions, label, threshold) if batch else ""

    def at_best(batch: Batch | None, label: str) -> Updates:
        at = best_threshold(batch.predictions, label) if batch else 0.5
        return {many.threshold: at, many.sweep_chart: at_threshold(batch, label, at)}

    chosen = [many.batch, many.sweep_class, many.threshold]
    many.threshold.input(at_threshold, chosen, many.sweep_chart, trigger_mode="always_last", **quiet)
    many.sweep_class.input(at_best, chosen[:2], [many.threshold, many.sweep_chart], **quiet)


def _connect_file(page: Page, many: Many, form: Form, quiet: dict[str, Any]) -> None:
    outputs = [many.notice, many.uploaded, many.columns, many.text_column, many.label_column, many.texts]

    def upload(path: str | None) -> Iterator[Updates]:
        yield without_table(many)
        yield from told(_with_table(page, many, path), many.notice, "The file can't be used")

    many.file.upload(upload, many.file, outputs, **quiet)
    many.file.clear(lambda: without_table(many), None, outputs, **quiet)
    many.take_labels.click(_labels_of, [many.uploaded, many.label_column, form.labels], form.labels, **quiet)


def _with_table(page: Page, many: Many, path: str | None) -> Iterator[Updates]:
    """Reads the table, and offers its columns."""
    table = read_uploaded_table(page.bench, path)
    text, label = likely_columns(table)
    words = f"{len(table.rows):,} rows, {len(table.columns)} columns. Pick the columns, then press Classify all."
    yield {
        many.notice: notice("good", "The table is read", words),
        many.uploaded: table,
        many.columns: gr.Row(visible=True),
        many.text_column: gr.Dropdown(table.columns, value=text),
        many.label_column: gr.Dropdown([_NO_LABELS, *table.columns], value=label or _NO_LABELS),
        many.texts: gr.Textbox(visible=False),
    }


def without_table(many: Many) -> Updates:
    """The part as it is without an uploaded table."""
    return {
        many.notice: "",
        many.uploaded: None,
        many.columns: gr.Row(visible=False),
        many.text_column: gr.Dropdown([], value=None),
        many.label_column: gr.Dropdown([], value=None),
        many.texts: gr.Textbox(visible=True),
    }


def _labels_of(table: Table | None, column: str | None, labels: str) -> str:
    """The right answers of the table, one a line, as the labels; as they were where there is no such column."""
    if table is None or column not in table.columns:
        return labels
    found = dict.fromkeys(cell.strip() for cell in table.column(column) if cell.strip())
    return "\n".join(list(found)[:_MOST_LABELS_TAKEN])


def _classify(page: Page, many: Many, form: Form, values: Updates) -> Iterator[Updates]:
    """Asks about one text after another; the table grows meanwhile."""
    asked = form.asked(values)
    spec = page.bench.spec_named(values[form.model])
    card = picked_head(page.bench, spec, "classify", asked.head)
    batch = Batch(values[form.model], asked, many.examples(page, values, card))
    yield cleared(many) | {many.notice: progress_bar("Starting", None), many.batch: batch} | many.buttons(True)
    yield from takewhile(lambda _: not batch.stop.is_set(), made_ready(page, many.notice, spec))
    texts = [example.text for example in batch.examples[:_SAMPLE]]

    def work() -> Generator[ClassMethod | ClassPrediction, None, None]:
        with page.bench.manager.lease(spec) as model:
            method = asked.method(page.bench.manager, spec, model, texts)
            yield method
            yield from ask(model, method, batch.examples)

    yield from _growing(many, batch, followed(work, batch.stop))
    yield finished(many, batch)


def _growing(
    many: Many, batch: Batch, steps: Generator[list[ClassMethod | ClassPrediction], None, Any]
) -> Iterator[Updates]:
    """Takes in what comes; the progress moves at once, the table about once a second."""
    shown_at = 0.0
    with closing(steps):
        for items in steps:
            for item in items:
                if not isinstance(item, ClassPrediction):
                    batch.start(item)
            batch.add([item for item in items if isinstance(item, ClassPrediction)])
            update: Updates = {many.notice: batch.progress()}
            if items and time.monotonic() - shown_at > _TABLE_SECONDS + len(batch.rows) / _ROWS_A_SECOND:
                update |= {many.table: gr.Dataframe(batch.rows, visible=True)}
                shown_at = time.monotonic()
            yield update


def cleared(many: Many) -> Updates:
    """Nothing of an earlier batch."""
    off: dict[str, Any] = {"value": None, "interactive": False}
    return {
        many.table: gr.Dataframe([], visible=False),
        many.csv: gr.DownloadButton(**off),
        many.jsonl: gr.DownloadButton(**off),
        many.metrics: "",
        many.sweep: gr.Column(visible=False),
        many.sweep_chart: "",
    }


def finished(many: Many, batch: Batch) -> Updates:
    """A batch that ended or was stopped, with all that can be made of what it has."""
    if not batch.predictions:
        return {many.notice: notice("plain", "Stopped before the first text was classified.")}
    kept = f"Stopped: {len(batch.predictions):,} of {len(batch.examples):,} texts are kept below"
    title = "Done" if batch.done else kept
    csv, jsonl = batch.write(Path(many.csv.GRADIO_CACHE))
    update = {
        many.notice: notice("good", title, batch.summary()),
        many.table: gr.Dataframe(batch.rows, visible=True),
        many.csv: gr.DownloadButton(value=str(csv), interactive=True),
        many.jsonl: gr.DownloadButton(value=str(jsonl), interactive=True),
        many.metrics: metrics_markup(batch.predictions),
    }
    classes = sweepable(batch.predictions)
    if not classes:
        return update
    at = best_threshold(batch.predictions, classes[0])
    return update | {
        many.sweep: gr.Column(visible=True),
        many.sweep_class: gr.Dropdown(classes, value=classes[0]),
        many.threshold: at,
        many.sweep_chart: threshold_markup(batch.predictions, classes[0], at),
    }
