"""Asking a file of questions on the Answer tab: all sides at once, with live figures, and Stop that loses nothing."""

import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from itertools import takewhile
from typing import Any

import gradio as gr

from workbench.errors import BadRequest
from workbench.evals.asking import ask
from workbench.evals.methods.spans import AnswerPrediction, SpanMethod
from workbench.ui.answer.answer_asking import decide_in_browser
from workbench.ui.answer.answer_batch import (
    BatchView,
    FileRun,
    SideRun,
    best_of,
    emptied,
    figures_update,
    forgotten,
    looked_at,
    settled,
    stopped_words,
    table_update,
    with_file,
)
from workbench.ui.answer.answer_request import checked_settings
from workbench.ui.answer.answer_scores import Answered
from workbench.ui.answer.answer_settings import Ask
from workbench.ui.background import followed
from workbench.ui.bench import Page
from workbench.ui.components import QUIET
from workbench.ui.head_choice import picked_head
from workbench.ui.parts import error_notice, notice, progress_bar, seconds_text, told
from workbench.ui.ready import made_ready
from workbench.ui.sides.asking_sides import SideSettings, asked_sides, side_head, slowly, together, told_by_side
from workbench.ui.sides.sides import Chosen, swapped_side

Updates = dict[Any, Any]

TABLE_SECONDS = 1.0
"""Between two drawings of the growing table."""


def connect_batch(page: Page, view: BatchView, settings: SideSettings[Ask]) -> None:
    """The events: a run and its Stop, the thresholds, and a look at one row."""

    def run_file(values: Updates) -> Iterator[Updates]:
        yield from told(answered_by_all(page, view, settings, values), view.file_notice)

    # Not a cancelled event: Gradio sends the last progress of one once more, over what Stop says.
    def stop(run: FileRun | None) -> Updates:
        if run is not None:
            run.stop()
        return {view.stop: gr.Button(interactive=False)}

    def upload(path: str | None) -> Iterator[Updates]:
        yield {view.file_notice: "", view.uploaded: None}
        yield from told(with_file(page.bench, view, path), view.file_notice, "The file can't be used")

    # While a run goes on the sides that it asks stay where they are.
    def swap(values: Updates) -> Updates:
        run = values[view.asked]
        return swapped(view, run, settings, values) if run and run.ended else {view.table: gr.skip()}

    page.sides.swap.click(swap, {view.asked} | settings.inputs(), list({*view.live(), *view.results()}), **QUIET)
    view.file.upload(upload, view.file, [view.file_notice, view.uploaded], **QUIET)
    view.file.clear(lambda: ("", None), None, [view.file_notice, view.uploaded], **QUIET)
    inputs = {view.uploaded, view.asked} | settings.inputs() | page.sides.inputs()
    # In three steps: what a browser must not miss is told before and after the stream, in which updates may be lost.
    begun = view.run.click(lambda: emptied(view) | view.buttons(True), None, view.results(), **QUIET)
    runs = begun.then(run_file, inputs, [*view.live(), page.status], concurrency_limit=None, **QUIET)
    view.stop.click(stop, view.asked, [view.stop], concurrency_limit=None, **QUIET)
    _connect_thresholds(view, settings, runs)


def _connect_thresholds(view: BatchView, settings: SideSettings[Ask], runs: gr.events.Dependency) -> None:
    """What a threshold decides, without asking a model: the figures, the table, the answer that is looked at."""
    thresholds = [ask.threshold for ask in settings.each]
    deciding: set[Any] = {*thresholds, *settings.as_a}
    ones = [taken.one for taken in view.taken]

    def redecided(values: Updates) -> Updates:
        run = values[view.asked]
        return (_settled(view, run, settings, values) if run else {}) or {view.table: gr.skip()}

    def look(values: Updates, event: gr.SelectData) -> Updates:
        run, row = values[view.asked], str((event.row_value or [""])[0])
        return looked_at(view, run, row, _thresholds(run, settings, values) if run else [])

    inputs = {view.asked} | deciding
    runs.then(lambda values: redecided(values) | view.buttons(False), inputs, view.results(), **QUIET)
    for part in deciding:
        part.change(redecided, inputs, view.results(), trigger_mode="always_last", **QUIET)
    view.table.select(look, {view.asked} | deciding, ones, **QUIET)
    decide_in_browser(settings, ones)
    for index, side in enumerate(view.sides):

        def best(values: Updates, index: int = index) -> Updates:
            slider = settings.of(index, values).threshold
            return {slider: best_of(values[view.asked], index, values[slider])}

        side.best.click(best, {view.asked} | deciding, thresholds, **QUIET)


