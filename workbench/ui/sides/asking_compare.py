"""How sides compare on many inputs: how often they say the same, and whether one does better, with intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import combinations
from typing import TypeVar

from workbench.errors import BadRequest
from workbench.evals.agreement import cohens_kappa
from workbench.evals.metrics.metric import Metric
from workbench.evals.paired import Comparison, compare
from workbench.evals.prediction import Prediction
from workbench.ui.runs.compare_view import p_text
from workbench.ui.runs.run_words import NO_VALUE, signed_text, value_text

Said = TypeVar("Said")
Mark = tuple[str, bool]
"""Words, and whether they tell a difference."""

_CLEAR = 0.05
"""A p-value below this is commonly called a difference."""
_KAPPA = "κ: beyond what chance would give; 1 is always the same, 0 no more than chance."
_CHANCE = (
    "Over the inputs that both were judged on, in percentage points. p: how often so large a difference would appear "
    "if both were equally good."
)


@dataclass(frozen=True)
class Judged:
    """What a side said of each input, in one order for all sides, and how right that was."""

    letter: str
    predictions: Sequence[Prediction]
    """An answer of None: it was not asked, or could not be."""


def marks_against(sides: Sequence[Said], mark: Callable[[Said, Said], Mark]) -> list[Mark]:
    """Of each side how what it says stands to each one before it, in words, and whether it differs from any.

    Args:
        mark: how the second stands to the first.
    """
    found = [[mark(earlier, side) for earlier in sides[:place]] for place, side in enumerate(sides)]
    return [("; ".join(words for words, _ in marks), any(differs for _, differs in marks)) for marks in found]


def comparison_markup(sides: Sequence[Judged], metrics: Sequence[tuple[str, Metric]]) -> str:
    """Agreement and, where right answers are known, the paired comparisons; empty with one side.

    Args:
        metrics: each with its name on the page.
    """
    pairs = list(combinations(sides, 2))
    parts = [_agreement(pairs), _better(pairs, metrics)]
    found = "".join(part for part in parts if part)
    return f'<section class="metrics side-compared" aria-label="Sides compared">{found}</section>' if found else ""


def _agreement(pairs: Sequence[tuple[Judged, Judged]]) -> str:
    """How often each two sides say the same."""
    rows = ""
    for a, b in pairs:
        both = [
            (str(one.answer), str(other.answer))
            for one, other in zip(a.predictions, b.predictions, strict=False)
            if one.answer is not None and other.answer is not None
        ]
        if not both:
            continue
        same = sum(one == other for one, other in both)
        kappa = cohens_kappa([one for one, _ in both], [other for _, other in both])
        shown = NO_VALUE if kappa is None else signed_text(kappa, share=False).lstrip("+")
        rows += (
            f'<tr><th scope="row">{a.letter} and {b.letter}</th><td><b>{same:,}</b> of {len(both):,}</td>'
            f"<td>{100 * same / len(both):.1f} %</td><td>{len(both) - same:,}</td><td>{shown}</td></tr>"
        )
    return _table("Same answer", _KAPPA, ("Sides", "Same", "Share", "Different", "κ"), rows)


def _better(pairs: Sequence[tuple[Judged, Judged]], metrics: Sequence[tuple[str, Metric]]) -> str:
    """Each figure of each two sides, and what their difference can be by chance."""
    rows = ""
    for name, metric in metrics:
        for a, b in pairs:
            try:
                found = compare(metric, a.predictions, b.predictions)
            except BadRequest:  # no right answer is known of what both were asked
                continue
            rows += _compared(name, a.letter, b.letter, found)
    names = (
        "Figure",
        "Sides",
        "First",
        "Second",
        "First minus second",
        "95 % interval",
        "p",
        "Only first, only second",
    )
    return _table("Is one better?", _CHANCE, names, rows)


def _compared(name: str, a: str, b: str, found: Comparison) -> str:
    ends, only = NO_VALUE, NO_VALUE
    if found.low is not None and found.high is not None:
        ends = f"{signed_text(found.low)} … {signed_text(found.high)}"
    if found.outcomes is not None:
        only = f"{len(found.outcomes.a_only):,}, {len(found.outcomes.b_only):,}"
    words = f"no clear difference of {found.n:,}"
    if found.p_value is not None and found.p_value < _CLEAR:
        words = f"{a if found.difference > 0 else b} is better, of {found.n:,}"
    return (
        f'<tr><th scope="row">{escape(name)}</th><th scope="row">{a} and {b}</th>'
        f"<td>{value_text(found.a.value)}</td><td>{value_text(found.b.value)}</td>"
        f"<td><b>{signed_text(found.difference)}</b><small>{words}</small></td><td>{ends}</td>"
        f"<td>{p_text(found.p_value)}</td><td>{only}</td></tr>"
    )


def _table(title: str, note: str, names: Sequence[str], rows: str) -> str:
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return (
        f'<figure><figcaption>{title} <span>{note}</span></figcaption><div class="scroller" tabindex="0" role="group" '
        f'aria-label="{title}"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></figure>'
    )
