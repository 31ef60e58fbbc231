"""Asking about one text on the Classify tab: all sides at once, and each about the text without its pieces."""

import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import gradio as gr

from workbench.errors import BadRequest
from workbench.evals.asking import ask_one
from workbench.evals.methods.labels import ClassPrediction, LabelLikelihood, TextExample
from workbench.evals.why import Contribution, leave_one_out
from workbench.ui.background import followed
from workbench.ui.bench import Page
from workbench.ui.classify.class_form import Form
from workbench.ui.classify.class_methods import ClassMethod, tokens_read
from workbench.ui.classify.class_one import BY_WORDS, One, OneSide, Shown, compared, moved
from workbench.ui.classify.class_view import EMPTY, Cost, prediction_markup
from workbench.ui.classify.why_view import MOST_PIECES, WhyLines, pieces_of
from workbench.ui.components import QUIET
from workbench.ui.head_choice import picked_head
from workbench.ui.lens.asking_tokens import Look, looked_at
from workbench.ui.lens.score_lens import label_asks
from workbench.ui.parts import notice, progress_bar, seconds_text, told
from workbench.ui.ready import made_ready
from workbench.ui.sides.asking_sides import SideSettings, asked_sides, together, told_by_side
from workbench.ui.sides.sides import Chosen

Updates = dict[Any, Any]


def connect_one(page: Page, one: One, settings: SideSettings[Form]) -> None:
    """The part's events: Classify, Why, the tokens, and the Stop of all three."""
    outputs = [*one.results(), page.status]
    notices = [side.notice for side in one.sides]
    shown = [side.shown for side in one.sides]

    def run_one(values: Updates) -> Iterator[Updates]:
        explained = False
        for update in told(asked_of_all(page, one, settings, values), notices[0]):
            explained = explained or any(update.get(part) is not None for part in shown)
            yield update
        yield one.buttons(False, explained)

    def why(values: Updates) -> Iterator[Updates]:
        yield from told(explained_by_all(page, one, values), notices[0])
        yield one.buttons(False, any(values[part] is not None for part in shown))

    def look(values: Updates) -> Iterator[Updates]:
        yield one.buttons(True)
        yield from told(looked_at(page, one.tokens, looks_of(all_shown(page, one, values))), one.tokens.notices[0])
        yield one.buttons(False, any(values[part] is not None for part in shown))

    def stopped(*found: Shown | None) -> Updates:
        return dict.fromkeys([*notices, *one.tokens.notices], "") | one.buttons(False, any(found))

    asked = {one.text} | settings.inputs() | page.sides.inputs()
    asks = one.run.click(run_one, asked, outputs, concurrency_limit=None, **QUIET)
    looked: set[Any] = {one.pieces, page.sides.count, *shown}
    explains = one.why.click(why, looked, outputs, concurrency_limit=None, **QUIET)
    buttons = [one.run, one.why, one.tokens.look, one.stop]
    tokens = one.tokens.results()
    looks = one.tokens.look.click(
        look, {page.sides.count, *shown}, [*tokens, *buttons, page.status], concurrency_limit=None, **QUIET
    )
    one.run.click(one.tokens.cleared, None, tokens, **QUIET)
    freed = [*notices, *one.tokens.notices, *buttons]
    one.stop.click(stopped, shown, freed, cancels=[asks, explains, looks], **QUIET)
    _connect_moves(page, one, [asks, explains, looks])


def _connect_moves(page: Page, one: One, running: list[Any]) -> None:
    """Sides that are swapped or removed.

    Args:
        running: the events that end then: their answers would come into columns that stand for other models.
    """
    outputs = [*one.results(), *one.tokens.results()]
    moves = [(page.sides.swap, 0), *((button, 1) for button in page.sides.removes)]
    for button, first in moves:

        def move(found: Shown | None, first: int = first) -> Updates:
            return moved(one, first, found)

        button.click(move, one.sides[0].shown, outputs, cancels=running, **QUIET)


def asked_of_all(page: Page, one: One, settings: SideSettings[Form], values: Updates) -> Iterator[Updates]:
    """Asks every side in use about the text, all at once."""
    example = TextExample("1", values[one.text] or "")
    if not example.text.strip():
        raise BadRequest("The text is empty: there is nothing to classify. Write one, or pick an example.")
    chosen = asked_sides(page, values)
    begun: Updates = {one.compared: ""} | dict.fromkeys(one.reasons, "") | {part.shown: None for part in one.sides}
    for side in chosen:
        begun |= one.named(side) | {one.sides[side.index].notice: progress_bar("Asking", None)}
    yield begun | one.buttons(True)
    parts = [one.sides[side.index] for side in chosen]
    streams = [
        told_by_side(
            _classify(page, part, side, settings, values, example),
            part.notice,
            {part.result: EMPTY, part.shown: None},
        )
        for side, part in zip(chosen, parts, strict=True)
    ]
    found: dict[gr.State, Shown] = {}
    for update in together(streams, one.compared):
        found |= {part.shown: update[part.shown] for part in parts if update.get(part.shown) is not None}
        yield update
    yield compared(one, [found[part.shown] for part in parts if part.shown in found])


