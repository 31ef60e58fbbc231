"""A single question on the Answer tab as it is shown: each side's answer in the passage, and how they compare."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.text.requests import ExtractSpan, Spans
from workbench.ui.answer.answer_compare import SideSpans, span_marks, spans_markup
from workbench.ui.answer.answer_view import answer_view
from workbench.ui.answer.passages import PASSAGES
from workbench.ui.components import box, html
from workbench.ui.lens.asking_tokens import TokenSheet, token_sheet
from workbench.ui.sides.asking_sides import side_columns, side_head, suffix_of
from workbench.ui.sides.sides import LETTERS, Chosen, Side, Sides

Updates = dict[Any, Any]

_KEYS = "<p class='keys'><kbd>Ctrl</kbd> <kbd>Enter</kbd> answers, <kbd>Esc</kbd> stops.</p>"


@dataclass(frozen=True)
class Found:
    """What a side found in the passage."""

    side: Chosen
    request: ExtractSpan
    spans: Spans


@dataclass(frozen=True)
class OneSide:
    """Where a side's answer is shown."""

    notice: gr.HTML
    answer: gr.HTML


@dataclass(frozen=True)
class View:
    """The components of the single question."""

    question: gr.Textbox
    context: gr.Textbox
    run: gr.Button
    stop: gr.Button
    heads: tuple[gr.HTML, ...]
    sides: tuple[OneSide, ...]
    compared: gr.HTML
    """How the sides' answers stand to each other; empty with one side."""
    found: gr.State
    """Of each side that answered what it found."""
    tokens: TokenSheet

    def buttons(self, running: bool, found: bool = False) -> Updates:
        """Answer and Stop: exactly one of them can be pressed. The tokens need an answer that is shown."""
        look = {self.tokens.look: gr.Button(interactive=not running and found)}
        return look | {self.run: gr.Button(interactive=not running), self.stop: gr.Button(interactive=running)}

    def results(self) -> list[Any]:
        """What shows answers."""
        of_sides = [part for side in self.sides for part in (side.notice, side.answer)]
        return [*self.heads, *of_sides, self.compared, self.found]


def one_question(sides: Sides) -> View:
    """Draws the part, to be called where it should stand."""
    first = PASSAGES[0]
    question = gr.Textbox(first.question, label="Question", lines=1, elem_id="question", placeholder="Ask something…")
    context = gr.Textbox(
        first.text, label="Passage", lines=6, max_lines=14, elem_id="passage",
        placeholder="The text in which the answer stands…",
    )  # fmt: skip
    examples = gr.Dataset(
        components=[gr.Textbox(visible=False), gr.Textbox(visible=False)],
        samples=[[passage.question, passage.text] for passage in PASSAGES],
        sample_labels=[passage.label for passage in PASSAGES],
        label="Examples",
        elem_id="passages",
    )
    examples.click(tuple, examples, [question, context], show_progress="hidden", api_visibility="private")
    with gr.Row(elem_classes="actions"):
        run = gr.Button("Answer", variant="primary", elem_id="answer-run", elem_classes="key-run", scale=3)
        stop = gr.Button("Stop", interactive=False, elem_id="answer-stop", elem_classes="key-stop", scale=1)
    html(_KEYS)
    heads, parts = side_columns(sides, _one_side)
    compared = box("answer-compared")
    found = gr.State((), time_to_live=3600)
    tokens = token_sheet(sides, "answer", "Each answer")
    return View(question, context, run, stop, heads, parts, compared, found, tokens)


def _one_side(side: Side) -> OneSide:
    notice = box(f"answer-notice{suffix_of(side)}")
    return OneSide(notice, answer_view(f"answer-view{suffix_of(side)}"))


def moved(view: View, first: int, found: Sequence[Found]) -> Updates:
    """The columns from `first` on without what stood in them: the sides have moved."""
    stays = tuple(one for one in found or () if one.side.index < first)
    update: Updates = {view.compared: "", view.found: stays}
    for letter, part, head in list(zip(LETTERS, view.sides, view.heads, strict=True))[first:]:
        update |= {part.notice: "", part.answer: "", head: side_head(letter)}
    return update | view.tokens.cleared(first) | view.buttons(False, bool(stays))


def compared(view: View, found: Sequence[Found], thresholds: Sequence[float]) -> Updates:
    """How the answers of several sides stand to each other, below them and in the heads of their columns.

    Args:
        thresholds: of each of `found`.
    """
    if len(found) < 2:
        return {view.compared: ""}
    sides = [SideSpans(one.side.letter, one.spans, threshold) for one, threshold in zip(found, thresholds, strict=True)]
    heads = {
        view.heads[one.side.index]: side_head(one.side.letter, one.side.name, *mark)
        for one, mark in zip(found, span_marks(sides), strict=True)
    }
    return {view.compared: spans_markup(sides)} | heads
