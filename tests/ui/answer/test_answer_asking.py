"""A single question without a browser: every side is asked, one's error is its own, and differences have words."""

import json
from typing import Any

import gradio as gr
import pytest

from tests.ui.fake_answers import AnsweringManager
from workbench.errors import BadRequest
from workbench.settings import Settings
from workbench.ui.answer.answer_asking import asked_of_all, looks_of
from workbench.ui.answer.answer_one import moved, one_question
from workbench.ui.answer.answer_settings import settings_column
from workbench.ui.bench import Bench, Page
from workbench.ui.lens.asking_tokens import looked_at
from workbench.ui.sides.sides_bar import sides_bar


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

    def look(self) -> list[list[dict[str, Any]]]:
        """Asks for the tokens of what was answered; of each side's lens the texts."""
        for update in looked_at(self.page, self.view.tokens, looks_of(self.values[self.view.found])):
            self.values |= update
        lines = [map(json.loads, self.values[side.lens].splitlines()) for side in self.view.tokens.sides]
        return [[line["text"] for line in each if isinstance(line, dict) and "text" in line] for each in lines]


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


@pytest.mark.parametrize("first, stay", [(0, []), (1, ["A"])])
def test_answers_whose_sides_have_moved_go(tab: Tab, first: int, stay: list[str]) -> None:
    tab.values[tab.page.sides.count] = 2
    values = tab.ask()
    update = values | moved(tab.view, first, values[tab.view.found])
    assert [one.side.letter for one in update[tab.view.found]] == stay
    assert [bool(update[side.answer]) for side in tab.view.sides] == ["A" in stay, False, False]
    assert "not asked yet" in update[tab.view.heads[1]] and update[tab.view.compared] == ""


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


def test_the_tokens_of_every_answer_can_be_looked_at(tab: Tab) -> None:
    answered = [span.text for span in tab.ask()[tab.view.found][0].spans.n_best]
    looked, *others = tab.look()
    assert [text["name"] for text in looked] == answered and others == [[], []]


def test_a_side_is_also_asked_about_another_sides_answers_and_shows_what_differs(tab: Tab) -> None:
    tab.own()
    tab.values[tab.settings.each[1].knobs["n_best"]] = 1
    tab.ask()
    a, b, _ = tab.look()
    assert {text["name"] for text in a} == {text["name"] for text in b} and len(b) > 1
    assert [text["note"] for text in b] == [""] + ["from the answers of A"] * (len(b) - 1)
    assert all(text["difference"] == 0 for text in b) and all(text["difference"] is None for text in a)


def test_a_heads_answer_has_no_tokens_and_says_so(tab: Tab) -> None:
    tab.own(method="squad-lora")
    tab.ask()
    a, b, _ = tab.look()
    assert a and not b and "no token has a probability" in tab.values[tab.view.tokens.sides[1].notice]


def test_tokens_need_an_answer(tab: Tab) -> None:
    tab.values[tab.view.found] = ()
    with pytest.raises(BadRequest, match="Ask first"):
        tab.look()
