"""A page of lenses alone, whose values are chosen: what real models would seldom write."""

import math
from dataclasses import replace
from typing import Any

import gradio as gr

from tests.ui.serving import behind_the_guard
from workbench.text.requests import Alternative, Generate, Generated, TokenText
from workbench.ui.lens.lens import LensLines, ScoredText, lens, score_lines, with_difference

PAYLOAD = "<img src=x onerror=alert(1)>"
LONG = "x" * 100_000


def written(*texts: str, side: str, finish_reason: str | None = "length") -> str:
    """A lens's value for a text that was written, token by token; " fox" is a rival everywhere."""
    tokens = [
        TokenText(
            4 if text == " fox" else 10 + len(text), text, math.log(0.5), (Alternative(4, " fox", math.log(0.25)),)
        )
        for text in texts
    ]
    return LensLines("demo", Generate(prompt="Once"), side).text(Generated("".join(texts), tokens, finish_reason))


def scored(shift: float) -> list[ScoredText]:
    """Two labels of two tokens each; the second label's tokens are shifted."""
    tokens = tuple(TokenText(place, text, -1.0) for place, text in enumerate((" ba", "d")))
    later = tuple(
        replace(token, text=text, logprob=-1.0 - shift) for token, text in zip(tokens, (" go", "od"), strict=True)
    )
    return [ScoredText("bad", tokens, "It is"), ScoredText("good", later, "It is", "right answer")]


def hostile() -> str:
    """Markup and very long texts wherever a text may stand."""
    texts = (PAYLOAD, LONG, "</section><script>alert(1)</script>")
    tokens = tuple(TokenText(place, text, -1.0, (Alternative(9, text, -2.0),)) for place, text in enumerate(texts))
    text = ScoredText(PAYLOAD, tokens, LONG, PAYLOAD)
    return score_lines(PAYLOAD, with_difference([text, replace(text, name=LONG)], [text]), PAYLOAD, PAYLOAD)


PAIRS: dict[str, tuple[str, str]] = {
    "Part": (written(" the", " fox", " ran", side="A"), written(" the", " wolf", side="B")),
    "Same": (written(" the", side="A", finish_reason="stop"), written(" the", side="B", finish_reason="stop")),
    "End": (written(" the", side="A", finish_reason="stop"), written(" the", " end", side="B")),
    "Differ": (
        score_lines("demo", with_difference(scored(0.0), scored(0.8)), "A", "B", 1),
        score_lines("demo · int8", with_difference(scored(0.8), scored(0.0)), "B", "A", 1),
    ),
    "Hostile": (hostile(), written(PAYLOAD, LONG, side=PAYLOAD)),
}
"""By a button's name: the values of the two lenses."""


def serve_lenses() -> tuple[Any, str]:
    """Starts the page; gives it and its address."""
    with gr.Blocks(analytics_enabled=False) as page:
        gr.Button("Run", elem_id="run")
        with gr.Row(elem_classes="sides"):
            with gr.Column(elem_classes="side-column"):
                first = lens("lens-a", group="texts")
            with gr.Column(elem_classes="side-column") as second_column:
                second = lens("lens-b", group="texts")
        for name, values in PAIRS.items():
            gr.Button(name).click(lambda values=values: values, None, [first, second], api_visibility="private")
        gr.Button("Remove").click(lambda: gr.Column(visible=False), None, second_column, api_visibility="private")
    return page, behind_the_guard(page)
