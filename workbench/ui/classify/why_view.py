"""The why view: a text with each piece coloured by how much the answer's log-probability falls without it.

Python sends plain JSON, a line an item, and only appends while the pieces are asked; the browser side (why_view.js)
puts every text in by textContent and scales the colours to the largest piece so far.
"""

import json
import re
from typing import Any

import gradio as gr

from workbench.evals.methods.labels import ClassPrediction
from workbench.evals.why import Contribution
from workbench.text.tokenizer import Tokenizer
from workbench.ui.scripts import script

MOST_PIECES = 400
"""Each piece is a text to ask about; beyond this many the first ones are asked alone, and the view says so."""

_FRAME = """
<section class="lens why" aria-label="Why: leave-one-out">
  <div class="lens-bar"><h2>Why</h2><p class="found-verdict" role="status"></p></div>
  <p class="why-what"></p>
  <div class="why-text" tabindex="-1"><p class="lens-empty">Press <b>Why</b>: the pieces of the text that carried
  the answer are coloured here.</p><span class="why-pieces"></span></div>
  <p class="why-look" role="status" aria-live="polite"></p>
  <ul class="lens-legend" aria-label="Legend">
    <li><span class="piece for s3">for the answer</span> it falls without it</li>
    <li><span class="piece against s3">against it</span> it rises without it</li>
    <li>stronger colour and thicker line: a larger change</li>
  </ul>
</section>
"""


def why_view(elem_id: str = "why-view") -> gr.HTML:
    """The component; its value is the text of a `WhyLines`."""
    return gr.HTML("", html_template=_FRAME, js_on_load=script("why_view.js"), apply_default_css=False, elem_id=elem_id)


class WhyLines:
    """Builds the view's value: a line for what is asked, then a line for each piece."""

    def __init__(self, prediction: ClassPrediction, pieces: list[tuple[int, int]], whole: int):
        """The prediction that is explained, the pieces that will be asked, and how many there are in all."""
        self.count = 0
        watched = "number" if prediction.number is not None else prediction.label
        what = f"Leave-one-out: how much {_evidence(prediction)} falls when this piece is taken out."
        self._text = _line({"text": prediction.text, "answer": watched, "what": what, "pieces": pieces, "whole": whole})

    def add(self, contribution: Contribution) -> None:
        """A piece's part in the answer."""
        self.count += 1
        self._text += _line([contribution.start, contribution.end, round(contribution.delta, 5)])

    def text(self) -> str:
        """The value as it is now."""
        return self._text


def pieces_of(text: str, tokenizer: Tokenizer, by_words: bool) -> list[tuple[int, int]]:
    """Start and end, in characters, of each word or token; tokens of one character count as one piece."""
    if by_words:
        return [match.span() for match in re.finditer(r"\S+\s*", text)]
    _, offsets = tokenizer.encode_with_offsets(text)
    pieces: list[tuple[int, int]] = []
    for start, end in offsets:
        if pieces and start < pieces[-1][1]:  # tokens that share a character can't be left out one by one
            pieces[-1] = (pieces[-1][0], max(end, pieces[-1][1]))
        elif end > start:
            pieces.append((start, end))
    return pieces


def _evidence(prediction: ClassPrediction) -> str:
    """What `evals.why.evidence` looks at, in words."""
    if prediction.number is not None:
        return "the number"
    return "the label's logit" if prediction.labels is not None else "the label's log-probability"


def _line(value: Any) -> str:
    """One line of JSON in ASCII; "<" is written as an escape, so the line is harmless even where markup is read."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c") + "\n"
