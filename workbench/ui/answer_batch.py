"""A file of questions on the Answer tab: asked one after another, measured, and taken away."""

import math
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import gradio as gr

from workbench.errors import BadRequest
from workbench.evals.asking import ask
from workbench.evals.data.squad_files import Question, read_questions
from workbench.evals.methods.spans import AnswerPrediction, SpanMethod, deciding_threshold
from workbench.manager import ModelSpec
from workbench.text.requests import Spans
from workbench.ui.answer_request import THRESHOLD, checked_settings
from workbench.ui.answer_scores import (
    HEADERS,
    ROWS_SHOWN,
    Answered,
    answer_rows,
    best_threshold,
    figures_markup,
    threshold_curve,
    write_answers,
)
from workbench.ui.answer_settings import Ask
from workbench.ui.answer_view import AT_THRESHOLD, answer_text, answer_view
from workbench.ui.background import followed
from workbench.ui.bench import Bench, Page
from workbench.ui.head_choice import picked_head
from workbench.ui.parts import notice, progress_bar, seconds_text, told
from workbench.ui.ready import made_ready
from workbench.ui.upload import read_upload

Updates = dict[Any, Any]

TABLE_SECONDS = 1.0
"""Between two drawings of the growing table."""
_HINT = (
    "<p class='keys'>SQuAD JSON, or CSV or JSONL with the columns question and context. With the right answers "
    "(answers or answer; an empty one means there is none) the answers are measured.</p>"
)
_DOWNLOADS = ("Save SQuAD JSON", "Save CSV", "Save JSONL")


@dataclass(frozen=True)
class BatchView:
    """The components of the file of questions."""

    file: gr.File
    run: gr.Button
    stop: gr.Button
    notice: gr.HTML
    figures: gr.HTML
    curve: gr.HTML
    best: gr.Button
    table: gr.Dataframe
    one: gr.HTML
    downloads: tuple[gr.DownloadButton, ...]
    uploaded: gr.State
    """The file's questions, read when it was uploaded; None without a file."""
    answered: gr.State

    def buttons(self, running: bool) -> Updates:
        """Answer all and Stop: exactly one of them can be pressed."""
        return {self.run: gr.Button(interactive=not running), self.stop: gr.Button(interactive=running)}

    def outputs(self) -> list[Any]:
        """Everything that a run fills."""
        shown = [self.notice, self.figures, self.curve, self.best, self.table, self.one]
        return [*shown, *self.downloads, self.answered, self.run, self.stop]


def batch_view() -> BatchView:
    """Draws the file of questions, to be called where it should stand."""
    file = gr.File(
        label="Questions", file_types=[".json", ".jsonl", ".csv", ".tsv"], height=116,
        elem_id="answer-file", elem_classes="upload-box",
    )  # fmt: skip
    gr.HTML(_HINT, js_on_load=None, apply_default_css=False)
    with gr.Row(elem_classes="actions"):
        run = gr.Button("Answer all", variant="primary", elem_id="answer-all", elem_classes="key-run", scale=3)
        stop = gr.Button("Stop", interactive=False, elem_id="answer-all-stop", elem_classes="key-stop", scale=1)
    message, figures, curve = (_box(name) for name in ("batch-notice", "batch-figures", "batch-curve"))
    best = gr.Button("Use the best threshold", visible=False, size="sm", elem_id="best-threshold")
    table = gr.Dataframe(
        headers=HEADERS, datatype="str", interactive=False, wrap=True, max_height=420,
        column_widths=["52px", "270px", "170px", "170px", "72px", "104px"], label="Answers", show_label=False,
        buttons=[], elem_id="answer-table",
    )  # fmt: skip
    with gr.Row():
        downloads = tuple(gr.DownloadButton(label, visible=False, size="sm", min_width=120) for label in _DOWNLOADS)
    with gr.Column(elem_id="answer-one-box"):
        one = answer_view("answer-one")
    uploaded = gr.State(None, time_to_live=3600)
    answered = gr.State(None, time_to_live=3600, delete_callback=_forgotten)
    return BatchView(file, run, stop, message, figures, curve, best, table, one, downloads, uploaded, answered)


