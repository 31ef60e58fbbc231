"""Many texts on the Classify tab, typed or from a table: the components, and what each state of a run shows in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from workbench.evals.data.tables import Table
from workbench.evals.data.text_rows import text_examples
from workbench.evals.methods.head import MULTI_LABEL
from workbench.evals.methods.labels import TextExample
from workbench.loading.heads import HeadCard
from workbench.ui.bench import Page
from workbench.ui.charts.metrics_view import metrics_markup
from workbench.ui.classify.class_batch import COLUMNS, WIDTHS, Batch, Batches, typed_examples
from workbench.ui.classify.class_compare import batches_markup
from workbench.ui.classify.class_examples import ClassExample
from workbench.ui.classify.threshold_view import best_threshold, sweepable, threshold_markup
from workbench.ui.components import QUIET, box, html
from workbench.ui.host.upload import TABLE_ENDINGS, likely_columns, read_uploaded_table
from workbench.ui.parts import notice, progress_bar, told
from workbench.ui.sides.asking_sides import side_columns, side_head, suffix_of
from workbench.ui.sides.sides import Side, Sides

Updates = dict[Any, Any]

_NO_LABELS = "(no right answers)"
_SEPARATOR = "|"
"""Between the right answers of a text that may have several, unless the head was trained with another one."""
_MOST_LABELS_TAKEN = 200


@dataclass(frozen=True)
class ManySide:
    """Where a side's predictions of many texts are measured."""

    csv: gr.DownloadButton
    jsonl: gr.DownloadButton
    metrics: gr.HTML
    sweep: gr.Column
    sweep_class: gr.Dropdown
    threshold: gr.Slider
    sweep_chart: gr.HTML


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
    file_notice: gr.HTML
    notice_heads: tuple[gr.HTML, ...]
    notices: tuple[gr.HTML, ...]
    """Of each side's run."""
    table: gr.Dataframe
    compared: gr.HTML
    """How the sides' predictions stand to each other; empty with one side."""
    heads: tuple[gr.HTML, ...]
    sides: tuple[ManySide, ...]
    uploaded: gr.State
    batches: gr.State

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

    def live(self) -> list[Any]:
        """What a run fills while it goes on; few parts, since the page redraws each of them with every update."""
        told = [self.file_notice, *self.notice_heads, *self.notices]
        return [*told, self.table, *self.heads, self.batches]

    def results(self) -> list[Any]:
        """What shows an ended run, and the buttons."""
        of_sides = [part for side in self.sides for part in vars(side).values()]
        return [self.table, self.compared, *of_sides, self.run, self.stop]


def many_texts(first: ClassExample, sides: Sides) -> Many:
    """Draws the part, to be called where it should stand."""
    texts = gr.Textbox("\n".join(first.texts), label="Texts, one a line", lines=5, max_lines=14, elem_id="class-texts")
    file = gr.File(
        label="Or a table in their place: CSV, TSV or JSONL", file_types=TABLE_ENDINGS, height=120, elem_id="class-file"
    )
    with gr.Row(visible=False, elem_classes="columns") as columns:
        text_column = gr.Dropdown([], label="Column with the text", elem_id="text-column", min_width=150)
        label_column = gr.Dropdown([], label="Column with the right answer", elem_id="label-column", min_width=150)
        take_labels = gr.Button("Ask for this column's labels", elem_id="take-labels", min_width=120)
    with gr.Row(elem_classes="actions"):
        run = gr.Button("Classify all", variant="primary", elem_id="many-run", elem_classes="key-run", scale=3)
        stop = gr.Button("Stop", interactive=False, elem_id="many-stop", elem_classes="key-stop", scale=1)
    file_notice = box("many-file-notice")
    notice_heads, notices = side_columns(sides, lambda side: box(f"many-notice{suffix_of(side)}"))
    table = gr.Dataframe(
        headers=COLUMNS, datatype="str", type="array", interactive=False, max_height=360, visible=False,
        label="Predictions: click a row to see its bars and to ask why", elem_id="class-table",
        column_widths=WIDTHS, show_search="search", buttons=["fullscreen"],
    )  # fmt: skip
    compared = box("many-compared")
    heads, parts = side_columns(sides, _measured)
    return Many(
        texts, file, columns, text_column, label_column, take_labels, run, stop, file_notice, notice_heads, notices,
        table, compared, heads, parts, gr.State(None, time_to_live=3600), gr.State(None, time_to_live=3600),
    )  # fmt: skip


def _measured(side: Side) -> ManySide:
    end = suffix_of(side)
    with gr.Row():
        csv = gr.DownloadButton("Save CSV", interactive=False, elem_id=f"class-csv{end}", size="md", min_width=120)
        jsonl = gr.DownloadButton(
            "Save JSONL", interactive=False, elem_id=f"class-jsonl{end}", size="md", min_width=120
        )
    metrics = html(elem_id=f"class-metrics{end}")
    with gr.Column(visible=False, elem_classes="sweep-part") as sweep:
        with gr.Row():
            label = gr.Dropdown([], label="Threshold for the class", elem_id=f"sweep-class{end}", min_width=150)
            threshold = gr.Slider(
                0, 1, 0.5, step=0.01, label="Threshold", elem_id=f"sweep-threshold{end}", min_width=200,
                info="The class is given from this probability on. The model is not asked again.",
            )  # fmt: skip
        picture = html(elem_id=f"sweep-chart{end}")
    return ManySide(csv, jsonl, metrics, sweep, label, threshold, picture)


