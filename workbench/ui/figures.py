"""The live figures under a continuation: how soon, how fast, how much of the context, which seed, why it ended."""

import gradio as gr

from workbench.text.requests import Generated
from workbench.ui.parts import seconds_text

_ENDS = {
    None: ("running", "writing"),
    "stop": ("done", "the model ended the text"),
    "length": ("done", "length reached"),
    "stop_string": ("done", "a stop text came"),
}
"""State and words for each finish reason; the style sheet says "stopped" for a run that nobody is running any more."""

_TEMPLATE = """
<dl class="figures ${value.state}">
  <div><dt>First token</dt><dd>${value.first}</dd></div>
  <div><dt>Speed</dt><dd>${value.speed}</dd></div>
  <div><dt>Context used</dt><dd>${value.context}
    <span class="meter"><i style="width:${value.share}%"></i></span></dd></div>
  <div><dt>Seed</dt><dd>${value.seed}</dd></div>
  <div><dt>Ended because</dt><dd class="end" aria-live="polite"><span>${value.end}</span></dd></div>
</dl>
<p class="figures-note">${value.lookup}</p>
"""


def figures_view() -> gr.HTML:
    """The component; its value is what `figures` gives: numbers and our own words, no text from outside."""
    return gr.HTML(figures(), html_template=_TEMPLATE, js_on_load=None, apply_default_css=False, elem_id="figures")


def figures(snapshot: Generated | None = None) -> dict[str, str]:
    """The figures of a snapshot; None before the first token."""
    if snapshot is None:
        nothing = dict.fromkeys(("first", "speed", "context", "seed", "end"), "–")
        return {"state": "idle", "share": "0", "lookup": "", **nothing}
    state, end = _ENDS[snapshot.finish_reason]
    first, speed = snapshot.time_to_first_token_seconds, snapshot.tokens_per_second
    used = snapshot.prompt_tokens + snapshot.completion_tokens
    return {
        "state": state,
        "first": "–" if first is None else seconds_text(first),
        "speed": "–" if speed is None else f"{speed:.1f} tokens/s",
        "context": f"{used:,} of {snapshot.context_tokens:,}",
        "share": f"{min(100.0, 100 * used / max(1, snapshot.context_tokens)):.1f}",
        "seed": str(snapshot.seed),
        "end": end,
        "lookup": _looked_up(snapshot),
    }


def _looked_up(snapshot: Generated) -> str:
    """How many tokens needed no step of their own; empty where none, or while it is not known."""
    if not snapshot.accepted_tokens:
        return ""
    return (
        f"{snapshot.accepted_tokens} of {snapshot.completion_tokens} tokens came from looking up the text before them: "
        "the same tokens, sooner."
    )
