"""The controls of a question: their ranges, and how their values become a request."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from workbench.errors import BadRequest
from workbench.text.requests import ExtractSpan, Spans
from workbench.ui.generate.controls import Knob

ANSWERS = (
    Knob("n_best", "Answers shown", "The best spans, with their scores.", 10, 1, 50, 1),
    Knob("max_answer_tokens", "Longest answer", "In tokens; a token is about three quarters of a word.", 30, 1, 200, 1),
)
WINDOWS = (
    Knob("window_tokens", "Window", "Tokens read at a time, the question included.", 384, 32, 2048, 1),
    Knob("doc_stride", "Overlap", "Tokens of the passage that two neighbouring windows share.", 128, 0, 1024, 1),
)
THRESHOLD = Knob(
    "threshold", "No-answer threshold",
    "The model says “no answer” where that scores higher than the best answer by more than this: the lower, the more "
    "often. It decides at once, without asking again.", 0, -60, 30, 0.1,
)  # fmt: skip
THRESHOLD_BY_LIKELIHOOD = (
    f"{THRESHOLD.info} By likelihood, “no answer” is often 10 to 30 behind: move the threshold to between −30 "
    "and −10 to get it."
)
"""What the threshold's slider says for the language model, whose scores are log-probabilities."""
_SETTINGS = {field.name for field in fields(ExtractSpan)} - {"question", "context", "head"}


def build_question(question: Any, context: Any, head: str | None, settings: Mapping[str, Any]) -> ExtractSpan:
    """A request from plain values by their names in ExtractSpan; what is not given has its default.

    Raises:
        BadRequest: a name that is no setting, or a value that its setting can't have.
    """
    return ExtractSpan(question=question, context=context, head=head, **checked_settings(settings))


def checked_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values in the types of ExtractSpan's fields, which SpanMethod shares.

    Raises:
        BadRequest: a name that is no setting, or a value of another kind.
    """
    if unknown := sorted(settings.keys() - _SETTINGS):
        raise BadRequest(
            f"There is no setting {unknown[0]!r}. There are: {', '.join(sorted(_SETTINGS | {'threshold'}))}."
        )
    return {name: _checked(name, value) for name, value in settings.items()}


def checked_threshold(value: Any) -> float:
    """A finite threshold.

    Raises:
        BadRequest: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadRequest(f"threshold is {value!r}; it must be a number.")
    return float(value)


def worked_examples(rows: Sequence[Sequence[Any]]) -> tuple[tuple[str, str, str], ...]:
    """The examples of a table with the columns passage, question, answer; empty rows are left out.

    Raises:
        BadRequest: a row that is filled in part; an unanswerable example has the word for it as its answer.
    """
    found = []
    for number, row in enumerate(rows, start=1):
        cells = [str(cell or "").strip() for cell in row][:3]
        if not any(cells):
            continue
        if len(cells) < 3 or not all(cells):
            raise BadRequest(f"Example {number} is filled in part: it needs a passage, a question and an answer.")
        found.append((cells[0], cells[1], cells[2]))
    return tuple(found)


def answer_record(spans: Spans, threshold: float) -> dict[str, Any]:
    """An answer under the names of the command line's JSON; without one the text is empty."""
    best = spans.best(threshold)
    n_best = [
        {"text": span.text, "start": span.start, "end": span.end, "score": span.score, "probability": span.probability}
        for span in spans.n_best
    ]
    return {
        "text": "" if best is None else best.text,
        "start": None if best is None else best.start,
        "end": None if best is None else best.end,
        "score": None if best is None else best.score,
        "null_score": spans.null_score if math.isfinite(spans.null_score) else None,
        "n_best": n_best,
    }


def _checked(name: str, value: Any) -> Any:
    """A value with the type of its field: sliders and JSON both send whole numbers as floats at times."""
    if name == "shots":
        if not isinstance(value, list | tuple) or not all(isinstance(row, list | tuple) for row in value):
            raise BadRequest(f"shots is {value!r}; it must be a list of [passage, question, answer].")
        return worked_examples(value)
    if name in ("template", "unanswerable"):
        if not isinstance(value, str):
            raise BadRequest(f"{name} is {value!r}; it must be a text.")
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else value
