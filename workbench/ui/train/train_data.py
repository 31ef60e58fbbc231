"""What an uploaded file holds, told before anything is trained on it."""

from collections import Counter
from pathlib import Path

from workbench.evals.data.squad_files import read_questions
from workbench.evals.data.tables import LOCAL, Table, read_table
from workbench.ui.host.upload import names_rows

_LABELS_SHOWN = 6
_LABEL_CHARACTERS = 30
HINTS = {
    "classify": "CSV, TSV or JSONL with a column of texts and a column of labels.",
    "answer": "SQuAD JSON, or CSV or JSONL with the columns question, context and answer.",
}
"""What each kind of head is trained on."""


def read_rows(path: str) -> Table:
    """The table of texts and labels.

    Raises:
        BadRequest: it is malformed.
    """
    return read_table(Path(path), LOCAL)


def fewest_values(table: Table, columns: list[str]) -> str | None:
    """The column that is likeliest to hold labels where no name tells: the one with the fewest different values.

    None where there is none: a column that is different in every row, as a number of the row is, holds no labels.
    """
    counts = {column: len({row[column] for row in table.rows}) for column in reversed(columns)}
    fitting = [column for column, count in counts.items() if count < len(table.rows) and not names_rows(column)]
    return min(fitting, key=counts.__getitem__, default=None)


def table_facts(table: Table, label_column: str | None) -> dict[str, str]:
    """Rows, and how often each label stands there."""
    facts = {"Rows": f"{len(table.rows):,}", "Columns": ", ".join(table.columns)}
    if label_column in table.columns:
        counts = Counter(row[label_column] for row in table.rows)
        shown = [f"{_cut(label)} {count:,}" for label, count in counts.most_common(_LABELS_SHOWN)]
        more = f", and {len(counts) - _LABELS_SHOWN:,} more" if len(counts) > _LABELS_SHOWN else ""
        facts["Labels"] = ", ".join(shown) + more
    return facts


def _cut(label: str) -> str:
    return label if len(label) <= _LABEL_CHARACTERS else f"{label[:_LABEL_CHARACTERS]}…"


def question_facts(path: str) -> dict[str, str]:
    """Questions, passages, and how many can't be answered.

    Raises:
        BadRequest: it is malformed.
    """
    questions = read_questions(Path(path), LOCAL)
    unanswerable = sum(not question.answers for question in questions)
    return {
        "Questions": f"{len(questions):,}",
        "Passages": f"{len({question.context for question in questions}):,}",
        "Without an answer": f"{unanswerable:,}",
    }
