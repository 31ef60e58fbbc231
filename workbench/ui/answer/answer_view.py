"""The answer in its passage: the best span strong, the others faint, beside them the n best with their scores.

Python sends plain JSON; the browser side (answer_view.js) puts every text in by textContent and decides by the
threshold itself, so that moving the threshold asks nobody. Offsets are in characters, as Python counts them.
"""

import json
import math
from typing import Any

import gradio as gr

from workbench.text.requests import Spans
from workbench.ui.scripts import script

_FRAME = """
<section class="lens found" aria-label="Answer">
  <div class="lens-bar">
    <h2>Answer</h2>
    <p class="found-verdict" role="status" aria-live="polite"></p>
    <div class="lens-tools"><button type="button" data-do="copy">Copy</button
    ><button type="button" data-do="json">Save JSON</button></div>
  </div>
  <div class="found-body">
    <div class="found-text" tabindex="0" role="group" aria-label="Passage with the answers marked"><p
    class="lens-empty">Press <b>Answer</b>: the answer is marked here, in the passage it comes from.</p><span
    class="found-passage"></span></div>
    <div class="found-side">
      <table class="n-best" aria-label="The best answers">
        <thead><tr><th scope="col">Answer</th><th scope="col">Probability</th><th scope="col">Score</th
        ><th scope="col">Characters</th></tr></thead><tbody></tbody>
      </table>
      <p class="hint">Point at a row to see where it stands; click it to hold it there.</p>
    </div>
  </div>
  <div class="found-scale" role="img" hidden><i class="zone"></i><i class="tick"></i><i class="dot"></i>
    <span class="left">answers</span><span class="words"></span><span class="right">no answer</span></div>
  <dl class="figures">
    <div><dt>Best score</dt><dd data-figure="score">–</dd></div>
    <div><dt>“No answer” score</dt><dd data-figure="null">–</dd></div>
    <div><dt>“No answer” ahead by</dt><dd data-figure="difference">–</dd></div>
    <div><dt>Read in windows</dt><dd data-figure="windows">–</dd></div>
    <div><dt>Time</dt><dd data-figure="time">–</dd></div>
  </dl>
</section>
"""

AT_THRESHOLD = """
(threshold, value) => {
  if (!value) return value;
  const shown = JSON.parse(value);
  return shown.threshold === null ? value : JSON.stringify({ ...shown, threshold });
}
"""
"""What a slider runs in the browser: the shown value, decided by another threshold."""

AT_ITS_THRESHOLD = f"(first, own, as_a, value) => ({AT_THRESHOLD.strip()})(as_a ? first : own, value)"
"""The same for a side that may be asked as A: then A's threshold decides."""


def answer_view(elem_id: str) -> gr.HTML:
    """The component; its value is what `answer_text` gives, or empty."""
    return gr.HTML(
        "",
        html_template=_FRAME,
        js_on_load=script("copied.js", "answer_view.js"),
        apply_default_css=False,
        elem_id=elem_id,
    )


def answer_text(
    question: str, context: str, threshold: float, spans: Spans | None = None, seconds: float | None = None
) -> str:
    """The view's value; without `spans` the passage alone, while the model reads it.

    Args:
        threshold: infinity gives the best span whatever its null score, and no slider moves it.
    """
    decided = threshold if math.isfinite(threshold) else None
    value: dict[str, Any] = {"question": question, "context": context, "threshold": decided}
    if spans is not None:
        found = [[span.start, span.end, span.score, span.probability] for span in spans.n_best]
        null_score = spans.null_score if math.isfinite(spans.null_score) else None
        value |= {"n_best": found, "null_score": null_score, "windows": spans.windows, "seconds": seconds}
    # "<" as an escape, so that the text is harmless even where markup is read.
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
