"""The Classify tab over several sides: each is asked the same, its errors are its own, and differences have words."""

from pathlib import Path

import pytest

from tests.ui.class_tab import SEVERAL, SMS, Tab
from tests.ui.fake_classes import ClassifyingManager, class_card
from workbench.errors import BadRequest
from workbench.ui.classify.class_many import swapped
from workbench.ui.classify.class_one import moved


@pytest.fixture
def tab(tmp_path: Path) -> Tab:
    """The tab on a manager that has a head for messages, and one that gives several labels."""
    tab = Tab(ClassifyingManager(cards=[class_card(), SEVERAL]))
    for part in tab.many.sides:
        part.csv.GRADIO_CACHE = str(tmp_path / "cache")
    return tab


def test_every_side_in_use_is_asked_about_the_same_text(tab: Tab) -> None:
    tab.add_side()
    values = tab.ask()
    assert [values[side.shown] is not None for side in tab.one.sides] == [True, True, False]
    assert "A and B say the same: <b>positive</b>" in values[tab.one.compared]
    assert "same answer as A" in values[tab.one.heads[1]]


def test_sides_that_differ_are_marked_in_words(tab: Tab) -> None:
    tab.add_side()
    tab.own(1, labels="spam, ham")
    tab.values[tab.one.text] = "claim your free holiday"
    tab.values[tab.settings.each[1].shots] = []
    values = tab.ask()
    assert "The answers differ: A says <b>positive</b>, B says <b>spam</b>." in values[tab.one.compared]
    assert "≠ other answer than A" in values[tab.one.heads[1]]


def test_one_side_alone_is_compared_with_nothing(tab: Tab) -> None:
    assert tab.ask()[tab.one.compared] == ""


def test_a_side_asked_as_a_ignores_its_own_controls(tab: Tab) -> None:
    tab.add_side()
    tab.values[tab.settings.each[1].labels] = ""
    assert tab.ask()[tab.one.sides[1].shown].prediction.label == "positive"


def test_one_sides_error_leaves_the_others_going(tab: Tab) -> None:
    tab.add_side()
    tab.own(1, labels="")
    values = tab.ask()
    assert "No labels are given" in values[tab.one.sides[1].notice] and values[tab.one.sides[1].shown] is None
    assert values[tab.part.shown].prediction.label == "positive" and values[tab.part.notice] == ""


def test_a_head_that_fits_a_alone_is_told_with_what_to_do(tab: Tab) -> None:
    tab.add_side()
    tab.values |= {tab.form.method: "sms-probe", tab.page.sides.all[1].model: "EleutherAI/gpt-j-6b"}
    tab.values[tab.page.sides.all[1].precision] = "nf4"
    values = tab.ask()
    assert "untick “As A”" in values[tab.one.sides[1].notice] and values[tab.part.shown] is not None


def test_a_side_that_leaves_takes_what_it_said_with_it(tab: Tab) -> None:
    tab.add_side()
    values = tab.ask()
    update = values | moved(tab.one, 1, values[tab.part.shown])
    assert update[tab.one.sides[1].shown] is None and update[tab.one.compared] == ""
    assert "not asked yet" in update[tab.one.heads[1]]
    assert update[tab.part.shown] is not None and update[tab.one.why].interactive


def test_nothing_that_was_said_stays_when_sides_are_swapped(tab: Tab) -> None:
    tab.add_side()
    values = tab.ask()
    update = values | moved(tab.one, 0, values[tab.part.shown])
    assert [update[side.shown] for side in tab.one.sides] == [None] * 3 and not update[tab.one.why].interactive
    assert "not asked yet" in update[tab.one.heads[0]]


def test_many_texts_move_with_the_sides_that_are_swapped(tab: Tab, tmp_path: Path) -> None:
    tab.upload(tmp_path, SMS)
    tab.add_side()
    tab.values[tab.form.method] = "sms-probe"
    tab.own(1, labels="spam, positive", template="{text}\nKind:", shots=[], calibration="none")
    before = tab.classify_all()
    update = swapped(tab.many, before)
    after = update[tab.many.batches]
    assert before.ended and [batch.side.letter for batch in after.sides] == ["A", "B"]
    assert [batch.predictions for batch in after.sides] == [batch.predictions for batch in before.sides[::-1]]
    rows = [(row[2], row[3]) for row in before.table()[2]]
    assert [(row[3], row[2]) for row in update[tab.many.table].value["data"]] == rows


def test_why_is_asked_of_every_side(tab: Tab) -> None:
    tab.add_side()
    tab.ask()
    values = tab.why()
    assert all(len(values[reasons].splitlines()) > 1 for reasons in tab.one.reasons[:2])


def test_many_texts_get_a_column_a_side_and_are_compared(tab: Tab, tmp_path: Path) -> None:
    tab.upload(tmp_path, SMS)
    tab.add_side()
    tab.values[tab.form.method] = "sms-probe"
    tab.own(1, labels="spam, positive", template="{text}\nKind:", shots=[], calibration="none")
    batches = tab.classify_all()
    names, _, rows = batches.table()
    assert names == ["#", "Text", "A", "B", "Same", "Right answer", "Note"]
    assert [row[4] for row in rows] == ["differ", "same", "same", "same"]
    assert "Same answer" in tab.values[tab.many.compared] and "Is one better?" in tab.values[tab.many.compared]
    assert all(tab.values[part.csv].value for part in tab.many.sides[:2])


def test_a_side_that_can_not_be_asked_leaves_many_texts_to_the_others(tab: Tab) -> None:
    tab.add_side()
    tab.own(1, labels="")
    assert len(tab.classify_all().sides) == 1
    assert "No labels are given" in tab.values[tab.many.notices[1]]


def test_texts_that_are_missing_are_told_once(tab: Tab) -> None:
    tab.add_side()
    tab.values[tab.many.texts] = " "
    with pytest.raises(BadRequest, match="There are no texts"):
        tab.classify_all()
