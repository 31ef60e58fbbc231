"""The tokens of the labels on the Classify tab: of every side that a language model answers for."""

import json
from typing import Any

import pytest

from tests.ui.class_tab import Tab
from tests.ui.fake_classes import ClassifyingManager
from workbench.errors import BadRequest
from workbench.ui.classify.class_one import moved


@pytest.fixture
def tab() -> Tab:
    """The tab with one side in use."""
    return Tab(ClassifyingManager())


def texts_of(value: str) -> list[dict[str, Any]]:
    """The texts of a lens's value."""
    lines = [json.loads(line) for line in value.splitlines()]
    return [line["text"] for line in lines if isinstance(line, dict) and "text" in line]


def test_each_label_can_be_looked_at_the_likeliest_first(tab: Tab) -> None:
    tab.ask()
    values = tab.look()
    assert [text["name"] for text in texts_of(values[tab.one.tokens.sides[0].lens])] == ["positive", "negative"]
    assert values[tab.one.tokens.notices[0]] == "" and not values[tab.one.tokens.sides[1].lens]


def test_a_second_side_shows_its_differences_to_the_first(tab: Tab) -> None:
    tab.add_side()
    tab.ask()
    values = tab.look()
    a, b = (texts_of(values[side.lens]) for side in tab.one.tokens.sides[:2])
    assert [text["difference"] for text in a] == [None, None] and [text["difference"] for text in b] == [0, 0]


def test_a_head_says_that_it_has_no_tokens_and_the_other_side_shows_its_own(tab: Tab) -> None:
    tab.add_side()
    tab.own(1, method="sms-probe")
    tab.ask()
    values = tab.look()
    assert "no token has a probability" in values[tab.one.tokens.notices[1]]
    assert texts_of(values[tab.one.tokens.sides[0].lens])


def test_one_sides_error_leaves_the_others_going(tab: Tab) -> None:
    tab.add_side()
    values = tab.ask()
    broken = values[tab.one.sides[0].shown].method
    object.__setattr__(broken, "template", "BOOM {text}")
    values = tab.look()
    assert "BOOM" in values[tab.one.tokens.notices[0]] and not values[tab.one.tokens.sides[0].lens]
    assert texts_of(values[tab.one.tokens.sides[1].lens])


def test_tokens_need_a_prediction(tab: Tab) -> None:
    with pytest.raises(BadRequest, match="Ask first"):
        tab.look()


def test_a_side_that_leaves_takes_its_tokens_with_it(tab: Tab) -> None:
    tab.add_side()
    tab.ask()
    update = tab.look() | moved(tab.one, 1, None)
    assert update[tab.one.tokens.sides[1].lens] == "" and update[tab.one.tokens.sides[0].lens]
