"""The token view: a text token by token, each coloured by its probability, with its alternatives to branch to.

Python sends plain JSON, one line an item, and only ever appends to it while a text grows, so an update carries the
new tokens alone (at a text's end its last token may come once more, completed). The browser side (token_view.js) puts
every text in by textContent: there is no markup to escape.
"""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr

from workbench.text.requests import Generate, Generated, TokenText

_FRAME = """
<section class="lens" aria-label="Continuation">
  <div class="lens-bar">
    <h2>Continuation</h2>
    <div class="lens-tools">
      <button type="button" data-do="colours" aria-pressed="true">Colours</button>
      <button type="button" data-do="copy">Copy</button>
      <button type="button" data-do="text">Save text</button>
      <button type="button" data-do="json">Save JSON</button>
    </div>
  </div>
  <div class="lens-body">
    <div class="lens-text" tabindex="-1"><p class="lens-empty">Press <b>Generate</b>: the continuation appears here,
    token by token.</p><span class="lens-prompt"></span><span class="lens-tokens"></span><span
    class="lens-caret"></span></div>
    <aside class="lens-side" aria-label="About one token"></aside>
  </div>
  <ul class="lens-legend" aria-label="Legend: how likely each token was">
    <li><span class="tok p4"><span class="core">very likely</span></span> 50 % or more</li>
    <li><span class="tok p3"><span class="core">likely</span></span> 20 %</li>
    <li><span class="tok p2"><span class="core">possible</span></span> 5 %</li>
    <li><span class="tok p1"><span class="core">unlikely</span></span> 1 %</li>
    <li><span class="tok p0"><span class="core">surprising</span></span> less</li>
  </ul>
</section>
"""


def token_view() -> gr.HTML:
    """The component; its value is the text of a `TokenLines`, its event `submit` carries a branch's first `ids`."""
    script = (Path(__file__).parent / "token_view.js").read_text(encoding="utf-8")
    return gr.HTML("", html_template=_FRAME, js_on_load=script, apply_default_css=False, elem_id="token-view")


class TokenLines:
    """Builds the view's value for one text: a line for the request, a line a token, a line for the end."""

    def __init__(self, model: str, request: Generate):
        self._head = _line({"model": model, "request": asdict(request)})
        self._tokens: list[TokenText] = []
        self._lines: list[str] = []

    def text(self, snapshot: Generated | None = None) -> str:
        """The value for a snapshot; None before the first one."""
        if snapshot is None:
            return self._head
        kept = unchanged(self._tokens, snapshot.tokens)
        self._lines[kept:] = [_token_line(token) for token in snapshot.tokens[kept:]]
        self._tokens = snapshot.tokens
        end = "" if snapshot.finish_reason is None else _line({"result": {"text": snapshot.text} | result_of(snapshot)})
        return self._head + "".join(self._lines) + end


def unchanged(earlier: list[TokenText], later: list[TokenText]) -> int:
    """How many tokens of an earlier snapshot stand in a later one: all, or all but the last.

    A text's very last token gets the half character that nothing will complete any more.
    """
    count = len(earlier)
    return count if later[count - 1 : count] == earlier[-1:] else count - 1


def result_of(snapshot: Generated) -> dict[str, Any]:
    """What is known of a generation besides its text and tokens, under the names of the command line's JSON."""
    names = (
        *("finish_reason", "prompt_tokens", "completion_tokens", "seconds", "time_to_first_token_seconds"),
        *("tokens_per_second", "seed", "context_tokens"),
    )
    return {name: getattr(snapshot, name) for name in names}


def token_record(token: TokenText) -> dict[str, Any]:
    """A token with its alternatives as plain data; probabilities that JSON can't hold become None."""
    return asdict(token) | {
        "logprob": _finite(token.logprob),
        "alternatives": [asdict(other) | {"logprob": _finite(other.logprob)} for other in token.alternatives],
    }


def _token_line(token: TokenText) -> str:
    """[id, text, probability, rank, [[id, text, probability], ...]]: short, since there is one for each token."""
    others = [[other.id, other.text, _probability(other.logprob)] for other in token.alternatives]
    return _line([token.id, token.text, _probability(token.logprob), token.rank, others])


def _line(value: Any) -> str:
    """One line of JSON in ASCII; "<" is written as an escape, so the line is harmless even where markup is read."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c") + "\n"


def _probability(logprob: float) -> float:
    return round(math.exp(min(logprob, 0.0)), 5) if not math.isnan(logprob) else 0.0


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
