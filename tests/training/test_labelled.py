"""Labelled rows: what becomes a target, what is dropped, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from tests.text.tiny import TOKENIZER
from tests.training.toy import write_rows
from workbench.errors import BadRequest
from workbench.training.head_request import TrainClassify
from workbench.training.labelled import LabelledTexts, read_labelled

ROWS = [("the king", "b"), ("a tree", "a"), ("the hill", "b"), ("an old café", "a")]


def read(folder: Path, rows: list[tuple[str, str]], **changes: Any) -> tuple[LabelledTexts, TrainClassify]:
    request = TrainClassify(
        data=str(write_rows(folder / "rows.csv", rows)), out="o", **{"validation_share": 0.0} | changes
    )
    return read_labelled(request), request


def test_labels_stand_in_alphabetical_order_and_targets_count_them(tmp_path: Path) -> None:
    texts, request = read(tmp_path, ROWS)
    assert texts.labels == ("a", "b")
    split = texts.split(TOKENIZER, request, 64)
    assert [example.target for example in split.training] == [(1.0,), (0.0,), (1.0,), (0.0,)]
    assert [TOKENIZER.decode(example.tokens) for example in split.training] == [text for text, _ in ROWS]


def test_a_row_may_have_several_labels_or_none(tmp_path: Path) -> None:
    rows = [("x", "b|a"), ("y", ""), ("z", " a | a |"), ("w", "c")]
    texts, request = read(tmp_path, rows, problem="multi_label_classification")
    assert texts.labels == ("a", "b", "c")
    targets = [example.target for example in texts.split(TOKENIZER, request, 64).training]
    assert targets == [(1.0, 1.0, 0.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)]


def test_another_separator_splits_the_labels(tmp_path: Path) -> None:
    texts, _ = read(tmp_path, [("x", "a|1; b"), ("y", "b")], problem="multi_label_classification", separator=";")
    assert texts.labels == ("a|1", "b")


def test_numbers_are_targets_as_they_are(tmp_path: Path) -> None:
    texts, request = read(tmp_path, [("x", "-1.5"), ("y", " 2e3 ")], problem="regression")
    assert [example.target for example in texts.split(TOKENIZER, request, 64).training] == [(-1.5,), (2000.0,)]


def test_long_texts_keep_their_first_tokens_and_are_counted(tmp_path: Path) -> None:
    texts, request = read(tmp_path, [*ROWS, ("the king " * 40, "a")], max_tokens=20)
    for context, most in ((64, 20), (12, 12)):
        split = texts.split(TOKENIZER, request, context)
        last = split.training[-1]
        assert last.tokens == tuple(TOKENIZER.encode("the king " * 40)[:most])
        assert split.facts["max_tokens"] == most and split.facts["shortened"] >= 1


def test_the_same_text_is_never_on_both_sides(tmp_path: Path) -> None:
    rows = [(f"text {number % 7}", "ab"[number % 2]) for number in range(60)]
    texts, _ = read(tmp_path, rows, validation_share=0.3)
    assert texts.validation and not {text for text, _ in texts.training} & {text for text, _ in texts.validation}


def test_an_own_validation_file_is_taken_whole(tmp_path: Path) -> None:
    other = write_rows(tmp_path / "other.csv", [("new", "a"), ("newer", "b")])
    texts, _ = read(tmp_path, ROWS, validation=str(other))
    assert len(texts.training) == 4 and len(texts.validation) == 2
    assert texts.facts["validation"]["file"] == "other.csv"  # type: ignore[index]


def test_a_label_that_only_validation_has_is_refused(tmp_path: Path) -> None:
    other = write_rows(tmp_path / "other.csv", [("new", "z")])
    with pytest.raises(BadRequest, match="labels that no training row has: 'z'"):
        read(tmp_path, ROWS, validation=str(other))


def test_labels_with_odd_characters_stay_as_they_are(tmp_path: Path) -> None:
    texts, _ = read(tmp_path, [("x", "=1+1"), ("y", "007"), ("z", "NA"), ("w", '"a,b"')])
    assert texts.labels == ('"a,b"', "007", "=1+1", "NA")


def test_ten_thousand_labels_that_all_differ_are_taken_for_the_wrong_column(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="Is it the right column"):
        read(tmp_path, [(f"t{number}", f"l{number}") for number in range(10_001)])
