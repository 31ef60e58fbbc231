"""One text on the Classify tab as it is shown: each side's prediction as bars, and how they stand to each other."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.evals.methods.labels import ClassPrediction, TextExample
from workbench.ui.classify.class_batch import Batches
from workbench.ui.classify.class_compare import answer_marks, predictions_markup
from workbench.ui.classify.class_examples import ClassExample
from workbench.ui.classify.class_methods import Asked, ClassMethod
from workbench.ui.classify.class_view import EMPTY, prediction_markup
from workbench.ui.classify.why_view import why_view
from workbench.ui.components import box, html
from workbench.ui.lens.asking_tokens import TokenSheet, token_sheet
from workbench.ui.sides.asking_sides import side_columns, side_head, suffix_of
from workbench.ui.sides.sides import LETTERS, Chosen, Side, Sides

Updates = dict[Any, Any]

_KEYS = "<p class='keys'><kbd>Ctrl</kbd> <kbd>Enter</kbd> classifies, <kbd>Esc</kbd> stops.</p>"
BY_TOKENS, BY_WORDS = "Tokens", "Words"


@dataclass(frozen=True)
class Shown:
    """A prediction that is shown, and how it was asked for: Why asks the same way about the text's pieces."""

    side: Chosen
    asked: Asked
    method: ClassMethod
    example: TextExample
    prediction: ClassPrediction


@dataclass(frozen=True)
class OneSide:
    """Where a side's prediction is shown."""

    notice: gr.HTML
    result: gr.HTML
    shown: gr.State


@dataclass(frozen=True)
class One:
    """The components for a single text."""

    text: gr.Textbox
    run: gr.Button
    why: gr.Button
    stop: gr.Button
    pieces: gr.Radio
    heads: tuple[gr.HTML, ...]
    sides: tuple[OneSide, ...]
    compared: gr.HTML
    """How the sides' predictions stand to each other; empty with one side."""
    tokens: TokenSheet
    why_heads: tuple[gr.HTML, ...]
    reasons: tuple[gr.HTML, ...]

    def buttons(self, running: bool, explained: bool = False) -> Updates:
        """While something runs, Stop alone can be pressed; Why and the tokens need a prediction that is shown."""
        return {
            self.run: gr.Button(interactive=not running),
            self.why: gr.Button(interactive=not running and explained),
            self.tokens.look: gr.Button(interactive=not running and explained),
            self.stop: gr.Button(interactive=running),
        }

    def results(self) -> list[Any]:
        """What shows predictions."""
        of_sides = [part for side in self.sides for part in (side.notice, side.result, side.shown)]
        shown = [*self.heads, *of_sides, self.compared, *self.why_heads, *self.reasons]
        return [self.text, *shown, self.run, self.why, self.tokens.look, self.stop]

    def named(self, side: Chosen) -> Updates:
        """The heads of a side's columns."""
        head = side_head(side.letter, side.name)
        return {self.heads[side.index]: head, self.why_heads[side.index]: head}


def one_text(first: ClassExample, sides: Sides) -> One:
    """Draws the part, to be called where it should stand."""
    text = gr.Textbox(
        first.texts[0], label="Text", lines=3, max_lines=12, elem_id="class-text", placeholder="The text to classify…"
    )
    with gr.Row(elem_classes="actions"):
        run = gr.Button("Classify", variant="primary", elem_id="class-run", elem_classes="key-run", scale=3)
        why = gr.Button("Why", interactive=False, elem_id="class-why", scale=1)
        stop = gr.Button("Stop", interactive=False, elem_id="class-stop", elem_classes="key-stop", scale=1)
    html(_KEYS)
    heads, parts = side_columns(sides, _one_side)
    compared = box("class-compared")
    tokens = token_sheet(sides, "class", "Each label")
    pieces = gr.Radio(
        [BY_TOKENS, BY_WORDS], value=BY_TOKENS, label="Why takes out", elem_id="class-pieces",
        info="One at a time. Each is a text more to ask about: words are fewer.",
    )  # fmt: skip
    why_heads, reasons = side_columns(sides, lambda side: why_view(f"why-view{suffix_of(side)}"))
    return One(text, run, why, stop, pieces, heads, parts, compared, tokens, why_heads, reasons)


def _one_side(side: Side) -> OneSide:
    notice = box(f"class-notice{suffix_of(side)}")
    result = html(EMPTY, elem_id=f"class-result{suffix_of(side)}")
    return OneSide(notice, result, gr.State(None, time_to_live=3600))


def shown_row(one: One, batches: Batches | None, number: str) -> Updates | None:
    """The updates that show a row's predictions as if its text had been asked alone; None where there is no such."""
    index = int(number) - 1 if number.isdecimal() else -1
    found = [] if batches is None else [
        Shown(batch.side, batch.asked, batch.method, batch.examples[index], batch.predictions[index])
        for batch in batches.sides
        if batch.method is not None and 0 <= index < len(batch.predictions)
    ]  # fmt: skip
    if not found:
        return None
    update = cleared(one) | {one.text: found[0].prediction.text}
    for shown in found:
        part = one.sides[shown.side.index]
        update |= one.named(shown.side) | {part.result: prediction_markup(shown.prediction)}
        update |= {part.shown: shown if shown.prediction.error is None else None}
    can_explain = any(shown.prediction.error is None for shown in found)
    return update | compared(one, found) | one.buttons(False, can_explain)


def cleared(one: One) -> Updates:
    """Nothing told or explained, and every side's result is an empty one."""
    update: Updates = {one.compared: ""} | dict.fromkeys(one.reasons, "")
    for part in one.sides:
        update |= {part.notice: "", part.result: EMPTY, part.shown: None}
    return update


def moved(one: One, first: int, of_a: Shown | None) -> Updates:
    """The columns from `first` on without what stood in them: the sides have moved.

    Args:
        of_a: what the column of A shows, which stays where `first` is not 0.
    """
    update: Updates = {one.compared: ""} | dict.fromkeys(one.reasons[first:], "") | one.tokens.cleared(first)
    columns = zip(LETTERS, one.sides, one.heads, one.why_heads, strict=True)
    for letter, part, head, why_head in list(columns)[first:]:
        update |= {part.notice: "", part.result: EMPTY, part.shown: None}
        update |= dict.fromkeys((head, why_head), side_head(letter))
    return update | one.buttons(False, first > 0 and of_a is not None)


def compared(one: One, found: list[Shown]) -> Updates:
    """How the predictions of several sides stand to each other, below them and in the heads of their columns."""
    if len(found) < 2:
        return {one.compared: ""}
    pairs = [(shown.side.letter, shown.prediction) for shown in found]
    marks = answer_marks(pairs)
    heads = {
        one.heads[shown.side.index]: side_head(shown.side.letter, shown.side.name, *mark)
        for shown, mark in zip(found, marks, strict=True)
    }
    return {one.compared: predictions_markup(pairs)} | heads