def _classify(
    page: Page, part: OneSide, side: Chosen, settings: SideSettings[Form], values: Updates, example: TextExample
) -> Iterator[Updates]:
    """Asks one side about the text and shows its bars."""
    asked = settings.of(side.index, values).asked(values)
    picked_head(page.bench, side.spec, "classify", asked.head, settings.follows(side.index, values))
    yield from made_ready(page, part.notice, side.spec)

    def work() -> Generator[str, None, tuple[ClassMethod, ClassPrediction, Cost]]:
        yield "Asking"
        with page.bench.manager.lease(side.spec) as model:
            method = asked.method(page.bench.manager, side.spec, model, [example.text])
            yield f"Asking about {len(method.labels):,} labels"
            began = time.monotonic()
            prediction = ask_one(model, method, example)
            seconds = time.monotonic() - began
            requests = method.requests(example)
            return method, prediction, Cost(len(requests), tokens_read(model, requests), seconds)

    result = yield from _waited(followed(work), part.notice)
    if result is not None:
        method, prediction, cost = result
        shown = Shown(side, asked, method, example, prediction)
        yield {part.notice: "", part.result: prediction_markup(prediction, cost), part.shown: shown}


def _waited(steps: Generator[list[str], None, Any], place: gr.HTML) -> Generator[Updates, None, Any]:
    """Follows work that tells what it does, with a moving bar; gives what it comes to."""
    began, words = time.monotonic(), "Asking"
    try:
        while True:
            words = next(iter(next(steps)[-1:]), words)
            yield {place: progress_bar(f"{words}, {seconds_text(time.monotonic() - began)}", None)}
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


def all_shown(page: Page, one: One, values: Updates) -> list[Shown]:
    """The predictions that are shown of the sides in use."""
    in_use = [values[side.shown] for side in one.sides[: values[page.sides.count]]]
    return [shown for shown in in_use if shown is not None]


def looks_of(shown: Sequence[Shown]) -> list[Look]:
    """What each side's model is asked for the tokens of its labels, the likeliest first."""
    return [_look(each) for each in shown]


def _look(shown: Shown) -> Look:
    if not isinstance(shown.method, LabelLikelihood):
        return Look(shown.side, head_scores="It gives one logit a label.")
    scores = shown.prediction.scores
    asks = label_asks(shown.method, shown.example, labels=sorted(scores, key=scores.__getitem__, reverse=True))
    return Look(shown.side, lambda _: asks)


def explained_by_all(page: Page, one: One, values: Updates) -> Iterator[Updates]:
    """Asks every side that shows a prediction about the text without each of its pieces."""
    shown = all_shown(page, one, values)
    if not shown:
        raise BadRequest("There is no prediction to explain, or it was made too long ago. Classify the text first.")
    by_words = values[one.pieces] == BY_WORDS
    begun: Updates = dict.fromkeys(one.reasons, "")
    for each in shown:
        begun[one.sides[each.side.index].notice] = progress_bar("Asking without each piece", None)
    yield begun | one.buttons(True)
    streams = []
    for each in shown:
        place, reasons = one.sides[each.side.index].notice, one.reasons[each.side.index]
        streams.append(told_by_side(_why(page, place, reasons, each, by_words), place, {}))
    yield from together(streams, one.compared)


def _why(page: Page, place: gr.HTML, reasons: gr.HTML, shown: Shown, by_words: bool) -> Iterator[Updates]:
    """Asks one side about the text without each of its pieces, one after another."""
    spec = shown.side.spec
    yield from made_ready(page, place, spec)

    def work() -> Generator[WhyLines | Contribution, None, None]:
        with page.bench.manager.lease(spec) as model:
            method = shown.method
            if shown.asked.head is not None:  # the model may have been loaded anew, without its heads
                method = shown.asked.method(page.bench.manager, spec, model, [])
            pieces = pieces_of(shown.example.text, model.tokenizer, by_words)
            asked = pieces[:MOST_PIECES]
            yield WhyLines(shown.prediction, asked, len(pieces))
            yield from leave_one_out(model, method, shown.example, asked)

    lines: WhyLines | None = None
    began = time.monotonic()
    for items in followed(work):
        for item in items:
            if isinstance(item, WhyLines):
                lines = item
            elif lines is not None:
                lines.add(item)
        words = f"Asking without each piece, {seconds_text(time.monotonic() - began)}"
        yield {place: progress_bar(words, None)} | ({reasons: lines.text()} if lines and items else {})
    alone = lines is not None and not lines.count
    yield {place: notice("plain", "The text is a single piece", "Without it nothing would be left.") if alone else ""}