def _box(name: str) -> gr.HTML:
    return gr.HTML("", js_on_load=None, apply_default_css=False, elem_id=name, elem_classes="page-notice")


def _forgotten(answered: Answered | None) -> None:
    if answered is not None:
        answered.forget()


def connect(page: Page, view: BatchView, settings: Ask) -> None:
    """The events: a run and its Stop, the threshold, and a look at one row."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    decided = [view.answered, settings.threshold]

    def run(values: Updates) -> Iterator[Updates]:
        yield from told(_run(page, view, settings, values), view.notice)
        yield view.buttons(False)

    # Not a cancelled event: Gradio sends the last progress of one once more, over what Stop says.
    def stop(answered: Answered | None) -> Updates:
        if answered is not None:
            answered.stop.set()
        return {view.stop: gr.Button(interactive=False)}

    def upload(path: str | None) -> Iterator[Updates]:
        yield {view.notice: "", view.uploaded: None}
        yield from told(_read(page.bench, view, path), view.notice, "The file can't be used")

    view.file.upload(upload, view.file, [view.notice, view.uploaded], **quiet)
    view.file.clear(lambda: ("", None), None, [view.notice, view.uploaded], **quiet)
    inputs = {view.uploaded, view.answered} | settings.inputs()
    view.run.click(run, inputs, [*view.outputs(), page.status], concurrency_limit=None, **quiet)
    view.stop.click(stop, view.answered, [view.stop], concurrency_limit=None, **quiet)
    settings.threshold.change(
        lambda answered, threshold: redecided(view, answered, threshold), decided, view.outputs(),
        trigger_mode="always_last", **quiet,
    )  # fmt: skip
    settings.threshold.change(None, [settings.threshold, view.one], view.one, js=AT_THRESHOLD, **quiet)
    view.best.click(_best, decided, settings.threshold, **quiet)
    view.table.select(_looked_at, decided, view.one, **quiet)


def _read(bench: Bench, view: BatchView, path: str | None) -> Iterator[Updates]:
    """Reads the file as soon as it is here, and tells what it holds."""
    questions = read_upload(bench, path, read_questions)
    yield {view.uploaded: questions, view.notice: notice("good", "The file is read", file_words(questions))}


def file_words(questions: Sequence[Question]) -> str:
    """How many questions a file holds, and for how many the right answer is known."""
    impossible = sum(question.is_impossible is True for question in questions)
    unknown = sum(question.is_impossible is None for question in questions)
    parts = [(len(questions) - impossible - unknown, "with an answer"), (impossible, "that can't be answered"),
             (unknown, "without a right answer, which are not measured")]  # fmt: skip
    told_of = ", ".join(f"{count:,} {words}" for count, words in parts if count)
    return f"{len(questions):,} questions: {told_of}. Press Answer all."


def stopped_words(answered: Answered) -> str:
    """What is kept of a run that was stopped."""
    if not answered.predictions:
        return "Stopped before the first answer."
    return f"Stopped: {len(answered.predictions):,} of {len(answered.questions):,} questions are kept below."


def _run(page: Page, view: BatchView, settings: Ask, values: Updates) -> Iterator[Updates]:
    """Asks every question of the file; the table grows meanwhile."""
    threshold, named = values[settings.threshold], checked_settings(settings.settings(values))
    spec = page.bench.spec_named(values[settings.model])
    name = values[settings.method] or None
    picked_head(page.bench, spec, "answer", name)
    if not values[view.uploaded]:
        raise BadRequest("There are no questions. Upload a file of them first.")
    _forgotten(values[view.answered])
    answered = Answered(values[view.uploaded])
    empty: Updates = {part: gr.DownloadButton(visible=False) for part in view.downloads}
    empty |= {view.notice: "", view.figures: "", view.curve: "", view.one: "", view.best: gr.Button(visible=False)}
    yield empty | view.buttons(True) | {view.answered: answered}
    yield from takewhile(lambda _: not answered.stop.is_set(), made_ready(page, view.notice, spec))
    yield from _asked(page.bench, view, answered, spec, SpanMethod(threshold=threshold, **named), name)
    message = notice("plain", stopped_words(answered)) if answered.stop.is_set() else ""
    yield settled(view, answered, threshold) | {view.notice: message}


def _asked(
    bench: Bench, view: BatchView, answered: Answered, spec: ModelSpec, method: SpanMethod, head: str | None
) -> Iterator[Updates]:
    """The predictions as they come, with a bar that says how long the rest will take."""

    def work() -> Generator[AnswerPrediction, None, None]:
        with bench.manager.lease(spec) as model:
            key = None if head is None else bench.manager.use_head(spec, head, "answer").key
            yield from ask(model, replace(method, head=key), answered.questions)

    began, drawn_at, total = time.monotonic(), -TABLE_SECONDS, len(answered.questions)
    for news in followed(work, answered.stop):
        answered.predictions += news
        done, seconds = len(answered.predictions), time.monotonic() - began
        left = f", about {seconds_text(seconds / done * (total - done))} left" if done else ""
        if answered.stop.is_set():
            left = ", stopping after the one that is asked"
        update: Updates = {view.notice: progress_bar(f"{done:,} of {total:,} questions{left}", done / total)}
        if news and time.monotonic() - drawn_at >= TABLE_SECONDS:
            drawn_at = time.monotonic()
            update |= _table(view, answered, method.threshold) | {view.answered: answered}
        yield update


def _table(view: BatchView, answered: Answered, threshold: float) -> Updates:
    """The table and the figures at a threshold."""
    rows = answer_rows(answered.predictions, threshold)
    label = "Answers" if len(rows) < ROWS_SHOWN else f"The first {ROWS_SHOWN} answers; the downloads hold all"
    return {
        view.table: gr.Dataframe(value={"headers": HEADERS, "data": rows}, label=label),
        view.figures: figures_markup(answered.predictions, threshold, len(answered.questions)),
    }


def settled(view: BatchView, answered: Answered | None, threshold: float) -> Updates:
    """What stands there when no more answers come: the whole, its curve and the files."""
    if answered is None or not answered.predictions:
        return view.buttons(False)
    return view.buttons(False) | redecided(view, answered, threshold)


def redecided(view: BatchView, answered: Answered | None, threshold: float) -> Updates:
    """The same answers at another threshold; the model is not asked."""
    if answered is None or not answered.predictions:
        return {view.figures: gr.skip()}
    files = write_answers(answered, threshold, Path(view.file.GRADIO_CACHE))
    downloads = {
        part: gr.DownloadButton(value=file, visible=True) for part, file in zip(view.downloads, files, strict=True)
    }
    return _table(view, answered, threshold) | downloads | {
        view.curve: threshold_curve(answered.predictions, threshold),
        view.best: gr.Button(visible=best_threshold(answered.predictions) is not None),
        view.answered: answered,
    }  # fmt: skip


def _best(answered: Answered | None, threshold: float) -> float:
    best = None if answered is None else best_threshold(answered.predictions)
    if best is None:
        return threshold
    # Rounded up: a question exactly at the best threshold is still answered.
    return min(max(math.ceil(best * 1e4) / 1e4, THRESHOLD.low), THRESHOLD.high)


def _looked_at(event: gr.SelectData, answered: Answered | None, threshold: float) -> str:
    """The answer of a row in its passage."""
    # The number in the row, not the row's place: the visitor may have sorted the table.
    number = int(event.row_value[0]) - 1
    if answered is None or not 0 <= number < len(answered.predictions):
        return ""
    question, prediction = answered.questions[number], answered.predictions[number]
    decided = deciding_threshold(answered.predictions, threshold)
    spans = Spans(prediction.n_best, prediction.null_score or 0.0, prediction.windows)
    return answer_text(question.question, question.context, decided, spans)
