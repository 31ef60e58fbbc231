"""Labelled texts for a classification head."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import BadRequest
from workbench.evals.data.tables import LOCAL, read_table
from workbench.text.tokenizer import Tokenizer
from workbench.training.examples import Example, Split, file_facts, held_back
from workbench.training.head_request import TrainClassify

MOST_LABELS = 10_000


@dataclass(frozen=True)
class LabelledTexts:
    """The rows that can be trained on, still in words."""

    training: tuple[tuple[str, str], ...]
    """(text, what the label column says)."""
    validation: tuple[tuple[str, str], ...]
    labels: tuple[str, ...]
    """In alphabetical order; for regression the column's name alone."""
    facts: dict[str, object]

    def split(self, tokenizer: Tokenizer, request: TrainClassify, context: int) -> Split:
        """The examples in tokens; longer texts keep their first tokens."""
        most = min(request.max_tokens, context)
        shortened = 0

        def examples(rows: tuple[tuple[str, str], ...]) -> tuple[Example, ...]:
            nonlocal shortened
            found = []
            for text, label in rows:
                tokens = tokenizer.encode(text)
                shortened += len(tokens) > most
                found.append(Example(tuple(tokens[:most]), _target(label, self.labels, request)))
            return tuple(found)

        training, validation = examples(self.training), examples(self.validation)
        return Split(training, validation, {**self.facts, "max_tokens": most, "shortened": shortened})


def read_labelled(request: TrainClassify) -> LabelledTexts:
    """The rows of the request's files, checked; rows without a text or without a label are dropped and counted.

    Raises:
        BadRequest: a column is missing, a number is none, there are fewer than two labels, or nothing is left.
    """
    path = Path(request.data)
    facts: dict[str, object] = dict(file_facts(path))
    rows, dropped = _rows(path, request)
    if request.validation is None:
        back = held_back([text for text, _ in rows], request.validation_share, request.seed)
        training = [row for row, held in zip(rows, back, strict=True) if not held]
        validation = [row for row, held in zip(rows, back, strict=True) if held]
    else:
        other = Path(request.validation)
        facts["validation"] = file_facts(other)
        training, (validation, more) = rows, _rows(other, request)
        dropped.update(more)
    labels = _labels(training, request)
    _check_validation(validation, labels, request)
    facts |= {
        "rows": len(rows), "training": len(training), "validation_rows": len(validation),
        "dropped": dict(sorted(dropped.items())), "columns": [request.text_column, request.label_column],
    }  # fmt: skip
    return LabelledTexts(tuple(training), tuple(validation), labels, facts)


def _rows(path: Path, request: TrainClassify) -> tuple[list[tuple[str, str]], Counter[str]]:
    """(text, label) of each row that has both, and why the others were dropped."""
    table = read_table(path, LOCAL)
    texts, labels = table.column(request.text_column), table.column(request.label_column)
    rows: list[tuple[str, str]] = []
    dropped: Counter[str] = Counter()
    for line, text, label in zip(table.lines, texts, labels, strict=True):
        if not text.strip():
            dropped["empty text"] += 1
        elif not label.strip() and request.problem != "multi_label_classification":
            dropped["no label"] += 1
        else:
            if request.problem == "regression":
                _check_number(path, line, label)
            rows.append((text, label.strip()))
    if not rows:
        raise BadRequest(
            f"{path.name} has {len(texts)} rows, and none with both a text in {request.text_column!r} and a label in "
            f"{request.label_column!r}. Are these the right columns?"
        )
    return rows, dropped


def _check_number(path: Path, line: int, label: str) -> None:
    try:
        fine = math.isfinite(float(label))
    except ValueError:
        fine = False
    if not fine:
        raise BadRequest(
            f"{path.name}, line {line}: {label[:80]!r} is not a finite number, and regression needs one. "
            "Correct the row or leave it out."
        )


def _labels(rows: list[tuple[str, str]], request: TrainClassify) -> tuple[str, ...]:
    if request.problem == "regression":
        return (request.label_column,)
    labels = sorted({part for _, label in rows for part in _parts(label, request)})
    column = f"{request.label_column!r} of {Path(request.data).name}"
    if request.problem == "single_label_classification" and len(labels) < 2:
        raise BadRequest(f"All rows in {column} have the label {labels[0]!r}; a head needs at least two to tell apart.")
    if not labels:
        raise BadRequest(f"No row in {column} has a label; a head needs at least one.")
    if len(labels) > MOST_LABELS or (len(labels) == len(rows) and len(labels) > 20):
        raise BadRequest(
            f"{column} has {len(labels):,} different labels in {len(rows):,} rows to train on. Is it the right column? "
            f"At most {MOST_LABELS:,} labels can be trained, each in several rows."
        )
    return tuple(labels)


def _check_validation(rows: list[tuple[str, str]], labels: tuple[str, ...], request: TrainClassify) -> None:
    if request.problem == "regression":
        return
    unknown = sorted({part for _, label in rows for part in _parts(label, request)} - set(labels))
    if unknown:
        named = ", ".join(map(repr, unknown[:5]))
        raise BadRequest(
            f"The validation rows have labels that no training row has: {named}. "
            "Add rows with them, give another validation file, or change the seed of the split."
        )


def _parts(label: str, request: TrainClassify) -> list[str]:
    """The labels of one row, in order, each once."""
    if request.problem == "single_label_classification":
        return [label]
    return list(dict.fromkeys(part.strip() for part in label.split(request.separator) if part.strip()))


def _target(label: str, labels: tuple[str, ...], request: TrainClassify) -> tuple[float, ...]:
    if request.problem == "regression":
        return (float(label),)
    if request.problem == "single_label_classification":
        return (float(labels.index(label)),)
    present = set(_parts(label, request))
    return tuple(float(name in present) for name in labels)