def answered_by_all(page: Page, view: BatchView, settings: SideSettings[Ask], values: Updates) -> Iterator[Updates]:
    """Asks every side in use every question of the file; the table grows meanwhile."""
    if not values[view.uploaded]:
        raise BadRequest("There are no questions. Upload a file of them first.")
    forgotten(values[view.asked])
    begun: Updates = {view.file_notice: ""} | {side.notice: "" for side in view.sides}
    asked: list[tuple[SideRun, SpanMethod, str | None]] = []
    for side in asked_sides(page, values):
        head = side_head(side.letter, side.name)
        begun |= {view.heads[side.index]: head, view.taken_heads[side.index]: head}
        try:
            method, name = _method(page, side, settings, values)
            asked.append((SideRun(side, Answered(values[view.uploaded])), method, name))
        except Exception as error:  # it is told in the side's own place, and the other sides go on
            begun[view.sides[side.index].notice] = error_notice(error)
    run = FileRun(tuple(one for one, _, _ in asked))
    yield begun | {view.asked: run if asked else None}
    if not asked:
        return
    thresholds = _thresholds(run, settings, values)
    streams = [told_by_side(_answered(page, view, *each), view.sides[each[0].side.index].notice, {}) for each in asked]
    yield from _with_table(view, run, thresholds, slowly(together(streams, view.file_notice)))


def swapped(view: BatchView, run: FileRun, settings: SideSettings[Ask], values: Updates) -> Updates:
    """What A and B answered, in each other's place, each decided by its own threshold as before."""
    own = [not settings.follows(one.side.index, values) for one in run.sides]
    sides = [replace(one, side=swapped_side(one.side)) for one in run.sides]
    found = sorted(zip(sides, _thresholds(run, settings, values), own, strict=True), key=lambda one: one[0].side.index)
    moved = FileRun(tuple(one for one, _, _ in found))
    heads = {one.side.index: side_head(one.side.letter, one.side.name) for one in moved.sides}
    updates = emptied(view) | {view.asked: moved} | {side.notice: "" for side in view.sides[:2]}
    for index, head in heads.items():
        updates |= {view.heads[index]: head, view.taken_heads[index]: head}
    return updates | settled(view, moved, [each for _, each, _ in found], [each for _, _, each in found])


def _method(page: Page, side: Chosen, settings: SideSettings[Ask], values: Updates) -> tuple[SpanMethod, str | None]:
    """How a side is asked, and by which head."""
    own = settings.of(side.index, values)
    method = SpanMethod(threshold=values[own.threshold], **checked_settings(own.settings(values)))
    name = values[own.method] or None
    picked_head(page.bench, side.spec, "answer", name, settings.follows(side.index, values))
    return method, name


def _thresholds(run: FileRun, settings: SideSettings[Ask], values: Updates) -> list[float]:
    return [values[settings.of(one.side.index, values).threshold] for one in run.sides]


def _settled(view: BatchView, run: FileRun, settings: SideSettings[Ask], values: Updates) -> Updates:
    own = [not settings.follows(one.side.index, values) for one in run.sides]
    return settled(view, run, _thresholds(run, settings, values), own)


def _with_table(view: BatchView, run: FileRun, thresholds: list[float], steps: Iterator[Updates]) -> Iterator[Updates]:
    """The sides' updates, about once a second with the table and the figures that they fill."""
    drawn_at, drawn = -TABLE_SECONDS, 0
    for update in steps:
        if run.reached > drawn and time.monotonic() - drawn_at >= TABLE_SECONDS:
            drawn_at, drawn = time.monotonic(), run.reached
            update = update | table_update(view, run, thresholds)
            for one, threshold in zip(run.sides, thresholds, strict=True):
                update |= figures_update(view, one, threshold)
        yield update


def _answered(page: Page, view: BatchView, one: SideRun, method: SpanMethod, head: str | None) -> Iterator[Updates]:
    """A side's predictions as they come, with a bar that says how long the rest will take."""
    answered, spec, place = one.answered, one.side.spec, view.sides[one.side.index].notice
    yield from takewhile(lambda _: not answered.stop.is_set(), made_ready(page, place, spec))

    def work() -> Generator[AnswerPrediction, None, None]:
        with page.bench.manager.lease(spec) as model:
            key = None if head is None else page.bench.manager.use_head(spec, head, "answer").key
            yield from ask(model, replace(method, head=key), answered.questions)

    began, total = time.monotonic(), len(answered.questions)
    for news in followed(work, answered.stop):
        answered.predictions += news
        done, seconds = len(answered.predictions), time.monotonic() - began
        left = f", about {seconds_text(seconds / done * (total - done))} left" if done else ""
        if answered.stop.is_set():
            left = ", stopping after the one that is asked"
        yield {place: progress_bar(f"{done:,} of {total:,} questions{left}", done / total)}
    yield {place: notice("plain", stopped_words(answered)) if answered.stop.is_set() else ""}
