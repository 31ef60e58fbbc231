"""Blind comparisons: an order by lot, and votes on what stands where."""

import json
from dataclasses import replace

import pytest

from workbench.errors import BadRequest
from workbench.manager import ModelSpec
from workbench.text.requests import Generate
from workbench.ui.generate.generate_columns import Asked, Shown
from workbench.ui.lens.lens import LensLines
from workbench.ui.sides.blind import contender_names, shuffled, vote_on
from workbench.ui.sides.blind_view import tally_markup
from workbench.ui.sides.sides import Chosen
from workbench.ui.sides.votes import BAD, TIE, Tally


def asked(index: int, precision: str | None, text: str | None = "a text") -> Asked:
    """A column with the demo in a precision."""
    name = f"demo · {precision}" if precision else "demo"
    side = Chosen(index, "ABC"[index], name, ModelSpec("demo", precision=precision))
    return Asked(side, Generate("Once", seed=7), text)


SHOWN = Shown((asked(1, "int8"), asked(0, None)), "Once", blind=True)
"""B on the left, A on the right."""


def test_every_order_comes_and_nobody_is_lost() -> None:
    orders = {tuple(shuffled("ab")) for _ in range(200)}
    assert orders == {("a", "b"), ("b", "a")}


def test_a_vote_says_who_stood_where_and_how_they_were_asked() -> None:
    vote = vote_on(SHOWN, "0")
    assert vote.winner == "demo · int8" and vote.prompt == "Once"
    assert [one.precision for one in vote.contenders] == ["int8", None]
    assert vote.contenders[0].settings["seed"] == 7 and "prompt" not in vote.contenders[0].settings


@pytest.mark.parametrize("choice", [TIE, BAD])
def test_a_vote_may_have_no_winner(choice: str) -> None:
    assert vote_on(SHOWN, choice).winner is None


@pytest.mark.parametrize("shown", [
    Shown(()),
    replace(SHOWN, blind=False),
    replace(SHOWN, columns=(asked(1, "int8", None), asked(0, None))),
])  # fmt: skip
def test_there_is_nothing_to_vote_on_unless_all_blind_texts_have_ended(shown: Shown) -> None:
    with pytest.raises(BadRequest, match="nothing to vote on"):
        vote_on(shown, "0")


@pytest.mark.parametrize("choice", ["2", "-1", "A", ""])
def test_a_column_that_is_not_there_gets_no_vote(choice: str) -> None:
    with pytest.raises(BadRequest, match="no column"):
        vote_on(SHOWN, choice)


def test_two_sides_with_one_model_are_told_apart_by_their_letters() -> None:
    same = Shown((asked(1, None), asked(0, None), asked(2, "int8")))
    assert contender_names(same) == ["demo (B)", "demo (A)", "demo · int8"]


def test_a_blind_head_says_the_place_alone_and_a_revealed_one_both() -> None:
    assert "demo" not in "".join(SHOWN.heads()) and "Left" in SHOWN.heads()[0]
    told = SHOWN.revealed().heads()[0]
    assert "demo · int8" in told and "Left" in told


def test_a_revealed_lens_says_letter_and_model() -> None:
    values = [LensLines("", one.request, SHOWN.mark(place)).text() for place, one in enumerate(SHOWN.columns)]
    assert '"side":"Left"' in values[0] and "int8" not in "".join(values)
    told = [json.loads(value.splitlines()[-1])["named"] for value in SHOWN.revealed().lenses(values)]
    assert [(one["side"], one["model"]) for one in told] == [("B", "demo \u00b7 int8"), ("A", "demo")]


def test_a_lens_without_a_text_stays_empty_when_all_is_revealed() -> None:
    assert SHOWN.revealed().lenses(["", ""]) == ["", ""]


def test_the_tally_holds_no_markup_from_outside() -> None:
    name = "<img src=x onerror=alert(1)>"
    tally = Tally((name, "demo"))
    tally.wins[name] = 1
    assert "<img" not in tally_markup([tally]) and "1 vote<" in tally_markup([tally])
