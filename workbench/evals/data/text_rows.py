"""Rows of a table as texts to classify."""

from workbench.evals.data.tables import Table
from workbench.evals.methods.labels import TextExample


def text_examples(
    table: Table, text_column: str, label_column: str | None = None, separator: str | None = None
) -> list[TextExample]:
    """An example a row, named by its line in the file.

    Args:
        label_column: of the right answers; None: they are not known. A blank cell says so for its own row.
        separator: stands between the right answers of one row, where a text may have several; None: it has one.

    Raises:
        BadRequest: there is no such column.
    """
    texts = table.column(text_column)
    labels = [None] * len(texts) if label_column is None else table.column(label_column)
    return [
        TextExample(str(line), text, label if label is not None and label.strip() else None, _several(label, separator))
        for line, text, label in zip(table.lines, texts, labels, strict=True)
    ]


def _several(cell: str | None, separator: str | None) -> tuple[str, ...] | None:
    """The labels of one cell; where a text may have several, an empty cell says that it has none."""
    if cell is None or separator is None:
        return None
    return tuple(label.strip() for label in cell.split(separator) if label.strip())
