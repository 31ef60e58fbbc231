"""Asking a single question on the Answer tab: all sides at once, with a threshold that decides without asking again."""

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from workbench.text.language_model import LanguageModel
from workbench.text.requests import ExtractSpan, Span, Spans
from workbench.ui.answer.answer_one import Found, OneSide, View, compared, moved
from workbench.ui.answer.answer_request import build_question
from workbench.ui.answer.answer_settings import Ask
from workbench.ui.answer.answer_view import AT_ITS_THRESHOLD, AT_THRESHOLD, answer_text
from workbench.ui.bench import Page
from workbench.ui.components import QUIET
from workbench.ui.head_choice import picked_head
from workbench.ui.lens.asking_tokens import Look, looked_at
from workbench.ui.lens.score_lens import ScoreAsk, span_asks
from workbench.ui.parts import progress_bar, told
from workbench.ui.ready import made_ready
from workbench.ui.sides.asking_sides import SideSettings, asked_sides, side_head, together, told_by_side
from workbench.ui.sides.sides import Chosen

Updates = dict[Any, Any]


def connect_one(page: Page, view: View, settings: SideSettings[Ask]) -> None:
    """The part's events: a run, the tokens, the Stop of both, and the thresholds."""
    notices = [side.notice for side in view.sides]

    # Not called answer: Gradio would give the endpoint's name to it.
    def find(values: Updates) -> Iterator[Updates]:
        found: Sequence[Found] = ()
        for update in told(asked_of_all(page, view, settings, values), notices[0]):
            found = update.get(view.found, found)
            yield update
        yield view.buttons(False, bool(found))

    def look(values: Updates) -> Iterator[Updates]:
        yield view.buttons(True)
        yield from told(looked_at(page, view.tokens, looks_of(_in_use(page, view, values))), view.tokens.notices[0])
        yield view.buttons(False, bool(values[view.found]))

    def stopped(found: Sequence[Found]) -> Updates:
        return dict.fromkeys([*notices, *view.tokens.notices], "") | view.buttons(False, bool(found))

    inputs = {view.question, view.context} | settings.inputs() | page.sides.inputs()
    buttons = [view.run, view.tokens.look, view.stop]
    outputs = [*view.results(), *buttons, page.status]
    answers = view.run.click(find, inputs, outputs, concurrency_limit=None, **QUIET)
    tokens = view.tokens.results()
    looks = view.tokens.look.click(
        look, {view.found, page.sides.count}, [*tokens, *buttons, page.status], concurrency_limit=None, **QUIET
    )
    view.run.click(view.tokens.cleared, None, tokens, **QUIET)
    freed = [*notices, *view.tokens.notices, *buttons]
    view.stop.click(stopped, view.found, freed, cancels=[answers, looks], **QUIET)
    _connect_thresholds(page, view, settings)
    # What is asked meanwhile ends: its answers would come into columns that stand for other models by then.
    of_all: dict[str, Any] = {"inputs": view.found, "outputs": [*outputs, *tokens], "cancels": [answers, looks]}
    page.sides.swap.click(lambda found: moved(view, 0, found), **of_all, **QUIET)
    for button in page.sides.removes:
        button.click(lambda found: moved(view, 1, found), **of_all, **QUIET)


def _connect_thresholds(page: Page, view: View, settings: SideSettings[Ask]) -> None:
    """A threshold that moves decides anew, without asking the model again."""

    def redecided(values: Updates) -> Updates:
        found = _in_use(page, view, values)
        thresholds = [values[settings.of(one.side.index, values).threshold] for one in found]
        return compared(view, found, thresholds)

    deciding: list[Any] = [*settings.as_a, *(ask.threshold for ask in settings.each)]
    for part in deciding:
        shown = [view.compared, *view.heads]
        part.change(redecided, {view.found, page.sides.count, *deciding}, shown, trigger_mode="always_last", **QUIET)
    decide_in_browser(settings, [side.answer for side in view.sides])


def _in_use(page: Page, view: View, values: Updates) -> list[Found]:
    """What the sides in use have found."""
    return [one for one in values[view.found] or () if one.side.index < values[page.sides.count]]


def decide_in_browser(settings: SideSettings[Ask], answers: Sequence[gr.HTML]) -> None:
    """A threshold that moves decides at once over the answers of its sides, without asking the page's server."""
    first = settings.each[0].threshold
    first.change(None, [first, answers[0]], answers[0], js=AT_THRESHOLD, **QUIET)
    for ask, as_a, answer in zip(settings.each[1:], settings.as_a, answers[1:], strict=True):
        for part in (first, ask.threshold, as_a):
            inputs = [first, ask.threshold, as_a, answer]
            part.change(None, inputs, answer, js=AT_ITS_THRESHOLD, **QUIET)


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
        request = build_question(*asked, key, named)
        spans, seconds = yield from _read(model, request, part.notice)
    found[side.index] = Found(side, request, spans)
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


def looks_of(found: Sequence[Found]) -> list[Look]:
    """What each side's model is asked for the tokens of its answers, and then of those that other sides gave."""
    return [_look(one, found) for one in found]


def _look(one: Found, found: Sequence[Found]) -> Look:
    if one.request.head is not None:
        return Look(one.side, head_scores="Its scores are start and end logits.")
    spans: dict[str, Span] = {}
    notes: dict[str, str] = {}
    for each in (one, *found):
        for span in each.spans.n_best:
            if spans.setdefault(span.text, span) is span and each is not one:
                notes[span.text] = f"from the answers of {each.side.letter}"

    def asks(model: LanguageModel) -> list[ScoreAsk]:
        asked = span_asks(model, one.request, list(spans.values()))
        return [replace(ask, note=notes.get(ask.name, "")) for ask in asked]

    return Look(one.side, asks)
