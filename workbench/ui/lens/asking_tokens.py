"""The token lens on the Classify and the Answer tab: what each side's scores were made of, asked of its model again."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.errors import BadRequest
from workbench.text.language_model import LanguageModel
from workbench.ui.bench import Page
from workbench.ui.components import box, html
from workbench.ui.lens.lens import ScoredText, lens, score_lines, with_difference
from workbench.ui.lens.score_lens import ScoreAsk, no_tokens, scored_texts
from workbench.ui.parts import notice, progress_bar
from workbench.ui.ready import made_ready
from workbench.ui.sides.asking_sides import side_columns, side_head, suffix_of, together, told_by_side
from workbench.ui.sides.sides import LETTERS, Chosen, Side, Sides

Updates = dict[Any, Any]


@dataclass(frozen=True)
class TokenSide:
    """Where a side's tokens are shown."""

    notice: gr.HTML
    lens: gr.HTML


@dataclass(frozen=True)
class TokenSheet:
    """The button, and below it a lens a side; nothing but the button is seen before it is pressed."""

    look: gr.Button
    heads: tuple[gr.HTML, ...]
    sides: tuple[TokenSide, ...]

    @property
    def notices(self) -> list[gr.HTML]:
        """Where the sides tell how far they are."""
        return [side.notice for side in self.sides]

    def results(self) -> list[Any]:
        """What shows tokens."""
        return [*self.heads, *self.notices, *(side.lens for side in self.sides)]

    def cleared(self, first: int = 0) -> Updates:
        """Nothing is shown of the sides from the first one on."""
        heads = {head: side_head(letter) for head, letter in zip(self.heads[first:], LETTERS[first:], strict=True)}
        return heads | {part: "" for side in self.sides[first:] for part in (side.notice, side.lens)}


@dataclass(frozen=True)
class Look:
    """What a side's model is asked."""

    side: Chosen
    asks: Callable[[LanguageModel], Sequence[ScoreAsk]] | None = None
    """Told inside the model's lease, the likeliest first; None: a trained head answered."""
    head_scores: str = ""
    """What a trained head's scores are."""


def token_sheet(sides: Sides, name: str, what: str) -> TokenSheet:
    """Draws the button and the lenses, to be called where they should stand.

    Args:
        name: what the names of the elements begin with.
        what: whose tokens are shown.
    """
    with gr.Column(elem_classes="token-sheet"):
        with gr.Row(elem_classes="token-sheet-head"):
            look = gr.Button(
                "Look at the tokens", interactive=False, elem_id=f"{name}-look", size="sm", scale=0, min_width=190
            )
            words = f"<p class='keys'>{what}, token by token: asked once more, of every side.</p>"
            html(words)
        heads, parts = side_columns(sides, lambda side: _token_side(side, name))
    return TokenSheet(look, heads, parts)


def _token_side(side: Side, name: str) -> TokenSide:
    told = box(f"{name}-look-notice{suffix_of(side)}")
    return TokenSide(told, lens(f"{name}-lens-{side.letter.lower()}", "Tokens", empty=""))


def looked_at(page: Page, sheet: TokenSheet, looks: Sequence[Look]) -> Iterator[Updates]:
    """Asks all sides at once; in the end those after the first also show how much they differ from it.

    Raises:
        BadRequest: there is nothing to look at.
    """
    if not looks:
        raise BadRequest("There is no answer to look into, or it was given too long ago. Ask first.")
    heads = {sheet.heads[look.side.index]: side_head(look.side.letter, look.side.name) for look in looks}
    yield sheet.cleared() | heads
    found: dict[int, list[ScoredText]] = {}
    streams = []
    for look in looks:
        part = sheet.sides[look.side.index]
        streams.append(told_by_side(_scored(page, part, look, found), part.notice, {}))
    yield from together(streams, sheet.look)
    scored = [look.side for look in looks if look.side.index in found]
    for side in scored[1:]:
        texts = with_difference(found[side.index], found[scored[0].index])
        yield {sheet.sides[side.index].lens: score_lines(side.name, texts, side.letter, scored[0].letter)}


def _scored(page: Page, part: TokenSide, look: Look, found: dict[int, list[ScoredText]]) -> Iterator[Updates]:
    """A side's texts as they are scored; all of them go into `found`."""
    side = look.side
    if look.asks is None:
        yield {part.notice: notice("plain", "A trained head has no tokens to show", no_tokens(look.head_scores))}
        return
    yield from made_ready(page, part.notice, side.spec)
    yield {part.notice: progress_bar("Asking", None)}
    with page.bench.manager.lease(side.spec) as model:
        asks = look.asks(model)
        for texts in scored_texts(model, asks):
            found[side.index] = texts
            words = f"{len(texts):,} of {len(asks):,} texts"
            bar = progress_bar(words, len(texts) / len(asks))
            yield {part.notice: bar, part.lens: score_lines(side.name, texts, side.letter)}
    yield {part.notice: ""}
