"""Where precisions part: their greedy texts beside each other, and the divergence along a text."""

import math
from collections.abc import Sequence
from html import escape

from workbench.evals.precision_report import Measured, Report
from workbench.text.requests import Generated, TokenText
from workbench.ui.charts.plot_frame import Frame, Margins

SMALLEST_KL = 1e-8
"""Nothing below is drawn: float32 itself is no more exact."""
MOST_DRAWN = 2_000
"""Tokens of a text that are drawn."""
_WIDTH, _HEIGHT, _AROUND = 640, 220, Margins(left=64, right=12, top=12, bottom=40)
_DASHES = ("", "7 4", "2 3", "10 3 2 3", "4 2", "1 4")
"""The lines differ by more than their colour."""
KINDS = ("a", "b", "c", "d", "e", "f")
"""The colours of the precisions after the reference, as the style sheet names them."""


def parted_markup(report: Report) -> str:
    """Each prompt with the reference's text, and every other beside it with the first token that is another."""
    others = [one for one in report.results[1:] if one.partings]
    if not others:
        return ""
    first = report.reference
    parts = []
    for number, prompt in enumerate(report.material.prompts):
        pairs = "".join(_pair(first, other, number) for other in others if number < len(other.partings))
        if pairs:
            parts.append(
                f"<details{' open' if not number else ''}><summary>{_parted_words(others, number)} "
                f'<q>{escape(_shortened(prompt))}</q></summary><div class="partings">{pairs}</div></details>'
            )
    return (
        '<figure class="greedy-texts"><figcaption>Where the greedy texts part<span>The likeliest token each time. '
        "Grey: the same in both; framed: the first token that is another.</span></figcaption>"
        f"{''.join(parts)}</figure>"
    )


def _parted_words(others: Sequence[Measured], number: int) -> str:
    known = [one.partings[number] for one in others if number < len(one.partings)]
    parted = sum(place is not None for place in known)
    return f"{parted} of {len(known)} part after"


def _shortened(prompt: str) -> str:
    words = " ".join(prompt.split())
    return words if len(words) <= 90 else f"…{words[-89:]}"


def _pair(first: Measured, other: Measured, number: int) -> str:
    place = other.partings[number]
    where = "the same to the end" if place is None else f"parts at token {place + 1:,}"
    texts = "".join(_text(one.name, one.written[number], place) for one in (first, other))
    return (
        f'<div class="parting"><h4>{escape(other.name)} <span>{where}</span></h4>'
        f'<div class="parting-texts">{texts}</div></div>'
    )


def _text(name: str, text: Generated, place: int | None) -> str:
    """A text with its tokens up to `place` in grey and the one there framed."""
    same = "".join(token.text for token in text.tokens[:place])
    breaks = len(same) - len(same.lstrip("\n"))  # a text seldom begins on its first line
    rest = "" if place is None else _rest(text.tokens[place:])
    return f'<p><b>{escape(name)}</b><span class="same">{"↵" * breaks}{escape(same[breaks:])}</span>{rest}</p>'


def _rest(tokens: Sequence[TokenText]) -> str:
    if not tokens:
        return '<mark title="The text ends here, and the other goes on">∎</mark>'
    # A token that is half a character has no text yet; a line break would be an empty frame.
    shown = tokens[0].text.replace("\n", "↵") or "▫"
    after = "\n" if "\n" in tokens[0].text else ""
    chance = f"{100 * math.exp(min(0.0, tokens[0].logprob)):.1f} % likely here"
    rest = after + "".join(token.text for token in tokens[1:])
    return f'<mark title="{chance}">{escape(shown)}</mark>{escape(rest)}'


def along_markup(report: Report) -> str:
    """The divergence after each token of a single text, a line for each precision; empty for several texts."""
    lines = [(one.name, one.divergences[0].kl) for one in report.results[1:] if len(one.divergences) == 1]
    if len(report.material.texts) != 1 or not lines or len(lines[0][1]) < 2:
        return ""
    drawn = [(name, [max(SMALLEST_KL, float(value)) for value in kl[:MOST_DRAWN]]) for name, kl in lines]
    low = math.floor(math.log10(min(min(values) for _, values in drawn)))
    high = max(low + 1, math.ceil(math.log10(max(max(values) for _, values in drawn))))
    count = max(len(values) for _, values in drawn)
    frame = Frame(_WIDTH, _HEIGHT, _AROUND, (0, count - 1), range(low, high + 1))
    shown = "".join(
        _line(values, KINDS[place % len(KINDS)], _DASHES[place % len(_DASHES)], frame)
        for place, (_, values) in enumerate(drawn)
    )
    keys = "".join(_key(name, place) for place, (name, _) in enumerate(drawn))
    words = "KL after each token, " + ", ".join(f"{name} at most {max(values):.2g}" for name, values in drawn)
    note = f"the first {MOST_DRAWN:,} tokens" if len(lines[0][1]) > MOST_DRAWN else "by powers of ten"
    return (
        f'<figure class="kl-along"><figcaption>KL along the text<span>{note}; nats after each token</span></figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(words)}">'
        f"{frame.rows(_power_words)}{_ends(count, frame)}"
        f'{shown}</svg><ul class="line-keys">{keys}</ul></figure>'
    )


def _key(name: str, place: int) -> str:
    """A line of the drawing and whose it is."""
    return (
        f'<li class="{KINDS[place % len(KINDS)]}"><svg viewBox="0 0 28 8" aria-hidden="true"><line x1="0" x2="28" '
        f'y1="4" y2="4" stroke-dasharray="{_DASHES[place % len(_DASHES)]}"/></svg>{escape(name)}</li>'
    )


def _line(values: Sequence[float], kind: str, dash: str, frame: Frame) -> str:
    points = " ".join(f"{frame.x(place):.1f},{frame.y(math.log10(value)):.1f}" for place, value in enumerate(values))
    return f'<polyline class="{kind}" points="{points}" stroke-dasharray="{dash}"/>'


def _power_words(power: float) -> str:
    return f"{10.0**power:.7g}"


def _ends(count: int, frame: Frame) -> str:
    """Which token the first one is, and the last."""
    return "".join(
        f'<text x="{frame.x(place):.1f}" y="{_HEIGHT - 20}" text-anchor="{anchor}">token {place + 1:,}</text>'
        for place, anchor in ((0, "start"), (count - 1, "end"))
    )
