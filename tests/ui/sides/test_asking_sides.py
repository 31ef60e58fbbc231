"""What the sides of a tab share: one's news never hides another's, and a side may follow A's settings."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr
import pytest

from tests.ui.fake import FakeManager
from workbench.errors import BadRequest
from workbench.settings import Settings
from workbench.ui.bench import Bench
from workbench.ui.sides.asking_sides import (
    SideSettings,
    moved_to_b,
    side_columns,
    side_head,
    side_settings,
    slowly,
    suffix_of,
    swapped,
    together,
    told_by_side,
)
from workbench.ui.sides.sides import Sides
from workbench.ui.sides.sides_bar import sides_bar

Updates = dict[Any, Any]


@dataclass(frozen=True)
class OneBox:
    """A side's settings: a single box."""

    box: gr.Textbox

    def inputs(self) -> set[Any]:
        """The box."""
        return {self.box}

    def parts(self) -> list[Any]:
        """The box."""
        return [self.box]


@pytest.fixture
def sides() -> Iterator[Sides]:
    """A bar of sides, with a page open to draw on."""
    with gr.Blocks():
        yield sides_bar(Bench(Settings(), FakeManager()))  # type: ignore[arg-type]


def drawn(sides: Sides) -> SideSettings[OneBox]:
    """A box a side."""
    return side_settings(sides, lambda suffix: OneBox(gr.Textbox(elem_id=f"box{suffix}")))


def all_of(steps: Iterator[Updates]) -> Updates:
    """The last value of every part."""
    found: Updates = {}
    for update in steps:
        found |= update
    return found


def test_the_sides_tell_at_once_and_nothing_is_lost() -> None:
    streams: list[Iterator[Updates]] = [iter([{"a": 1}, {"b": 2}, {"a": 3}]), iter([{"c": 1}, {"d": 2}])]
    found = all_of(together(streams, "idle"))
    assert {name: found[name] for name in "abcd"} == {"a": 3, "b": 2, "c": 1, "d": 2}


def test_no_update_is_empty() -> None:
    streams: list[Iterator[Updates]] = [iter([{}, {"a": 1}, {}])]
    assert all(together(streams, "idle"))


def test_an_error_is_told_in_its_sides_place_alone() -> None:
    def fails() -> Iterator[Updates]:
        yield {"result": 1}
        raise BadRequest("Too <b>long</b>.")

    place: Any = "notice"
    found = all_of(together([told_by_side(fails(), place, {"result": ""}), iter([{"other": 1}])], "idle"))
    assert "Too &lt;b&gt;long&lt;/b&gt;." in found["notice"] and found["result"] == "" and found["other"] == 1


def test_slow_updates_hold_all_that_was_told_meanwhile() -> None:
    steps: list[Updates] = [{"a": 1}, {"b": 2}, {"a": 3}]
    assert list(slowly(iter(steps))) == [{"a": 1}, {"b": 2, "a": 3}]


def test_a_side_follows_a_until_it_is_unticked(sides: Sides) -> None:
    settings = drawn(sides)
    values: Updates = dict.fromkeys(settings.as_a, True)
    assert [settings.of(index, values) for index in range(3)] == [settings.each[0]] * 3
    values[settings.as_a[0]] = False
    assert [settings.of(index, values) for index in range(3)] == [*settings.each[:2], settings.each[0]]


def test_a_swap_gives_each_the_others_own_settings_and_the_model_that_comes_with_them(sides: Sides) -> None:
    settings = drawn(sides)

    def taken(to: int, source: int, values: Updates, model: int) -> Updates:
        return {settings.each[to].box: (values[settings.each[source].box], model)}

    a, b, c = (own.box for own in settings.each)
    values: Updates = {a: "a", b: "b", c: "c", settings.as_a[0]: True, settings.as_a[1]: False}
    assert b not in swapped(settings, taken, values)
    assert swapped(settings, taken, values | {settings.as_a[0]: False}) == {a: ("b", 1), b: ("a", 0)}
    moved = moved_to_b(settings, taken, values)
    assert moved == {b: ("c", 2), settings.as_a[0]: False, settings.as_a[1]: True}


def test_a_page_with_one_side_shows_no_other(sides: Sides) -> None:
    heads, boxes = side_columns(sides, lambda side: gr.Textbox(elem_id=f"x{suffix_of(side)}"))
    assert [box.elem_id for box in boxes] == ["x", "x-b", "x-c"] and len(heads) == 3
    assert [len(sides.followers[index]) for index in (1, 2)] == [2, 2]
    assert not any(part.visible for parts in sides.followers.values() for part in parts)


def test_a_head_names_the_model_as_text_and_says_what_differs() -> None:
    head = side_head("B", "<i>", "≠ other answer than A", differs=True)
    assert "&lt;i&gt;" in head and 'class="side-mark differs">≠ other answer than A<' in head
