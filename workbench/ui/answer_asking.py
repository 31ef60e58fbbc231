"""Asking a single question on the Answer tab: all sides at once, with a threshold that decides without asking again."""

import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import gradio as gr

from workbench.text.language_model import LanguageModel
from workbench.text.requests import ExtractSpan, Spans
from workbench.ui.answer_one import Found, OneSide, View, compared, without_others
from workbench.ui.answer_request import build_question
from workbench.ui.answer_settings import Ask
from workbench.ui.answer_view import AT_ITS_THRESHOLD, AT_THRESHOLD, answer_text
from workbench.ui.asking_sides import SideSettings, asked_sides, side_head, together, told_by_side
from workbench.ui.bench import Page
from workbench.ui.head_choice import picked_head
from workbench.ui.parts import progress_bar, told
from workbench.ui.ready import made_ready
from workbench.ui.sides import Chosen

Updates = dict[Any, Any]


def connect_one(page: Page, view: View, settings: SideSettings[Ask]) -> None:
    """The part's events: a run, its Stop, and the thresholds."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    notices = [side.notice for side in view.sides]

    # Not called answer: Gradio would give the endpoint's name to it.
    def find(values: Updates) -> Iterator[Updates]:
        yield from told(asked_of_all(page, view, settings, values), notices[0])
        yield view.buttons(False)

    inputs = {view.question, view.context} | settings.inputs() | page.sides.inputs()
    outputs = [*view.results(), view.run, view.stop, page.status]
    answers = view.run.click(find, inputs, outputs, concurrency_limit=None, **quiet)
    stopped = [*notices, view.run, view.stop]
    view.stop.click(lambda: dict.fromkeys(notices, "") | view.buttons(False), None, stopped, cancels=[answers], **quiet)

    def redecided(values: Updates) -> Updates:
        found = [one for one in values[view.found] if one.side.index < values[page.sides.count]]
        thresholds = [values[settings.of(one.side.index, values).threshold] for one in found]
        return compared(view, found, thresholds)

    deciding: list[Any] = [*settings.as_a, *(ask.threshold for ask in settings.each)]
    for part in deciding:
        shown = [view.compared, *view.heads]
        part.change(redecided, {view.found, page.sides.count, *deciding}, shown, trigger_mode="always_last", **quiet)
    decide_in_browser(settings, [side.answer for side in view.sides])
    for button in page.sides.removes:
        button.click(lambda found: without_others(view, found), view.found, view.results(), **quiet)


def decide_in_browser(settings: SideSettings[Ask], answers: Sequence[gr.HTML]) -> None:
    """A threshold that moves decides at once over the answers of its sides, without asking the page's server."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    first = settings.each[0].threshold
    first.change(None, [first, answers[0]], answers[0], js=AT_THRESHOLD, **quiet)
    for ask, as_a, answer in zip(settings.each[1:], settings.as_a, answers[1:], strict=True):
        for part in (first, ask.threshold, as_a):
            inputs = [first, ask.threshold, as_a, answer]
            part.change(None, inputs, answer, js=AT_ITS_THRESHOLD, **quiet)


def asked_of_all(page: Page, view: View, settings: SideSettings[Ask], values: Updates) -> Iterator[Updates]:
    """Every side in use reads the passage and marks its answer in it."""
    question, context = values[view.question] or "", values[view.context] or ""
    # No earlier answer stays beside what may be told now.
    begun: Updates = {view.compared: "", view.found: ()} | {side.answer: "" for side in view.sides}
    yield begun | {side.notice: "" for side in view.sides}
    build_question(question, context, None, {})  # what is wrong with the texts is told once, not by each side
    chosen = asked_sides(page, values)
    yield {view.heads[side.index]: side_head(side.letter, side.name) for side in chosen} | view.buttons(True)
    parts = [view.sides[side.index] for side in chosen]
    found: dict[int, Found] = {}
    streams = [
        told_by_side(_answer(page, part, side, settings, values, (question, context), found), part.notice, {})
        for side, part in zip(chosen, parts, strict=True)
    ]
    yield from together(streams, view.compared)
    answered = tuple(found[index] for index in sorted(found))
    thresholds = [values[settings.of(one.side.index, values).threshold] for one in answered]
    yield {view.found: answered} | compared(view, answered, thresholds)


def _answer(
    page: Page,
    part: OneSide,
    side: Chosen,
    settings: SideSettings[Ask],
    values: Updates,
    asked: tuple[str, str],
    found: dict[int, Found],
) -> Iterator[Updates]:
    """One side reads the passage; what it finds goes into `found`.

    Args:
        asked: the question and the passage.
    """
    ask, spec = settings.of(side.index, values), side.spec
    threshold, named, method = values[ask.threshold], ask.settings(values), values[ask.method]
    build_question(*asked, None, named)  # told before a model is loaded for it
    yield {part.answer: answer_text(*asked, threshold)}
    card = picked_head(page.bench, spec, "answer", method, settings.follows(side.index, values))
    yield from made_ready(page, part.notice, spec)
    with page.bench.manager.lease(spec) as model:
        key = None if card is None else page.bench.manager.use_head(spec, method, "answer").key
        spans, seconds = yield from _read(model, build_question(*asked, key, named), part.notice)
    found[side.index] = Found(side, spans)
    yield {part.notice: "", part.answer: answer_text(*asked, threshold, spans, seconds)}


def _read(model: LanguageModel, request: ExtractSpan, notice: gr.HTML) -> Generator[Updates, None, tuple[Spans, float]]:
    """The spans and how many seconds they took, with a bar that moves from window to window."""
    began = time.monotonic()
    steps = model.extract_steps(request)
    try:
        while True:
            done, windows = next(steps)
            words = f"Reading the passage: {done:,} of {windows:,} windows" if windows > 1 else "Reading the passage"
            yield {notice: progress_bar(words, done / windows if windows > 1 else None)}
    except StopIteration as end:
        return end.value, time.monotonic() - began
    finally:
        steps.close()
