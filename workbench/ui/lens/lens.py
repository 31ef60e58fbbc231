"""The token lens: a text token by token, each coloured by its probability, with what could have stood in its place.

It shows a text that a model writes, whose tokens can be branched from, or texts that a model scored, of which one at a
time is looked at. Python sends plain JSON, one line an item, and only ever appends to it while a text grows, so an
update carries the new tokens alone (at a text's end its last token may come once more, completed). The browser side
(lens*.js) puts every text in by textContent: there is no markup to escape.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from html import escape
from typing import Any

import gradio as gr

from workbench.text.requests import Generate, Generated, TokenText
from workbench.ui.scripts import script

WRITING_HINT = "Press Generate: the continuation appears here, token by token."
SHOWN_NAME_CHARACTERS = 300
"""Of the name of a scored text; its tokens are shown in full."""
_SCRIPTS = ("copied.js", "lens.js", "lens_texts.js", "lens_panel.js", "lens_parts.js", "lens_events.js")
"""One script in several files; the last one starts it."""

_FRAME = """
<section class="lens token-lens" aria-label="{title}" data-group="{group}" data-branches="{branches}">
  <div class="lens-bar">
    <h2>{title}<span class="lens-model"></span></h2>
    <div class="lens-tools">
      <button type="button" data-do="colours" aria-pressed="true">Colours</button>
      <button type="button" data-do="difference" aria-pressed="true" hidden>Difference</button>
      <button type="button" data-do="copy">Copy</button>
      <button type="button" data-do="text">Save text</button>
      <button type="button" data-do="json">Save JSON</button>
    </div>
  </div>
  <div class="lens-choice" role="group" aria-label="Whose tokens to look at"></div>
  <div class="lens-body">
    <div class="lens-text" tabindex="-1"><p class="lens-empty">{empty}</p><span class="lens-prompt"></span><span
    class="lens-tokens"></span><span class="lens-caret"></span></div>
    <aside class="lens-side" aria-label="About one token" tabindex="0"></aside>
  </div>
  <p class="lens-parts"></p>
  <ul class="lens-legend by-probability" aria-label="Legend: how likely each token was">
    <li><span class="tok p4"><span class="core">very likely</span></span> 50 % or more</li>
    <li><span class="tok p3"><span class="core">likely</span></span> 20 %</li>
    <li><span class="tok p2"><span class="core">possible</span></span> 5 %</li>
    <li><span class="tok p1"><span class="core">unlikely</span></span> 1 %</li>
    <li><span class="tok p0"><span class="core">surprising</span></span> less</li>
  </ul>
  <ul class="lens-legend by-difference" aria-label="Legend: the difference of the log-probabilities">
    <li><span class="tok more2"><span class="core">+</span></span> likelier here than under
      <b class="lens-other"></b></li>
    <li><span class="tok less2"><span class="core">−</span></span> less likely here</li>
    <li>0.69 is a factor of 2; the stronger colour begins there</li>
  </ul>
