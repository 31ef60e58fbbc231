"""The pieces of a text, and the plain data that the why view is drawn from."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.evals.methods.labels import ClassPrediction
from workbench.evals.why import Contribution
from workbench.manager import DEMO_FOLDER
from workbench.text.tokenizer import Tokenizer
from workbench.ui.classify.why_view import WhyLines, pieces_of


def prediction(text: str = "a b", **others: object) -> ClassPrediction:
    """A prediction of a text."""
    return ClassPrediction("1", text, **({"label": "good", "scores": {"good": 1.0}} | others))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """The demo model's."""
    if not (DEMO_FOLDER / "config.json").exists():
        pytest.skip("the demo checkpoint is not here")
    return Tokenizer.from_folder(DEMO_FOLDER)


@given(text=st.text())
def test_tokens_cover_the_text_without_overlap(tokenizer: Tokenizer, text: str) -> None:
    pieces = pieces_of(text, tokenizer, by_words=False)
    assert "".join(text[start:end] for start, end in pieces) == text


@given(st.text())
def test_words_cover_the_text_after_its_leading_space(text: str) -> None:
    pieces = pieces_of(text, None, by_words=True)  # type: ignore[arg-type]
    assert "".join(text[start:end] for start, end in pieces) == text[len(text) - len(text.lstrip()) :]


def test_the_lines_only_grow() -> None:
    lines = WhyLines(prediction("a <b>"), [(0, 2), (2, 5)], 2)
    before = lines.text()
    lines.add(Contribution(2, 5, "<b>", 0.25))
    assert lines.text().startswith(before) and "<" not in lines.text()
    head, piece = [json.loads(line) for line in lines.text().splitlines()]
    assert head["text"] == "a <b>" and head["answer"] == "good" and piece == [2, 5, 0.25]


@pytest.mark.parametrize("others, words", [
    ({}, "the label's log-probability"),
    ({"labels": ("good",)}, "the label's logit"),
    ({"label": None, "number": 1.0}, "the number"),
])  # fmt: skip
def test_what_falls_is_named(others: dict[str, object], words: str) -> None:
    head = json.loads(WhyLines(prediction(**others), [], 0).text())
    assert head["what"] == f"Leave-one-out: how much {words} falls when this piece is taken out."
