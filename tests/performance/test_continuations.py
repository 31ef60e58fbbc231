"""What is counted of continuations: words after the opening, real ones, and 4-grams that came before."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.performance import continuations
from tests.performance.continuations import (
    OPENINGS,
    Continuation,
    figures_of,
    repeated,
    stretches,
    unselected,
    words_of,
    written_words,
)

NONE: frozenset[str] = frozenset()


def test_there_are_ten_openings_none_of_which_ends_in_a_space() -> None:
    assert len(set(OPENINGS)) == 10 and all(one == one.strip() for one in OPENINGS)


def test_words_are_counted_after_the_opening_without_one_that_is_cut_off() -> None:
    assert written_words(Continuation("The king", 0, "'s cat ran. The do", ended=False)) == [
        "king's",
        "cat",
        "ran",
        "the",
    ]
    assert written_words(Continuation("The king", 0, " ran home. The", ended=True)) == ["ran", "home", "the"]
    assert written_words(Continuation("The king", 0, " ran home.", ended=False)) == ["ran", "home"]


def test_a_4_gram_that_came_before_is_repeated() -> None:
    assert repeated(words_of("a b c d e a b c d")) == (1, 6)
    assert repeated(words_of("a b c")) == (0, 0)


def test_words_of_the_training_text_or_of_the_list_are_real() -> None:
    found = figures_of(
        [["the", "cat", "glomp", "glomp", "zebra"]], Counter(["the", "cat"]), frozenset(["zebra"]), False
    )
    assert (found.words, found.unreal) == (5, ("glomp",)) and found.real_words == pytest.approx(0.6)


def test_a_stretch_of_the_training_text_does_not_make_its_own_words_real() -> None:
    known = Counter(["the", "the", "cat"])
    assert figures_of([["the", "cat"]], known, NONE, inside=True).unreal == ("cat",)
    assert figures_of([["the", "cat"]], known, NONE, inside=False).unreal == ()


def test_stretches_are_as_long_as_asked_and_stand_in_one_text() -> None:
    documents = [["a"] * 3, ["b"] * 50]
    drawn = stretches(documents, [3, 20, 3, 1])
    assert [len(one) for one in drawn] == [3, 20, 3, 1] and all(len(set(one)) == 1 for one in drawn)
    assert drawn == stretches(documents, [3, 20, 3, 1])
    with pytest.raises(ValueError, match="No training text has 51 words"):
        stretches(documents, [51])


def test_one_of_each_opening_is_shown_by_its_place_and_not_by_choice() -> None:
    found = [Continuation(opening, seed, "", True) for opening in OPENINGS for seed in range(3)]
    assert [one.seed for one in unselected(found, 3)] == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]


def test_a_folder_of_texts_and_a_model_give_markdown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tale.txt").write_text("The cat ran home to the king. " * 50, encoding="utf-8")
    written = [Continuation(opening, 0, " the cat ran hume.\n\nIt", ended=False) for opening in OPENINGS]
    monkeypatch.setattr(continuations, "continued", lambda model, seeds: written)
    monkeypatch.setattr(continuations, "WORD_LIST", tmp_path / "none")
    monkeypatch.setattr(sys, "argv", ["continuations", "--model", "x", "--texts", str(tmp_path), "--seeds", "1"])
    continuations.main()
    shown = capsys.readouterr().out
    assert shown.count("Seed 0:") == 10 and "** the cat ran hume.\n> \n> It ..." in shown
    assert "| real words | 75.00% | 100.00% |" in shown and "Not real in the continuations: hume." in shown