def connect_file(page: Page, many: Many, labels: gr.Textbox) -> None:
    """The events of the uploaded table; `labels` can take those of its right answers."""
    outputs = [many.file_notice, many.uploaded, many.columns, many.text_column, many.label_column, many.texts]

    def upload(path: str | None) -> Iterator[Updates]:
        yield without_table(many)
        yield from told(_with_table(page, many, path), many.file_notice, "The file can't be used")

    many.file.upload(upload, many.file, outputs, **QUIET)
    many.file.clear(lambda: without_table(many), None, outputs, **QUIET)
    many.take_labels.click(_labels_of, [many.uploaded, many.label_column, labels], labels, **QUIET)


def _with_table(page: Page, many: Many, path: str | None) -> Iterator[Updates]:
    """Reads the table, and offers its columns."""
    table = read_uploaded_table(page.bench, path)
    text, label = likely_columns(table)
    words = f"{len(table.rows):,} rows, {len(table.columns)} columns. Pick the columns, then press Classify all."
    yield {
        many.file_notice: notice("good", "The table is read", words),
        many.uploaded: table,
        many.columns: gr.Row(visible=True),
        many.text_column: gr.Dropdown(table.columns, value=text),
        many.label_column: gr.Dropdown([_NO_LABELS, *table.columns], value=label or _NO_LABELS),
        many.texts: gr.Textbox(visible=False),
    }


def without_table(many: Many) -> Updates:
    """The part as it is without an uploaded table."""
    return {
        many.file_notice: "",
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


def just_begun(many: Many) -> Updates:
    """Nothing of earlier batches, and the first sign of the one that begins."""
    empty = dict.fromkeys(many.notices, "") | {many.file_notice: ""}
    return cleared(many) | empty | {many.notices[0]: progress_bar("Starting", None)} | many.buttons(True)


def cleared(many: Many) -> Updates:
    """No results of earlier batches."""
    off: dict[str, Any] = {"value": None, "interactive": False}
    empty: Updates = {many.table: gr.Dataframe([], visible=False), many.compared: ""}
    for part in many.sides:
        empty |= {part.csv: gr.DownloadButton(**off), part.jsonl: gr.DownloadButton(**off), part.metrics: ""}
        empty |= {part.sweep: gr.Column(visible=False), part.sweep_chart: ""}
    return empty


def table_update(many: Many, batches: Batches) -> Updates:
    """The table as far as it has come."""
    names, widths, rows = batches.table()
    return {many.table: gr.Dataframe({"headers": names, "data": rows}, column_widths=widths, visible=bool(rows))}


def end_notice(batch: Batch) -> str:
    """What came of a side's batch that ended or was stopped."""
    if not batch.predictions:
        return notice("plain", "Stopped before the first text was classified.")
    kept = f"Stopped: {len(batch.predictions):,} of {len(batch.examples):,} texts are kept below"
    return notice("good", "Done" if batch.done else kept, batch.summary())


def ended(many: Many, batches: Batches | None) -> Updates:
    """All that can be made of what the sides have: table, comparison, files, metrics and thresholds."""
    if batches is None:
        return cleared(many)
    compared = batches_markup(batches.predictions()) if len(batches.sides) > 1 else ""
    updates = cleared(many) | table_update(many, batches) | {many.compared: compared}
    for batch in batches.sides:
        updates |= _measures(many.sides[batch.side.index], batch)
    return updates


def swapped(many: Many, batches: Batches) -> Updates:
    """What A and B said, in each other's place."""
    found = batches.swapped()
    updates = ended(many, found) | {many.batches: found} | dict.fromkeys(many.notices[:2], "")
    for batch in found.sides:
        head = side_head(batch.side.letter, batch.side.name)
        updates |= dict.fromkeys((many.heads[batch.side.index], many.notice_heads[batch.side.index]), head)
        updates |= {many.notices[batch.side.index]: end_notice(batch)}
    return updates


def _measures(part: ManySide, batch: Batch) -> Updates:
    """A side's files, metrics and threshold."""
    if not batch.predictions:
        return {}
    csv, jsonl = batch.write(Path(part.csv.GRADIO_CACHE))
    update = {
        part.csv: gr.DownloadButton(value=str(csv), interactive=True),
        part.jsonl: gr.DownloadButton(value=str(jsonl), interactive=True),
        part.metrics: metrics_markup(batch.predictions),
    }
    classes = sweepable(batch.predictions)
    if not classes:
        return update
    at = best_threshold(batch.predictions, classes[0])
    return update | {
        part.sweep: gr.Column(visible=True),
        part.sweep_class: gr.Dropdown(classes, value=classes[0]),
        part.threshold: at,
        part.sweep_chart: threshold_markup(batch.predictions, classes[0], at),
    }
