"""The live figures under a continuation: how soon, how fast, by which weights, with which seed, why it ended."""

import gradio as gr

from workbench.text.requests import Generated
from workbench.ui.components import html
from workbench.ui.parts import bytes_text, seconds_text

_ENDS = {
    None: ("running", "writing"),
    "stop": ("done", "the model ended the text"),
    "length": ("done", "length reached"),
    "stop_string": ("done", "a stop text came"),
}
"""State and words for each finish reason; the style sheet says "stopped" for a run that nobody is running any more."""

_TEMPLATE = """
<dl class="figures {state}">
  <div><dt>First token</dt><dd>{first}</dd></div>
  <div><dt>Speed</dt><dd>{speed}</dd></div>
  <div><dt>Took</dt><dd>{took}</dd></div>
  <div><dt>Model in memory</dt><dd>{weights}</dd></div>
  <div><dt>Context used</dt><dd>{context}
    <span class="meter"><i style="width:{share}%"></i></span></dd></div>
  <div><dt>Seed</dt><dd>{seed}</dd></div>
  <div><dt>Ended because</dt><dd class="end" aria-live="polite"><span>{end}</span></dd></div>
</dl>
<p class="figures-note">{lookup}</p>
"""


def figures_view(elem_id: str) -> gr.HTML:
    """The component; its value is what `figures` gives.

    A text and no dictionary: Gradio's page changes a dictionary that it was sent in place, and so loses an update
    that is followed at once by one without it.
    """
    return html(figures(), elem_id=elem_id)


def figures(snapshot: Generated | None = None, weights_bytes: int = 0) -> str:
    """The figures of a snapshot, None before the first token; `weights_bytes` is what its model weighs.

    There are numbers and our own words in it, and no text from outside.
    """
    if snapshot is None:
        nothing = dict.fromkeys(("first", "speed", "took", "weights", "context", "seed", "end"), "–")
        return _TEMPLATE.format(state="idle", share="0", lookup="", **nothing)
    state, end = _ENDS[snapshot.finish_reason]
    first, speed = snapshot.time_to_first_token_seconds, snapshot.tokens_per_second
    used = snapshot.prompt_tokens + snapshot.completion_tokens
    return _TEMPLATE.format(
        state=state,
        first="–" if first is None else seconds_text(first),
        speed="–" if speed is None else f"{speed:.1f} tokens/s",
        took=seconds_text(snapshot.seconds),
        weights=bytes_text(weights_bytes),
        context=f"{used:,} of {snapshot.context_tokens:,}",
        share=f"{min(100.0, 100 * used / max(1, snapshot.context_tokens)):.1f}",
        seed=snapshot.seed,
        end=end,
        lookup=_looked_up(snapshot),
    )


def _looked_up(snapshot: Generated) -> str:
    """How many tokens needed no step of their own; empty where none, or while it is not known."""
    if not snapshot.accepted_tokens:
        return ""
    return (
        f"{snapshot.accepted_tokens} of {snapshot.completion_tokens} tokens were copied from earlier in the text and "
        "confirmed by the model: the same text, written faster."
    )
