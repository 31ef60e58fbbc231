"""What the Classify and the Answer tab share for their sides: a column each, settings that may follow A's, one run."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from html import escape
from typing import Any, Generic, Protocol, TypeVar

import gradio as gr

from workbench.errors import BadRequest
from workbench.manager import ModelSpec
from workbench.ui.bench import Bench, Page
from workbench.ui.components import QUIET, html
from workbench.ui.parts import error_notice
from workbench.ui.sides.merged import merged
from workbench.ui.sides.sides import Chosen, Side, Sides, chosen_side
from workbench.ui.sides.sides_memory import check_together

Updates = dict[Any, Any]
Part = TypeVar("Part")

SLOW_SECONDS = 0.4
_AS_A = "Asked with A's settings. Untick it to give this side its own."


class Settings(Protocol):
    """The controls of one side."""

    def inputs(self) -> set[Any]:
        """All of them."""
        ...

    def parts(self) -> list[Any]:
        """All of them, and what is shown beside them."""
        ...


Own = TypeVar("Own", bound=Settings)


@dataclass(frozen=True)
class SideSettings(Generic[Own]):
    """The settings of every side; a side after A has its own only while its "As A" is not ticked."""

    each: tuple[Own, ...]
    as_a: tuple[gr.Checkbox, ...]
    """Of the sides after A."""
    copies: tuple[gr.Button, ...]
    places: tuple[gr.Column, ...]
    """Where the own controls of the sides after A stand."""

    def inputs(self) -> set[Any]:
        """Every control of every side."""
        return {*self.as_a, *(control for own in self.each for control in own.inputs())}

    def follows(self, index: int, values: Updates) -> bool:
        """Whether a side is asked as A is."""
        return index > 0 and bool(values[self.as_a[index - 1]])

    def of(self, index: int, values: Updates) -> Own:
        """The controls that count for a side."""
        return self.each[0] if self.follows(index, values) else self.each[index]


def suffix_of(side: Side) -> str:
    """What an element's name ends in: nothing for A, whose names are those of a page with one side."""
    return f"-{side.letter.lower()}" if side.index else ""


def side_settings(sides: Sides, draw: Callable[[str], Own]) -> SideSettings[Own]:
    """Draws each side's settings in an inner tab of its own; `draw` gets what the names of its elements end in."""
    as_a, copies, places = [], [], []
    with gr.Tabs(elem_classes=["inner-tabs", "side-settings"]):
        with gr.Tab("A"):
            each = [draw("")]
        for side in sides.all[1:]:
            with gr.Tab(side.letter, visible=False) as tab:
                as_a.append(
                    gr.Checkbox(True, label="As A", info=_AS_A, elem_classes=["as-a", f"as-a{suffix_of(side)}"])
                )
                with gr.Column(visible=False) as place:
                    copies.append(gr.Button("Copy from A", size="sm"))
                    each.append(draw(suffix_of(side)))
                places.append(place)
            sides.follow(side.index, tab)
    return SideSettings(tuple(each), tuple(as_a), tuple(copies), tuple(places))


class Taken(Protocol):
    """Gives one side's values to another side's controls."""

    def __call__(self, to: int, source: int, values: Updates, model: int) -> Updates:
        """The updates of the controls of side `to`; `model` is the side that has the model which it will be asked."""
        ...


def connect_settings(sides: Sides, settings: SideSettings[Own], taken: Taken) -> None:
    """A side's own controls appear once it is not asked as A, can be filled with A's, and move with the side."""
    every = sides.inputs() | settings.inputs()
    others = zip(settings.each[1:], settings.as_a, settings.copies, settings.places, strict=True)
    for index, (own, as_a, copy, place) in enumerate(others, start=1):

        def copy_from_a(values: Updates, index: int = index) -> Updates:
            return taken(index, 0, values, model=index)

        as_a.change(lambda follows: gr.Column(visible=not follows), as_a, place, **QUIET)
        copy.click(copy_from_a, every, own.parts(), **QUIET)
    a, b = (own.parts() for own in settings.each[:2])
    sides.swap.click(lambda values: swapped(settings, taken, values), every, [*a, *b], **QUIET)
    after_a = [*settings.as_a, *b]
    sides.removes[0].click(lambda values: moved_to_b(settings, taken, values), every, after_a, **QUIET)


