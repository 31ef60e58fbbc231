"""The Precision tab's report: a table, figures with their intervals, and the rows whose answers flipped."""

from collections.abc import Callable, Sequence
from html import escape

from workbench.evals.precision import FEWEST_RESAMPLED, Figure, Flip, stretch_tokens
from workbench.evals.precision_report import Report
from workbench.evals.precision_summary import Summary
from workbench.ui.charts.run_plots import Mark, interval_plot
from workbench.ui.parts import bytes_text, chip, notice
from workbench.ui.precision.precision_texts import KINDS, along_markup, parted_markup
from workbench.ui.runs.run_words import NO_VALUE, signed_text, value_text

MOST_FLIPS = 50
"""Shown of each precision; the file that can be saved has all."""
_CELL_CHARACTERS = 300
EMPTY_REPORT = (
    '<p class="empty">Nothing is measured yet. Tick two or more precisions, choose what they are compared on, and '
    "press <b>Run</b>: what each of them costs in what the model says, how fast it is and how large.</p>"
)


def report_markup(report: Report, shown: Sequence[Summary]) -> str:
    """Everything that is known so far; a hint before the reference is done."""
    if not shown:
        return ""
    reference = shown[0].name
    return (
        '<section class="compared precision-report" aria-label="Precisions side by side">'
        f"<h3>Measured against {escape(reference)} <span>{_amount(report)}</span></h3>"
        f"{_table(shown)}{_errors(shown)}{_plots(shown)}{along_markup(report)}{parted_markup(report)}{_flips(shown)}"
        f'<p class="keys">{escape(_how(report))}</p></section>'
    )


def _amount(report: Report) -> str:
    """On how much it is measured."""
    tokens = report.reference.read_tokens
    rows = f", {len(report.material.rows):,} rows answered" if report.material.rows else ""
    texts = len(report.material.texts)
    return f"over {tokens:,} tokens of {texts:,} text{'' if texts == 1 else 's'}{rows}"


