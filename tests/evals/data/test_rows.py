"""Rows: cells are read strictly, and an error names the row, the column and what stands there."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import BadRequest
from workbench.evals.data.rows import Row

TEXTS = st.text(min_size=1).filter(str.strip)


@given(st.integers(-(2**31), 2**31), st.sampled_from([int, str, float, lambda n: f" {n} "]))
def test_a_whole_number_is_read_however_it_is_written(number: int, written: Any) -> None:
    row = Row({"label": written(number)})
    assert row.whole("label", number, number) == number


@pytest.mark.parametrize("value", [None, True, 1.5, "1.5", "one", "", "-", "0x1", "１", [1], float("nan"), "9" * 5000])
def test_what_is_no_whole_number_in_range_is_refused(value: Any) -> None:
    with pytest.raises(BadRequest, match="label must be a whole number from 0 to 3"):
        Row({"label": value}).whole("label", 0, 3)


@given(st.lists(st.text(), min_size=1))
def test_a_list_of_texts_is_the_same_as_its_json(texts: list[str]) -> None:
    assert Row({"a": texts}).texts("a") == Row({"a": json.dumps(texts)}).texts("a") == tuple(texts)


@pytest.mark.parametrize("value", ["plain", "[1]", "[", '["\\ud800"]', ["a", 2], {"a": 1}, None, "[" * 100_000])
def test_what_is_no_list_of_texts_is_refused(value: Any) -> None:
    with pytest.raises(BadRequest, match=r"Row 0: a .* is "):
        Row({"a": value}).texts("a")


def test_a_list_may_need_a_number_of_entries() -> None:
    with pytest.raises(BadRequest, match="must have at least 2 entries"):
        Row({"a": ["one"]}).texts("a", least=2)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1))
def test_an_objects_lists_are_the_same_as_in_its_json(pairs: list[tuple[str, str]]) -> None:
    value = {"text": [text for text, _ in pairs], "label": [label for _, label in pairs], "more": 1}
    expected = (tuple(value["text"]), tuple(value["label"]))
    assert Row({"c": value}).lists("c", "text", "label") == Row({"c": json.dumps(value)}).lists("c", "text", "label")
    assert Row({"c": value}).lists("c", "text", "label") == expected


@pytest.mark.parametrize(
    "value, said",
    [
        ({"text": ["a"]}, "must be an object with text and label"),
        (["a"], "must be an object with text and label"),
        ({"text": ["a"], "label": ["A", "B"]}, "must have as many text as label"),
        ({"text": ["a"], "label": [1]}, "must be a list of texts"),
        ('{"text": ', "begins like a JSON list or object and is none"),
    ],
)
def test_what_is_no_object_of_lists_is_refused(value: Any, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        Row({"c": value}).lists("c", "text", "label")


@pytest.mark.parametrize("value", [None, "", -1, "-1"])
def test_a_row_without_its_right_answer_says_so(value: Any) -> None:
    with pytest.raises(BadRequest, match="label has no right answer, without which nothing can be measured"):
        Row({"label": value}).gold("label", 0, 3)


def test_a_right_answer_out_of_range_is_refused() -> None:
    with pytest.raises(BadRequest, match="label must be a whole number from 0 to 3; it is 4"):
        Row({"label": 4}).gold("label", 0, 3)


@pytest.mark.parametrize("value", ["2", 2, " 2 "])
def test_one_of_several_names_is_found_as_text_or_number(value: Any) -> None:
    assert Row({"answer": value}).one_of("answer", ("1", "2")) == 1


@pytest.mark.parametrize("value", ["3", 3, None, True, ["1"], ""])
def test_a_name_that_is_none_of_them_is_refused(value: Any) -> None:
    with pytest.raises(BadRequest, match="answer must be one of 1, 2; it is"):
        Row({"answer": value}).one_of("answer", ("1", "2"))


@pytest.mark.parametrize(
    "value, said",
    [
        ("", "is empty"),
        (" \n", "is empty"),
        (5, "must be a text"),
        (None, "must be a text"),
        ("\ud800", "must be a text"),
    ],
)
def test_a_text_must_be_there(value: Any, said: str) -> None:
    with pytest.raises(BadRequest, match=f"t {said}"):
        Row({"t": value}).text("t")


def test_an_empty_text_may_be_allowed() -> None:
    assert Row({"t": ""}).text("t", empty=True) == ""


def test_a_missing_column_is_named_beside_those_there_are() -> None:
    with pytest.raises(BadRequest, match=r"a.csv, line 3: there is no column 'goal'; there are 'text', 'label'"):
        Row({"text": "x", "label": 0}, 1, "a.csv, line 3").text("goal")


def test_of_many_columns_with_long_names_a_few_are_shown() -> None:
    with pytest.raises(BadRequest) as error:
        Row({f"{number}" * 1000: 1 for number in range(100, 300)}).value("goal")
    assert str(error.value).endswith(" and 180 more.")
    assert len(str(error.value)) < 1000


@given(st.text(max_size=300))
def test_an_error_shows_at_most_a_line_of_what_stands_there(text: str) -> None:
    message = str(Row({"label": text + "x"}).refused("label", "is wrong"))
    assert len(message) < 120
    assert message.isascii()
    assert message.isprintable()


@given(st.text("+-0123456789 _.e\u0661", max_size=24))
def test_a_numbers_text_is_read_or_refused(text: str) -> None:
    try:
        number = Row({"label": text}).whole("label", -(10**30), 10**30)
    except BadRequest:
        assert not (text.strip().isascii() and text.strip().isdigit() and len(text.strip()) <= 20)
    else:
        assert number == int(text)


@pytest.mark.parametrize("values, name", [({"id": "q1"}, "q1"), ({"id": 7}, "7"), ({"id": ""}, "3"), ({}, "3")])
def test_an_example_is_named_by_its_id_or_else_by_its_rows_number(values: dict[str, Any], name: str) -> None:
    assert Row(values, 3).identity("id") == name


def test_without_an_id_column_the_rows_number_is_the_name() -> None:
    assert Row({"id": "q1"}, 3).identity(None) == "3"
