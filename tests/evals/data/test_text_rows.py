"""Rows of a table as examples."""

from workbench.evals.data.tables import Table
from workbench.evals.data.text_rows import text_examples

TABLE = Table(["text", "label"], [{"text": "a", "label": "x"}, {"text": "b", "label": " "}], [2, 5])


def test_an_example_is_named_by_its_line() -> None:
    assert [example.id for example in text_examples(TABLE, "text")] == ["2", "5"]


def test_a_blank_label_is_not_known() -> None:
    assert [example.label for example in text_examples(TABLE, "text", "label")] == ["x", None]


def test_of_several_labels_a_blank_cell_has_none() -> None:
    table = Table(["text", "label"], [{"text": "a", "label": "x| y"}, {"text": "b", "label": ""}], [2, 3])
    assert [example.labels for example in text_examples(table, "text", "label", "|")] == [("x", "y"), ()]