def swapped(settings: SideSettings[Own], taken: Taken, values: Updates) -> Updates:
    """A's settings and B's in each other's place; as they are where B is asked as A is."""
    if settings.follows(1, values):
        return {settings.each[0].parts()[0]: gr.skip()}
    return taken(0, 1, values, model=1) | taken(1, 0, values, model=0)


def moved_to_b(settings: SideSettings[Own], taken: Taken, values: Updates) -> Updates:
    """C's settings in B's place, as the bar moves C's model there."""
    b, c = settings.as_a
    return taken(1, 2, values, model=2) | {b: values[c], c: True}


def asked_sides(page: Page, values: Updates) -> list[Chosen]:
    """The sides that a run asks, in order.

    Raises:
        BadRequest: a model is not on the list any more. NotEnoughMemory: they have no room beside each other.
    """
    chosen = page.sides.chosen(page.bench, values)
    check_together(page.bench, chosen)
    return chosen


def chosen_spec(bench: Bench, side: Side, values: Updates) -> ModelSpec:
    """The model that a side stands for; the page's first where its own is not on the list any more."""
    try:
        return chosen_side(bench, side.index, values[side.model], values[side.precision]).spec
    except BadRequest:  # it is told when the side is asked
        return bench.first_spec()


def side_columns(sides: Sides, draw: Callable[[Side], Part]) -> tuple[tuple[gr.HTML, ...], tuple[Part, ...]]:
    """A column for each side, with a head, which one side alone does not show: the heads, and what is drawn."""
    heads, parts = [], []
    with gr.Row(elem_classes="sides"):
        for side in sides.all:
            with gr.Column(visible=not side.index, min_width=280, elem_classes="side-column") as column:
                heads.append(html(side_head(side.letter), elem_classes="side-head"))
                parts.append(draw(side))
            if side.index:
                sides.follow(side.index, column)
    return tuple(heads), tuple(parts)


def side_head(letter: str, name: str = "", mark: str = "", differs: bool = False) -> str:
    """A column's head: the side's letter, its model, and how what it says stands to what A says."""
    words = f"<b>{escape(name)}</b>" if name else "<span>not asked yet</span>"
    kind = "differs" if differs else "agrees"
    said = f'<span class="side-mark {kind}">{escape(mark)}</span>' if mark else ""
    return f'<p class="side-name"><i class="side {letter.lower()}">{letter}</i> {words}{said}</p>'


def together(streams: Sequence[Iterator[Updates]], idle: Any) -> Iterator[Updates]:
    """The updates of several sides as they come, each side at its own pace.

    Args:
        idle: a part of the page, left as it is, that stands for an update while there is none.
    """
    shown: list[Updates] = [{} for _ in streams]
    with closing(merged([_with_all_before(stream) for stream in streams])) as steps:
        for items in steps:
            news: Updates = {}
            for index, item in items.items():
                if isinstance(item, Exception):
                    raise item
                news |= {part: value for part, value in item.items() if shown[index].get(part, shown) is not value}
                shown[index] = item
            yield news or {idle: gr.skip()}


def slowly(steps: Iterator[Updates]) -> Iterator[Updates]:
    """The updates of long work, those of `SLOW_SECONDS` taken together: a page's browser has other things to do."""
    gathered: Updates = {}
    told_at = 0.0
    for update in steps:
        gathered = gathered | update
        if time.monotonic() - told_at >= SLOW_SECONDS:
            yield gathered
            gathered, told_at = {}, time.monotonic()
    if gathered:
        yield gathered


def told_by_side(steps: Iterator[Updates], place: gr.HTML, emptied: Updates) -> Iterator[Updates]:
    """A side's updates; where they fail a last one that says so in the side's own place and empties its result."""
    try:
        yield from steps
    except Exception as error:  # one side's error ends here, and the other sides go on
        yield emptied | {place: error_notice(error)}


def _with_all_before(steps: Iterator[Updates]) -> Iterator[Updates]:
    """Each update with all before it: whoever hears of the newest alone misses nothing."""
    told: Updates = {}
    for update in steps:
        told = told | update
        yield told
