"""Asking about many texts on the Classify tab: all sides at once, with live progress, and Stop that loses nothing."""

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import takewhile
from typing import Any

import gradio as gr

from workbench.evals.asking import ask
from workbench.evals.methods.labels import ClassPrediction
from workbench.ui.background import followed
from workbench.ui.bench import Page
from workbench.ui.classify.class_batch import Batch, Batches
from workbench.ui.classify.class_form import Form
from workbench.ui.classify.class_many import Many, connect_file, end_notice, ended, just_begun, swapped, table_update
from workbench.ui.classify.class_methods import ClassMethod
from workbench.ui.classify.threshold_view import best_threshold, threshold_markup
from workbench.ui.components import QUIET
from workbench.ui.head_choice import picked_head
from workbench.ui.parts import error_notice, progress_bar, told
from workbench.ui.ready import made_ready
from workbench.ui.sides.asking_sides import SideSettings, asked_sides, side_head, slowly, together, told_by_side

Updates = dict[Any, Any]

_TABLE_SECONDS = 1.0
_ROWS_A_SECOND = 2_000
"""A long table is sent less often: every so many rows add a second to the wait."""
_SAMPLE = 200
"""Texts of the batch that the domain calibration draws its words from."""


def connect_many(page: Page, many: Many, settings: SideSettings[Form]) -> None:
    """The part's events: the file, the run and its Stop, the thresholds."""
    connect_file(page, many, settings.each[0].labels)

    def run_batch(values: Updates) -> Iterator[Updates]:
        yield from told(classified_by_all(page, many, settings, values), many.file_notice)

    # Not a cancelled event: Gradio sends the last progress of one once more, over what Stop says.
    def stop(batches: Batches | None) -> Updates:
        if batches is not None:
            batches.stop()
        return {many.stop: gr.Button(interactive=False)}

    texts = {many.texts, many.uploaded, many.text_column, many.label_column}
    inputs = texts | settings.inputs() | page.sides.inputs()
    # In three steps: what a browser must not miss is told before and after the stream, in which updates may be lost.
    told_at_once = [*many.results(), many.file_notice, *many.notices]
    first = many.run.click(lambda: just_begun(many), None, told_at_once, **QUIET)
    live = [*many.live(), page.status]
    runs = first.then(run_batch, inputs, live, concurrency_limit=None, **QUIET)
    runs.then(lambda batches: ended(many, batches) | many.buttons(False), many.batches, many.results(), **QUIET)
    many.stop.click(stop, many.batches, [many.stop], concurrency_limit=None, **QUIET)

    # While a run goes on the sides that it asks stay where they are.
    def swap(batches: Batches | None) -> Updates:
        return swapped(many, batches) if batches is not None and batches.ended else {many.table: gr.skip()}

    page.sides.swap.click(swap, many.batches, list({*many.live(), *many.results()}), **QUIET)
    for index in range(len(many.sides)):
        _connect_threshold(many, index)


def _connect_threshold(many: Many, index: int) -> None:
    """A side's threshold for a class decides anew what its probabilities say."""
    part = many.sides[index]

    def at_threshold(batches: Batches | None, label: str, threshold: float) -> str:
        batch = batches.of(index) if batches else None
        return threshold_markup(batch.predictions, label, threshold) if batch else ""

    def at_best(batches: Batches | None, label: str) -> Updates:
        batch = batches.of(index) if batches else None
        at = best_threshold(batch.predictions, label) if batch else 0.5
        return {part.threshold: at, part.sweep_chart: at_threshold(batches, label, at)}

    chosen = [many.batches, part.sweep_class, part.threshold]
    part.threshold.input(at_threshold, chosen, part.sweep_chart, trigger_mode="always_last", **QUIET)
    part.sweep_class.input(at_best, chosen[:2], [part.threshold, part.sweep_chart], **QUIET)


def classified_by_all(page: Page, many: Many, settings: SideSettings[Form], values: Updates) -> Iterator[Updates]:
    """Asks every side in use about one text after another; the table grows meanwhile."""
    many.examples(page, values, None)  # what is wrong with the texts is told once, not by each side
    begun: Updates = dict.fromkeys(many.notices, "") | {many.file_notice: ""}
    batches: list[Batch] = []
    for side in asked_sides(page, values):
        begun |= dict.fromkeys(
            (many.heads[side.index], many.notice_heads[side.index]), side_head(side.letter, side.name)
        )
        place = many.notices[side.index]
        try:
            asked = settings.of(side.index, values).asked(values)
            follows = settings.follows(side.index, values)
            card = picked_head(page.bench, side.spec, "classify", asked.head, follows)
            batches.append(Batch(side, asked, many.examples(page, values, card)))
            begun[place] = progress_bar("Starting", None)
        except Exception as error:  # it is told in the side's own place, and the other sides go on
            begun[place] = error_notice(error)
    asked_of = Batches(tuple(batches))
    yield begun | {many.batches: asked_of if batches else None}
    if not batches:
        return
    streams = [told_by_side(_classify(page, many, batch), many.notices[batch.side.index], {}) for batch in batches]
    yield from _with_table(many, asked_of, together(streams, many.file_notice))


def _with_table(many: Many, batches: Batches, steps: Iterator[Updates]) -> Iterator[Updates]:
    """The sides' updates, about once a second with the table that all of them fill."""
    shown_at, shown = 0.0, 0
    for update in slowly(steps):
        reached = batches.reached
        if reached > shown and time.monotonic() - shown_at > _TABLE_SECONDS + reached / _ROWS_A_SECOND:
            update = update | table_update(many, batches)
            shown_at, shown = time.monotonic(), reached
        yield update


def _classify(page: Page, many: Many, batch: Batch) -> Iterator[Updates]:
    """Asks one side about one text after another."""
    place, spec = many.notices[batch.side.index], batch.side.spec
    yield from takewhile(lambda _: not batch.stop.is_set(), made_ready(page, place, spec))
    texts = [example.text for example in batch.examples[:_SAMPLE]]

    def work() -> Generator[ClassMethod | ClassPrediction, None, None]:
        with page.bench.manager.lease(spec) as model:
            method = batch.asked.method(page.bench.manager, spec, model, texts)
            yield method
            yield from ask(model, method, batch.examples)

    with closing(followed(work, batch.stop)) as steps:
        for items in steps:
            for item in items:
                if not isinstance(item, ClassPrediction):
                    batch.start(item)
            batch.add([item for item in items if isinstance(item, ClassPrediction)])
            yield {place: batch.progress()}
    yield {place: end_notice(batch)}
