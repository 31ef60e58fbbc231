"""A single question without a browser: every side is asked, one's error is its own, and differences have words."""

import json
from typing import Any

import gradio as gr
import pytest

from tests.ui.fake_answers import AnsweringManager
from workbench.errors import BadRequest
from workbench.settings import Settings
from workbench.ui.answer_asking import asked_of_all
from workbench.ui.answer_one import one_question
from workbench.ui.answer_settings import settings_column
from workbench.ui.bench import Bench, Page
from workbench.ui.sides_bar import sides_bar


class Tab:
    """The part on a scripted manager, and the page's updates as they were made."""

    def __init__(self) -> None:
        self.bench = Bench(Settings(), AnsweringManager())  # type: ignore[arg-type]
        with gr.Blocks() as blocks:
            sides = sides_bar(self.bench)
            self.page = Page(self.bench, blocks, gr.HTML(), gr.Tabs(), gr.Textbox(), sides)
            self.view, self.settings = one_question(sides), settings_column(sides, self.bench.first_spec())
        self.values: dict[Any, Any] = {part: getattr(part, "value", None) for part in blocks.blocks.values()}
        self.values |= {ask.shots: [["", "", ""]] for ask in self.settings.each}
        self.values |= {self.view.question: "Who?", self.view.context: "One wolf, three foxes."}

    def own(self, **changes: Any) -> None:
        """A side B with settings of its own."""
        self.values |= {self.page.sides.count: 2, self.settings.as_a[0]: False}
        self.values |= {getattr(self.settings.each[1], name): value for name, value in changes.items()}

    def ask(self) -> dict[Any, Any]:
        """Asks every side in use."""
        for update in asked_of_all(self.page, self.view, self.settings, self.values):
            self.values |= update
        return self.values


@pytest.fixture
def tab() -> Tab:
    """The part with one side in use."""
    return Tab()


def test_one_side_answers_and_is_compared_with_nothing(tab: Tab) -> None:
    values = tab.ask()
    assert json.loads(values[tab.view.sides[0].answer])["n_best"] and values[tab.view.compared] == ""
    assert values[tab.view.sides[1].answer] == "" and len(values[tab.view.found]) == 1


def test_every_side_in_use_is_asked_the_same(tab: Tab) -> None:
    tab.values[tab.page.sides.count] = 3
    values = tab.ask()
    assert len({values[side.answer].partition("seconds")[0] for side in tab.view.sides}) == 1
    assert "A, B and C give the same answer." in values[tab.view.compared]
    assert "= same answer as A" in values[tab.view.heads[2]]


def test_answers_that_differ_are_marked_in_words(tab: Tab) -> None:
    tab.own(threshold=-2.0)
    values = tab.ask()
    assert "The answers of A and B differ." in values[tab.view.compared]
    assert "≠ not as A" in values[tab.view.heads[1]] and "no answer" in values[tab.view.compared]


def test_a_sides_own_head_is_asked_for_it_alone(tab: Tab) -> None:
    tab.own(method="squad-lora")
    tab.ask()
    asked = tab.bench.manager.model.asked  # type: ignore[attr-defined]
    assert sorted(str(request.head) for request in asked) == ["None", "heads/squad-lora#1"]


def test_one_sides_error_leaves_the_others_going(tab: Tab) -> None:
    tab.own(template="without a slot")
    values = tab.ask()
    assert "exactly once" in values[tab.view.sides[1].notice] and len(values[tab.view.found]) == 1
    assert json.loads(values[tab.view.sides[0].answer])["n_best"]


def test_a_question_that_is_missing_is_told_once(tab: Tab) -> None:
    tab.values |= {tab.view.question: " ", tab.page.sides.count: 2}
    with pytest.raises(BadRequest, match="question is empty"):
        tab.ask()
