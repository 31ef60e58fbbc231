"""The columns of the Generate tab: a side's text as it grows, with its notice and its figures."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from workbench.loading.load import LoadProgress
from workbench.manager import LoadedModel
from workbench.text.requests import Generate, Generated
from workbench.ui.bench import Bench, Page
from workbench.ui.components import box
from workbench.ui.generate.figures import figures, figures_view
from workbench.ui.generate.streams import load_steps, paced
from workbench.ui.lens.lens import LensLines, lens, named
from workbench.ui.parts import error_notice, progress_bar
from workbench.ui.sides.asking_sides import side_head
from workbench.ui.sides.merged import merged
from workbench.ui.sides.sides import Chosen, Side, swapped_side
from workbench.ui.status import load_bar, ready_line

Updates = dict[Any, Any]

PLACES = {2: ("Left", "Right"), 3: ("Left", "Middle", "Right")}
"""What the columns of a blind comparison are called."""
_UNTIL_VOTED = "<span>told after the vote below</span>"


@dataclass(frozen=True)
class Column:
    """One side's components; which model stands in which column a blind comparison keeps to itself."""

    notice: gr.HTML
    tokens: gr.HTML
    figures: gr.HTML

    def parts(self) -> list[Any]:
        """All of them."""
        return [self.notice, self.tokens, self.figures]


@dataclass(frozen=True)
class Asked:
    """What one column shows: a branch asks the same again, with other first tokens."""

    side: Chosen
    request: Generate
    text: str | None = None
    """The whole of it, once it has ended."""
    figures: str | None = None
    """How it came to be, as markup."""


@dataclass(frozen=True)
class Shown:
    """What the columns show, from left to right."""

    columns: tuple[Asked, ...]
    prompt: str = ""
    blind: bool = False
    """Whether nobody has been told yet which model stands where."""
    was_blind: bool = False

    @property
    def ended(self) -> bool:
        """Whether every text is whole."""
        return all(asked.text is not None for asked in self.columns)

    def mark(self, place: int) -> str:
        """What a column is called beside the others."""
        if self.blind:
            return PLACES[len(self.columns)][place]
        return self.columns[place].side.letter if len(self.columns) > 1 else ""

    def heads(self) -> list[str]:
        """The markup of the columns' heads; what was blind still says where it stood."""
        if self.blind:
            return [f'<p class="side-name"><b>{mark}</b> {_UNTIL_VOTED}</p>' for mark in PLACES[len(self.columns)]]
        sides = [asked.side for asked in self.columns]
        places = PLACES[len(sides)] if self.was_blind else [""] * len(sides)
        return [side_head(side.letter, side.name, place) for side, place in zip(sides, places, strict=True)]

    def lenses(self, values: Sequence[str]) -> list[str]:
        """The values of the columns' lenses, with who wrote the texts as it is known now."""
        pairs = enumerate(zip(self.columns, values, strict=False))
        return [
            named(value, "" if self.blind else asked.side.name, self.mark(place)) for place, (asked, value) in pairs
        ]

    def revealed(self) -> "Shown":
        """The same with everything told."""
        return replace(self, blind=False, was_blind=True)

    @property
    def by_lot(self) -> bool:
        """Whether the columns stand in an order of their own, and not in that of the sides."""
        return self.blind or self.was_blind

    def swapped(self) -> "Shown":
        """The same once A and B have changed places; each text keeps its model, and what stands by lot its place."""
        columns = [replace(asked, side=swapped_side(asked.side)) for asked in self.columns]
        if not self.by_lot:
            columns[:2] = columns[1::-1]
        return replace(self, columns=tuple(columns))

    def with_column(self, place: int, asked: Asked) -> "Shown":
        """The same with another text in one column."""
        return replace(self, columns=(*self.columns[:place], asked, *self.columns[place + 1 :]))


@dataclass(frozen=True)
class Written:
    """A text so far, and what the model that writes it weighs."""

    snapshot: Generated
    weights_bytes: int


Step = LoadProgress | LoadedModel | Written | None


def column_view(side: Side) -> Column:
    """Draws a column below its head."""
    letter = side.letter.lower()
    notice = box(f"notice-{letter}")
    tokens = lens(f"lens-{letter}", group="generate", branches=True)
    return Column(notice, tokens, figures_view(f"figures-{letter}"))


def emptied(column: Column) -> Updates:
    """A column in which nothing was written yet."""
    return {column.notice: "", column.tokens: "", column.figures: figures()}


def write(
    page: Page, columns: Sequence[Column], shown: Shown, places: Sequence[int]
) -> Generator[Updates, None, Shown]:
    """Writes the texts of some columns at the same time; returns what the columns show then.

    Closing this generator stops every text.
    """
    lines = {place: _lines(shown, place) for place in places}
    yield {
        part: value
        for place in places
        for part, value in (emptied(columns[place]) | {columns[place].tokens: lines[place].text()}).items()
    }
    loading: set[int] = set()
    with closing(merged([_steps(page.bench, shown.columns[place]) for place in places])) as updates:
        for items in updates:
            update: Updates = {page.status: gr.skip()}  # Gradio takes an empty dictionary for a value
            for index, item in items.items():
                place = places[index]
                if isinstance(item, Written):
                    shown = shown.with_column(place, _with_text(shown.columns[place], item))
                    if place in loading:
                        loading.remove(place)
                        update[page.status] = ready_line(page.bench)
                elif not isinstance(item, Exception):
                    loading.add(place)
                update |= _told(columns[place], shown, place, lines[place], item)
            yield update
    return shown


def _lines(shown: Shown, place: int) -> LensLines:
    """The lens's value for a column; that of a blind one does not say who writes."""
    asked = shown.columns[place]
    return LensLines("" if shown.blind else asked.side.name, asked.request, shown.mark(place))


def _steps(bench: Bench, asked: Asked) -> Iterator[Step]:
    """A side's own way: its model is loaded if need be, then its text grows."""
    spec = asked.side.spec
    if not bench.is_loaded(spec):
        yield from load_steps(bench.manager, spec)
    with bench.manager.lease(spec) as model, closing(paced(model, asked.request)) as snapshots:
        weights_bytes = bench.manager.plan(spec).weights_bytes
        for snapshot in snapshots:
            yield Written(snapshot, weights_bytes)


def _told(column: Column, shown: Shown, place: int, lines: LensLines, item: Step | Exception) -> Updates:
    """What a column shows of a step."""
    if isinstance(item, Exception):
        return {column.notice: error_notice(item)}
    if isinstance(item, Written):
        told = {column.notice: "", column.tokens: lines.text(item.snapshot)}
        return told if shown.blind else told | {column.figures: figures(item.snapshot, item.weights_bytes)}
    if isinstance(item, LoadedModel):
        return {column.notice: ""}
    bar = progress_bar("Loading a model", None) if shown.blind else load_bar(shown.columns[place].side.spec, item)
    return {column.notice: bar}


def _with_text(asked: Asked, item: Written) -> Asked:
    """What is kept of a text once it has ended."""
    if item.snapshot.finish_reason is None:
        return asked
    return replace(asked, text=item.snapshot.text, figures=figures(item.snapshot, item.weights_bytes))
