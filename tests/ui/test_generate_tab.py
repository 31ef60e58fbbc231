"""The Generate tab's requests: what is asked of which side, and what a branch keeps of it."""

import json
from typing import Any

import gradio as gr
import pytest

from tests.ui.fake import FakeManager
from workbench.errors import BadRequest, NotEnoughMemory
from workbench.settings import Settings
from workbench.text.requests import Generate
from workbench.ui.bench import Bench, Page
from workbench.ui.generate.generate_columns import column_view
from workbench.ui.generate.generate_settings import settings_view
from workbench.ui.lens.lens import LensLines
from workbench.ui.sides.asking_sides import side_columns
from workbench.ui.sides.blind_view import ballot_view
from workbench.ui.sides.sides_bar import sides_bar
from workbench.ui.tabs import generate
from workbench.ui.tabs.generate import View, _left, _swapped, branched


class Opened:
    """A page just opened, with its values."""

    def __init__(self) -> None:
        bench = Bench(Settings(), FakeManager())  # type: ignore[arg-type]
        with gr.Blocks() as blocks:
            self.page = Page(bench, blocks, gr.HTML(), gr.Tabs(), gr.Textbox(), sides_bar(bench))
            sides = self.page.sides
            heads, columns = side_columns(sides, column_view)
            ballot = ballot_view(sides, heads, columns)
            self.view = View(
                **generate._writing_column(sides), heads=heads, columns=columns, ballot=ballot,
                settings=settings_view(sides), shown=gr.State(None),
            )  # fmt: skip
        parts = {self.view.prompt, self.view.shown, self.view.blind} | self.view.settings.inputs() | sides.inputs()
        self.values: dict[Any, Any] = {part: part.value for part in parts}

    def use(self, *precisions: str) -> None:
        """A side for each, all with the demo."""
        sides = self.page.sides
        self.values[sides.count] = len(precisions)
        for side, precision in zip(sides.all, precisions, strict=False):
            self.values |= {side.model: "demo", side.precision: precision}


@pytest.fixture
def opened() -> Opened:
    """A page just opened."""
    return Opened()


def test_every_side_is_asked_the_same(opened: Opened) -> None:
    opened.use("float32", "int8")
    shown = opened.view.asked(opened.page, opened.values)
    assert [column.side.spec.precision for column in shown.columns] == ["float32", "int8"]
    assert shown.columns[0].request == shown.columns[1].request and not shown.blind


def test_a_blind_run_stands_in_an_order_by_lot(opened: Opened) -> None:
    opened.use("float32", "int8")
    opened.values[opened.view.blind] = True
    orders = {opened.view.asked(opened.page, opened.values).columns[0].side.letter for _ in range(60)}
    assert orders == {"A", "B"}


def test_one_side_alone_is_never_blind(opened: Opened) -> None:
    opened.use("")
    opened.values[opened.view.blind] = True
    assert not opened.view.asked(opened.page, opened.values).blind


def test_sides_that_do_not_fit_together_are_refused_before_anything_is_loaded(opened: Opened) -> None:
    opened.use("", "")
    opened.values[opened.page.sides.all[1].model] = "EleutherAI/gpt-j-6b"
    with pytest.raises(NotEnoughMemory, match="They fit with B in nf4"):
        opened.view.asked(opened.page, opened.values)
    assert opened.page.bench.manager.loaded() == []


def test_a_branch_asks_its_own_column_alone(opened: Opened) -> None:
    opened.use("float32", "int8")
    shown = opened.view.asked(opened.page, opened.values)
    branch = opened.view.branch({opened.view.shown: shown}, 1, [4, 2])
    assert branch.columns[0] == shown.columns[0]
    assert branch.columns[1].request.forced == (4, 2)
    assert branch.columns[1].request.seed == shown.columns[1].request.seed


def test_a_branch_of_a_text_that_is_not_known_any_more_is_told(opened: Opened) -> None:
    opened.use("")
    shown = opened.view.asked(opened.page, opened.values)
    for known, place in ((None, 0), (shown, 1)):
        with pytest.raises(BadRequest, match="too long ago"):
            opened.view.branch({opened.view.shown: known}, place, [1])


def written(opened: Opened, blind: bool = False) -> dict[Any, Any]:
    """The page's values once both sides have written."""
    opened.values[opened.view.blind] = blind
    opened.use("float32", "int8")
    shown = opened.view.asked(opened.page, opened.values)
    values: dict[Any, Any] = {opened.view.shown: shown}
    for place, (column, asked) in enumerate(zip(opened.view.columns, shown.columns, strict=False)):
        lens = LensLines("" if blind else asked.side.name, asked.request, shown.mark(place)).text()
        values |= {column.notice: "", column.tokens: lens, column.figures: f"figures of {asked.side.name}"}
    return values | dict.fromkeys(opened.view.columns[2].parts(), "")


def test_swapped_texts_stay_with_the_models_that_wrote_them(opened: Opened) -> None:
    updates = _swapped(opened.view, written(opened))
    a, b = opened.view.columns[:2]
    assert "int8" in updates[opened.view.heads[0]] and 'side a">A' in updates[opened.view.heads[0]]
    assert updates[a.figures] == "figures of demo · int8" and updates[b.figures] == "figures of demo · float32"
    assert json.loads(updates[a.tokens].splitlines()[-1])["named"] == {"model": "demo · int8", "side": "A"}
    assert [asked.side.letter for asked in updates[opened.view.shown].columns] == ["A", "B"]


def test_a_blind_comparison_keeps_its_places_and_its_secret_when_sides_are_swapped(opened: Opened) -> None:
    values = written(opened, blind=True)
    before, updates = values[opened.view.shown], _swapped(opened.view, values)
    after = updates[opened.view.shown]
    assert [one.side.spec for one in after.columns] == [one.side.spec for one in before.columns]
    assert [one.side.letter for one in after.columns] == [one.side.letter for one in before.columns][::-1]
    a = opened.view.columns[0]
    assert updates[a.figures] == values[a.figures] and "int8" not in updates[a.tokens] + updates[opened.view.heads[0]]


def test_one_text_alone_goes_when_sides_are_swapped(opened: Opened) -> None:
    opened.use("float32")
    shown = opened.view.asked(opened.page, opened.values)
    updates = _swapped(opened.view, {opened.view.shown: shown})
    assert updates[opened.view.shown] is None and updates[opened.view.columns[0].tokens] == ""


def test_as_text_stays_when_a_side_is_removed_unless_it_stands_by_lot(opened: Opened) -> None:
    a = opened.view.columns[0]
    left = _left(opened.view, written(opened)[opened.view.shown])
    assert a.tokens not in left and len(left[opened.view.shown].columns) == 1
    left = _left(opened.view, written(opened, blind=True)[opened.view.shown])
    assert left[a.tokens] == "" and left[opened.view.shown] is None


def test_a_branch_has_room_to_go_on_and_no_beams() -> None:
    request = branched(Generate("Once", max_new_tokens=4, num_beams=4), list(range(10)))
    assert request.num_beams == 1 and request.max_new_tokens > 10


@pytest.mark.parametrize("sent", [None, "12", {"a": 1}, [1.5, "2", None]])
def test_ids_that_are_no_numbers_are_left_out(sent: Any) -> None:
    assert branched(Generate("Once"), sent).forced == ()
