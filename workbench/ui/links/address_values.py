"""The values of the page's controls as they stand in a link: texts as they are, others as JSON."""

import json
import math
from collections.abc import Collection
from typing import Any

import gradio as gr

from workbench.errors import BadRequest

LARGEST_TEXT_CHARACTERS = 1_000_000
_TRUTHS = {"true": True, "false": False}


def default_of(part: Any) -> Any:
    """A control's value where a link says nothing of it."""
    return part.value["data"] if isinstance(part, gr.Dataframe) else part.value


def value_of(part: Any, text: str, known: Collection[str] | None = None) -> Any:
    """A control's value from a link.

    Args:
        known: the values that a list may have now; None: those it was built with.

    Raises:
        BadRequest: the control can't have it; the message goes on from "…".
    """
    if isinstance(part, gr.Slider):
        return _number(text, part.minimum, part.maximum)
    if isinstance(part, gr.Number):
        return None if text in ("", "null") else _number(text, part.minimum, part.maximum)
    if isinstance(part, gr.Checkbox):
        if text not in _TRUTHS:
            raise BadRequest("is neither true nor false")
        return _TRUTHS[text]
    if isinstance(part, gr.Dataframe):
        return _rows(text, len(part.headers or [""]))
    if isinstance(part, gr.Textbox):
        if len(text) > LARGEST_TEXT_CHARACTERS:
            raise BadRequest("is too long")
        return text
    return _choice(part, text, known)


def _choice(part: Any, text: str, known: Collection[str] | None) -> Any:
    choices = [value for _, value in part.choices] if known is None else known
    if isinstance(part, gr.CheckboxGroup) or getattr(part, "multiselect", False):
        values = _json(text)
        if not isinstance(values, list) or any(value not in choices for value in values):
            raise BadRequest("is not on the list")
        return values
    if text == "" and "" not in choices:
        return None
    if text not in choices:
        raise BadRequest("is not on the list")
    return text


def _number(text: str, low: float | None, high: float | None) -> float:
    value = _json(text)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadRequest("is no number")
    if (low is not None and value < low) or (high is not None and value > high):
        raise BadRequest(f"is out of range ({_bound(low)} to {_bound(high)})")
    return value


def _bound(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"


def _rows(text: str, width: int) -> list[list[str]]:
    rows = _json(text)
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and len(row) == width and all(isinstance(cell, str) for cell in row) for row in rows
    ):
        raise BadRequest("is no table of texts")
    return rows or [[""] * width]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadRequest("can't be read") from None
