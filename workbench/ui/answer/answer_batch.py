"""A file of questions on the Answer tab: the components, and what each state of a run shows in them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from workbench.evals.data.squad_files import Question, read_questions
from workbench.evals.methods.spans import deciding_threshold
from workbench.text.requests import Spans
from workbench.ui.answer.answer_compare import SideAnswers, file_headers, file_rows, files_markup
from workbench.ui.answer.answer_request import THRESHOLD
from workbench.ui.answer.answer_scores import (
    HEADERS,
    ROWS_SHOWN,
    Answered,
    answer_rows,
    best_threshold,
    figures_markup,
    threshold_curve,
    write_answers,
)
from workbench.ui.answer.answer_view import answer_text, answer_view
from workbench.ui.bench import Bench
from workbench.ui.components import box, html
from workbench.ui.host.upload import read_upload
from workbench.ui.parts import notice
from workbench.ui.sides.asking_sides import side_columns, suffix_of
from workbench.ui.sides.sides import Chosen, Side, Sides

Updates = dict[Any, Any]

_HINT = (
    "<p class='keys'>SQuAD JSON, or CSV or JSONL with the columns question and context. With the right answers "
    "(answers or answer; an empty one means there is none) the answers are measured.</p>"
)
_WIDTHS: list[str | int] = ["52px", "270px", "170px", "170px", "72px", "104px"]
_DOWNLOADS = ("Save SQuAD JSON", "Save CSV", "Save JSONL")


@dataclass(frozen=True)
class BatchSide:
    """Where a side tells how far it is, and its answers to the file are measured."""

    notice: gr.HTML
    figures: gr.HTML
    curve: gr.HTML
    best: gr.Button


@dataclass(frozen=True)
class TakenSide:
    """Where a side's answers are taken away, and one of them is shown in its passage."""

    downloads: tuple[gr.DownloadButton, ...]
    one: gr.HTML


@dataclass(frozen=True)
class SideRun:
    """A side and its answers so far."""

    side: Chosen
    answered: Answered


@dataclass(frozen=True)
class FileRun:
    """A file's questions, asked of every side in use."""

    sides: tuple[SideRun, ...]

    def stop(self) -> None:
        """Ends every side's run after the question that it is at."""
        for one in self.sides:
            one.answered.stop.set()

    @property
    def ended(self) -> bool:
        """Whether no side is asked any more, or at most the question that it was stopped at."""
        found = [one.answered for one in self.sides]
        return all(one.stop.is_set() or len(one.predictions) == len(one.questions) for one in found)

    def forget(self) -> None:
        """Deletes the files."""
        for one in self.sides:
            one.answered.forget()

    @property
    def reached(self) -> int:
        """How many questions all sides together have answered."""
        return sum(len(one.answered.predictions) for one in self.sides)

    def answers(self, thresholds: Sequence[float]) -> list[SideAnswers]:
        """What each side answered so far, decided by its threshold of these."""
        return [
            SideAnswers(one.side.letter, list(one.answered.predictions), threshold)
            for one, threshold in zip(self.sides, thresholds, strict=True)
        ]


@dataclass(frozen=True)
class BatchView:
    """The components of the file of questions."""

    file: gr.File
    run: gr.Button
    stop: gr.Button
    file_notice: gr.HTML
    heads: tuple[gr.HTML, ...]
    sides: tuple[BatchSide, ...]
    compared: gr.HTML
    """How the sides' answers stand to each other; empty with one side."""
    table: gr.Dataframe
    taken_heads: tuple[gr.HTML, ...]
    taken: tuple[TakenSide, ...]
    uploaded: gr.State
    """The file's questions, read when it was uploaded; None without a file."""
    asked: gr.State
    """The run that is shown."""

    def buttons(self, running: bool) -> Updates:
        """Answer all and Stop: exactly one of them can be pressed."""
        return {self.run: gr.Button(interactive=not running), self.stop: gr.Button(interactive=running)}

    def live(self) -> list[Any]:
        """What a run fills while it goes on; few parts, since the page redraws each of them with every update."""
        of_sides = [part for side in self.sides for part in (side.notice, side.figures)]
        return [self.file_notice, *self.heads, *self.taken_heads, *of_sides, self.table, self.asked]

    def results(self) -> list[Any]:
        """What shows an ended run, and the buttons."""
        measured = [part for side in self.sides for part in (side.figures, side.curve, side.best)]
        taken = [part for side in self.taken for part in (*side.downloads, side.one)]
        return [*measured, self.compared, self.table, *taken, self.run, self.stop]


def batch_view(sides: Sides) -> BatchView:
    """Draws the file of questions, to be called where it should stand."""
    file = gr.File(
        label="Questions", file_types=[".json", ".jsonl", ".csv", ".tsv"], height=116,
        elem_id="answer-file", elem_classes="upload-box",
    )  # fmt: skip
    html(_HINT)
    with gr.Row(elem_classes="actions"):
        run = gr.Button("Answer all", variant="primary", elem_id="answer-all", elem_classes="key-run", scale=3)
        stop = gr.Button("Stop", interactive=False, elem_id="answer-all-stop", elem_classes="key-stop", scale=1)
    file_notice = box("batch-file-notice")
    heads, parts = side_columns(sides, _measured)
    compared = box("batch-compared")
    table = gr.Dataframe(
        headers=HEADERS, datatype="str", interactive=False, wrap=True, max_height=420,
        column_widths=_WIDTHS, label="Answers", show_label=False,
        buttons=[], elem_id="answer-table",
    )  # fmt: skip
    taken_heads, taken = side_columns(sides, _taken)
    uploaded = gr.State(None, time_to_live=3600)
    asked = gr.State(None, time_to_live=3600, delete_callback=forgotten)
    return BatchView(file, run, stop, file_notice, heads, parts, compared, table, taken_heads, taken, uploaded, asked)


