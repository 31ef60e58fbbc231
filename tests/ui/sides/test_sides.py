"""The sides of the page: which model each stands for, and how the bar adds, removes and moves them."""

from typing import Any

import gradio as gr
import pytest

from tests.ui.fake import FakeManager
from workbench.errors import BadRequest
from workbench.manager import ModelSpec
from workbench.settings import Settings
from workbench.ui.bench import Bench
from workbench.ui.sides.sides import MOST_SIDES, Sides, chosen_side
from workbench.ui.sides.sides_bar import in_use, moved_down, sides_bar


@pytest.fixture
def bench() -> Bench:
    """A bench on the scripted manager."""
    return Bench(Settings(), FakeManager())  # type: ignore[arg-type]


@pytest.fixture
def sides(bench: Bench) -> Sides:
    """The bar of a page just opened."""
    with gr.Blocks():
        return sides_bar(bench)


def values_of(sides: Sides, *picked: tuple[str, str]) -> dict[Any, Any]:
    """The bar's values with these models and precisions in use."""
    values: dict[Any, Any] = {sides.count: len(picked)}
    for index, side in enumerate(sides.all):
        values[side.model], values[side.precision] = picked[index] if index < len(picked) else ("demo", "")
    return values


def test_the_sides_in_use_are_chosen_in_their_order(bench: Bench, sides: Sides) -> None:
    values = values_of(sides, ("EleutherAI/gpt-j-6b", "nf4"), ("demo", "int8"))
    chosen = sides.chosen(bench, values)
    assert [(side.letter, side.name) for side in chosen] == [("A", "EleutherAI/gpt-j-6b · nf4"), ("B", "demo · int8")]
    assert [side.spec.precision for side in chosen] == ["nf4", "int8"]


def test_an_empty_precision_is_the_named_models_own(bench: Bench) -> None:
    bench.manager.load(ModelSpec("demo", precision="bfloat16"))
    assert chosen_side(bench, 0, "demo · bfloat16", "").spec.precision == "bfloat16"
    assert chosen_side(bench, 0, "demo", None).spec.precision is None
    assert chosen_side(bench, 0, "demo · bfloat16", "int8").spec.precision == "int8"


def test_a_model_that_is_gone_is_told(bench: Bench, sides: Sides) -> None:
    with pytest.raises(BadRequest, match="'gone' is not on the list"):
        sides.chosen(bench, values_of(sides, ("gone", "")))


def test_a_part_that_follows_a_side_is_visible_while_it_is_in_use(sides: Sides) -> None:
    with gr.Blocks():
        part = gr.Column(visible=False)
    sides.follow(1, part)
    values = values_of(sides)
    assert in_use(sides, 1, values)[part]["visible"] is False
    assert in_use(sides, 2, values)[part]["visible"] is True


@pytest.mark.parametrize("asked, there", [(0, 1), (1, 1), (2, 2), (MOST_SIDES, MOST_SIDES), (9, MOST_SIDES)])
def test_there_is_one_side_at_least_and_three_at_most(sides: Sides, asked: int, there: int) -> None:
    updates = in_use(sides, asked, values_of(sides))
    assert updates[sides.count] == there
    assert updates[sides.add]["visible"] == (there < MOST_SIDES)


def test_letters_stand_in_the_labels_where_there_are_several_sides(sides: Sides) -> None:
    first = sides.all[0].model
    assert in_use(sides, 1, values_of(sides))[first]["label"] == "Model"
    assert in_use(sides, 2, values_of(sides))[first]["label"] == "Model A"


def test_what_stands_after_a_removed_side_moves_to_its_place(sides: Sides) -> None:
    values = values_of(sides, ("demo", ""), ("demo", "int8"), ("demo", "nf4"))
    moved = moved_down(sides, values, 1)
    assert [moved[side.precision] for side in sides.all[:2]] == ["", "nf4"]