</section>
"""


def lens(
    elem_id: str, title: str = "Continuation", group: str = "", branches: bool = False, empty: str = WRITING_HINT
) -> gr.HTML:
    """The component; its value is the text of a `LensLines`, or that of `score_lines`.

    Args:
        group: lenses of one group on the page compare the texts that models write into them: each marks the token where
            its text parts from another's.
        branches: whether the alternatives are buttons; the event `submit` then carries the first `ids` of a branch.
        empty: what is said while there is no value.
    """
    words = {"title": title, "group": group, "branches": "yes" if branches else "", "empty": empty}
    frame = _FRAME.format(**{name: escape(text) for name, text in words.items()})
    return gr.HTML("", html_template=frame, js_on_load=script(*_SCRIPTS), apply_default_css=False, elem_id=elem_id)


class LensLines:
    """Builds the value for a text that grows: a line for the request, a line a token, a line for the end."""

    def __init__(self, model: str, request: Generate, side: str = ""):
        """What is written by whom; `side` is what other lenses of the group call this one."""
        self._head = _line({"model": model, "side": side, "request": asdict(request)})
        self._tokens: list[TokenText] = []
        self._lines: list[str] = []

    def text(self, snapshot: Generated | None = None) -> str:
        """The value for a snapshot; None before the first one."""
        if snapshot is None:
            return self._head
        kept = unchanged(self._tokens, snapshot.tokens)
        self._lines[kept:] = [_line(_token(token)) for token in snapshot.tokens[kept:]]
        self._tokens = snapshot.tokens
        end = "" if snapshot.finish_reason is None else _line({"result": {"text": snapshot.text} | result_of(snapshot)})
        return self._head + "".join(self._lines) + end


def named(value: str, model: str, side: str) -> str:
    """A lens's value that tells at its end who wrote the text: what was blind, or where a side moved to.

    The end overrules the beginning, so that a lens that shows the text already need not draw it anew.
    """
    return value + _line({"named": {"model": model, "side": side}}) if value else value


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


@dataclass(frozen=True)
class ScoredText:
    """A text that a model did not write but scored: a label, a choice, an answer."""

    name: str
    """What it is picked by."""
    tokens: tuple[TokenText, ...]
    prompt: str = ""
    """What stands before it."""
    note: str = ""
    """What else is to be said of it: that it is the right one, that the prompt was cut."""
    differences: tuple[float | None, ...] = ()
    """Of each token, its log-probability here minus that under another model; None where that has no such token."""
    difference: float | None = None
    """The same of the whole text."""

    @property
    def loglikelihood(self) -> float:
        """The sum over the tokens."""
        return math.fsum(token.logprob for token in self.tokens)


def with_difference(mine: Sequence[ScoredText], others: Sequence[ScoredText]) -> list[ScoredText]:
    """The first model's texts with what their log-probabilities are above those of the second one's texts of that name.

    Tokens are the same where they are the same characters of the text, so that two tokenizers can be compared as far as
    they cut alike.
    """
    known = {text.name: text for text in others}
    return [_compared(text, known[text.name]) if text.name in known else text for text in mine]


def score_lines(model: str, texts: Sequence[ScoredText], side: str = "", other: str = "", chosen: int = 0) -> str:
    """The value for scored texts: a line for all, then for each text a line and one a token.

    Args:
        model: told in the lens's head; empty: nothing.
        side: what this lens is called beside others.
        other: whom the texts' differences are measured from.
        chosen: the text that is shown first.
    """
    lines = [_line({"scores": {"model": model, "side": side, "other": other, "chosen": chosen}})]
    for text in texts:
        about = {
            "name": text.name[:SHOWN_NAME_CHARACTERS],
            "prompt": text.prompt,
            "note": text.note,
            "loglikelihood": _finite(text.loglikelihood),
            "difference": text.difference,
        }
        lines.append(_line({"text": about}))
        differences = text.differences or (None,) * len(text.tokens)
        pairs = zip(text.tokens, differences, strict=True)
        lines += [_line([*_token(token), _finite(token.logprob), difference]) for token, difference in pairs]
    return "".join(lines)


def _compared(text: ScoredText, other: ScoredText) -> ScoredText:
    there = {place: token.logprob for place, token in zip(_places(other.tokens), other.tokens, strict=True)}
    pairs = zip(_places(text.tokens), text.tokens, strict=True)
    differences = tuple(_difference(token.logprob, there.get(place)) for place, token in pairs)
    whole = _difference(text.loglikelihood, other.loglikelihood)
    return replace(text, differences=differences, difference=whole)


def _places(tokens: Sequence[TokenText]) -> list[tuple[int, int, int]]:
    """Of each token its characters [start, end) of the text, and how many halves of its first character come before."""
    found, start, halves = [], 0, 0
    for token in tokens:
        end = start + len(token.text)
        found.append((start, end, halves))
        halves = 0 if token.text else halves + 1
        start = end
    return found


def _difference(mine: float, other: float | None) -> float | None:
    if other is None or not math.isfinite(mine) or not math.isfinite(other):
        return None
    return round(mine - other, 5)


def _token(token: TokenText) -> list[Any]:
    """[id, text, probability, rank, [[id, text, probability], ...]]: short, since there is one for each token."""
    others = [[other.id, other.text, _probability(other.logprob)] for other in token.alternatives]
    return [token.id, token.text, _probability(token.logprob), token.rank, others]


def _line(value: Any) -> str:
    """One line of JSON in ASCII; "<" is written as an escape, so the line is harmless even where markup is read."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c") + "\n"


def _probability(logprob: float) -> float | None:
    """None: it was not told."""
    return round(math.exp(min(logprob, 0.0)), 5) if not math.isnan(logprob) else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