def _measured(side: Side) -> BatchSide:
    end = suffix_of(side)
    message, figures, curve = (box(f"{name}{end}") for name in ("batch-notice", "batch-figures", "batch-curve"))
    best = gr.Button("Use the best threshold", visible=False, size="sm", elem_id=f"best-threshold{end}")
    return BatchSide(message, figures, curve, best)


def _taken(side: Side) -> TakenSide:
    with gr.Row():
        downloads = tuple(gr.DownloadButton(label, visible=False, size="sm", min_width=120) for label in _DOWNLOADS)
    with gr.Column(elem_classes="answer-one-box"):
        return TakenSide(downloads, answer_view(f"answer-one{suffix_of(side)}"))


def forgotten(run: FileRun | None) -> None:
    """The files of a run that nobody sees any more are deleted."""
    if run is not None:
        run.forget()


def with_file(bench: Bench, view: BatchView, path: str | None) -> Iterator[Updates]:
    """Reads the file as soon as it is here, and tells what it holds."""
    questions = read_upload(bench, path, read_questions)
    yield {view.uploaded: questions, view.file_notice: notice("good", "The file is read", file_words(questions))}


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


def emptied(view: BatchView) -> Updates:
    """Nothing of an earlier run; its table stays until the new one has a row."""
    empty: Updates = {view.compared: ""}
    for side in view.sides:
        empty |= dict.fromkeys((side.figures, side.curve), "") | {side.best: gr.Button(visible=False)}
    for taken in view.taken:
        empty |= {part: gr.DownloadButton(visible=False) for part in taken.downloads} | {taken.one: ""}
    return empty


def table_update(view: BatchView, run: FileRun, thresholds: Sequence[float]) -> Updates:
    """The table, of one side in full, of several an answer each.

    Args:
        thresholds: of each side of the run.
    """
    if len(run.sides) == 1:
        names, widths, rows = HEADERS, _WIDTHS, answer_rows(run.sides[0].answered.predictions, thresholds[0])
    else:
        sides = run.answers(thresholds)
        names, rows = file_headers([side.letter for side in sides]), file_rows(sides)
        widths = ["52px", "230px", *["150px"] * len(sides), "72px", "150px", "110px"]
    label = "Answers" if len(rows) < ROWS_SHOWN else f"The first {ROWS_SHOWN} answers; the downloads hold all"
    return {view.table: gr.Dataframe({"headers": names, "data": rows}, label=label, column_widths=widths)}


def figures_update(view: BatchView, one: SideRun, threshold: float) -> Updates:
    """A side's figures so far."""
    answered = one.answered
    return {
        view.sides[one.side.index].figures: figures_markup(answered.predictions, threshold, len(answered.questions))
    }


def settled(view: BatchView, run: FileRun, thresholds: Sequence[float], own: Sequence[bool]) -> Updates:
    """The answers as these thresholds decide: figures, curves, comparison and files; no model is asked.

    Args:
        own: whether each side has a threshold of its own, which a button can put where it is best.
    """
    updates: Updates = {}
    for one, threshold, is_own in zip(run.sides, thresholds, own, strict=True):
        answered, side, taken = one.answered, view.sides[one.side.index], view.taken[one.side.index]
        if not answered.predictions:
            continue
        files = write_answers(answered, threshold, Path(view.file.GRADIO_CACHE))
        updates |= figures_update(view, one, threshold) | {
            part: gr.DownloadButton(value=file, visible=True) for part, file in zip(taken.downloads, files, strict=True)
        }
        best = best_threshold(answered.predictions)
        updates |= {
            side.curve: threshold_curve(answered.predictions, threshold),
            side.best: gr.Button(visible=is_own and best is not None),
        }
    if not updates:
        return {}
    compared = files_markup(run.answers(thresholds)) if len(run.sides) > 1 else ""
    return updates | table_update(view, run, thresholds) | {view.compared: compared}


def best_of(run: FileRun | None, index: int, threshold: float) -> float:
    """The best threshold of a side, on the slider's scale; the threshold as it is where there is none."""
    found = [one.answered for one in run.sides if one.side.index == index] if run else []
    best = best_threshold(found[0].predictions) if found else None
    if best is None:
        return threshold
    # Rounded up: a question exactly at the best threshold is still answered.
    return min(max(math.ceil(best * 1e4) / 1e4, THRESHOLD.low), THRESHOLD.high)


def looked_at(view: BatchView, run: FileRun | None, row: str, thresholds: Sequence[float]) -> Updates:
    """A row's answers in their passage.

    Args:
        row: its number as the table has it: the visitor may have sorted the table.
    """
    number = int(row) - 1 if row.isdecimal() else -1
    updates: Updates = {taken.one: "" for taken in view.taken}
    for one, threshold in zip(run.sides if run else (), thresholds, strict=False):
        if not 0 <= number < len(one.answered.predictions):
            continue
        question, prediction = one.answered.questions[number], one.answered.predictions[number]
        decided = deciding_threshold(one.answered.predictions, threshold)
        spans = Spans(prediction.n_best, prediction.null_score or 0.0, prediction.windows)
        updates[view.taken[one.side.index].one] = answer_text(question.question, question.context, decided, spans)
    return updates