def _how(report: Report) -> str:
    """How it was measured, and what the intervals are of."""
    lengths = [len(one.kl) for result in report.results[1:2] for one in result.divergences]
    size = stretch_tokens(lengths)
    enough = not size or sum(-(-length // size) for length in lengths) >= FEWEST_RESAMPLED
    of = "whole texts" if not size else f"stretches of {size} tokens"
    interval = f"The 95 % intervals resample {of}." if enough else "There are too few tokens for intervals."
    kept = f" of {bytes_text(report.kept_bytes)}" if report.kept_bytes else ""
    return (
        "KL: what a precision loses, in nats a token, where the reference's distribution is right; 0 is no difference. "
        f"{interval} One precision was in memory at a time; the reference's distributions waited in a temporary "
        f"file{kept}."
    )


_ROWS: tuple[tuple[str, Callable[[Summary], str]], ...] = (
    ("Weights", lambda one: bytes_text(one.weights_bytes) if one.weights_bytes else NO_VALUE),
    ("KL a token, nats", lambda one: _with_interval(one.kl, kl_text)),
    ("half of the tokens below", lambda one: _known(one.kl_median, kl_text)),
    ("99 % below", lambda one: _known(one.kl_rare, kl_text)),
    ("Same likeliest token", lambda one: _with_interval(one.same_best, _percent)),
    ("Greedy texts part", lambda one: parted_text(one.partings)),
    ("Answers flipped", lambda one: _with_interval(one.flipped, _percent)),
    ("Task", lambda one: _metric(one)),
    ("Writes, tokens/s", lambda one: _known(one.written_per_second, _rate)),
    ("Reads, tokens/s", lambda one: _known(one.read_per_second, _rate)),
)


def _table(shown: Sequence[Summary]) -> str:
    """A column for each precision; a figure that nothing is known of is left out."""
    head = "".join(
        f'<th scope="col">{_swatch(place)}{escape(one.name)}{"" if place else "<small>reference</small>"}</th>'
        for place, one in enumerate(shown)
    )
    rows = ""
    for name, words in _ROWS:
        cells = [words(one) for one in shown]
        if any(cell != NO_VALUE for cell in cells):
            rows += f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
    return (
        '<div class="scroller" tabindex="0" role="group" aria-label="Figures of each precision"><table><thead><tr>'
        f"<td></td>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _swatch(place: int) -> str:
    kind = KINDS[(place - 1) % len(KINDS)] if place else "reference"
    return f'<i class="swatch {kind}" aria-hidden="true"></i>'


def kl_text(value: float) -> str:
    """A divergence with three digits: 0.00487, 5.54e-05."""
    return f"{value:.3g}" if value >= 0.001 or value == 0 else f"{value:.2e}".replace("-", "−")


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _with_interval(found: Figure | None, words: Callable[[float], str]) -> str:
    if found is None:
        return NO_VALUE
    ends = "" if found.low is None or found.high is None else f"<small>{words(found.low)} … {words(found.high)}</small>"
    return f"<b>{words(found.value)}</b>{ends}"


def _known(value: float | None, words: Callable[[float], str]) -> str:
    return NO_VALUE if value is None else words(value)


def parted_text(partings: Sequence[int | None]) -> str:
    """Where one text parts from the reference's, or of several how many do."""
    places = sorted(place for place in partings if place is not None)
    if not partings:
        return NO_VALUE
    if len(partings) == 1:
        return f"at token {places[0] + 1:,}" if places else "nowhere"
    first = f"<small>the first at token {places[0] + 1:,}</small>" if places else ""
    return f"{len(places):,} of {len(partings):,}{first}"


def _metric(one: Summary) -> str:
    found = one.metric
    if found is None:
        return NO_VALUE
    unit, share = " pp" if one.is_share else "", one.is_share
    ends = ""
    if found.low is not None and found.high is not None:
        low, high = signed_text(found.low, share), signed_text(found.high, share)
        ends = f"<small>{signed_text(found.difference, share)}{unit} [{low}, {high}]</small>"
    return f"{escape(found.metric)} {value_text(found.a.value, None, share)}{ends}"


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _errors(shown: Sequence[Summary]) -> str:
    return "".join(notice("error", f"{one.name} could not be measured", one.error) for one in shown if one.error)


def _plots(shown: Sequence[Summary]) -> str:
    """KL, agreement and flips, each with its interval."""
    divergences = _marks(shown, lambda one: one.kl, kl_text)
    kl = interval_plot("KL a token", divergences, share=False, log=True, note="nats, by powers of ten; less is nearer")
    agreed = _marks(shown, lambda one: one.same_best, _percent)
    same = interval_plot("Same likeliest token", agreed, share=True, note="percent of tokens")
    changed = _marks(shown, lambda one: one.flipped, _percent)
    flipped = interval_plot("Answers flipped", changed, share=True, note="percent of rows")
    return f'<div class="precision-plots">{kl}{same}{flipped}</div>'


def _marks(
    shown: Sequence[Summary], figure: Callable[[Summary], Figure | None], words: Callable[[float], str]
) -> list[Mark]:
    found = [(place, one.name, figure(one)) for place, one in enumerate(shown)]
    return [
        Mark(name, one.value, one.low, one.high, words(one.value), KINDS[(place - 1) % len(KINDS)])
        for place, name, one in found
        if one is not None
    ]


def _flips(shown: Sequence[Summary]) -> str:
    """The rows that a precision answers otherwise than the reference."""
    parts = [_flips_of(one, shown[0].name) for one in shown[1:] if one.flipped is not None]
    return f'<div class="precision-flips">{"".join(parts)}</div>' if parts else ""


def _flips_of(one: Summary, reference: str) -> str:
    right, wrong = (sum(flip.became == what for flip in one.flips) for what in ("right", "wrong"))
    n = one.flipped.n if one.flipped is not None else 0
    words = f"{len(one.flips):,} of {n:,} answers flipped: {right:,} became right, {wrong:,} wrong"
    if not one.flips:
        return f'<p class="keys">{escape(one.name)}: no answer of {n:,} flipped.</p>'
    rows = "".join(_flip(flip) for flip in one.flips[:MOST_FLIPS])
    left = len(one.flips) - MOST_FLIPS
    more = f'<p class="keys">{left:,} more are in the file.</p>' if left > 0 else ""
    names = ("Row", "Asked", reference, one.name, "Right is", "Became")
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    return (
        f"<details><summary><b>{escape(one.name)}</b>: {words}</summary>"
        '<div class="scroller" tabindex="0" role="group" aria-label="Answers that flipped"><table class="flip-table">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{more}</details>"
    )


def _flip(flip: Flip) -> str:
    became = {"right": chip("became right", "good"), "wrong": chip("became wrong", "bad")}.get(flip.became, "")
    cells = (_cut(flip.prompt), answer_words(flip.reference), answer_words(flip.other), answer_words(flip.gold))
    shown = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{escape(flip.id)}</th>{shown}<td>{became}</td></tr>'


def answer_words(answer: object) -> str:
    """An answer as a method records it: a label, a text, several, or the number of a choice."""
    if answer is None or answer == "":
        return "no answer"
    if isinstance(answer, int):
        return f"choice {answer + 1}"
    if isinstance(answer, list | tuple):
        return _cut(" / ".join(str(one) for one in answer)) or "no answer"
    return _cut(str(answer))


def _cut(text: str) -> str:
    return text if len(text) <= _CELL_CHARACTERS else f"{text[:_CELL_CHARACTERS]}…"
