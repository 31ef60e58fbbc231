"""Values and differences with their 95 % intervals, a line each, as SVG in the page's own colours."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

from workbench.ui.charts.plot_frame import round_ticks

WIDTH, ROW, TOP, BOTTOM = 640, 48, 6, 36
"""Of the drawing, in its own units; a row holds a name above its mark."""
_LEFT, _RIGHT = 26, 26
_NAME_CHARACTERS = 46


@dataclass(frozen=True)
class Mark:
    """A value to draw."""

    name: str
    value: float
    low: float | None
    high: float | None
    words: str
    """How the value reads."""
    kind: str = "ours"
    """Its class in the style sheet: "ours", "published", "picked", or a run's letter in lower case."""


def interval_plot(
    title: str, marks: Sequence[Mark], share: bool, zero: bool = False, note: str = "", log: bool = False
) -> str:
    """Each value as a dot with its interval, on one scale; empty without any finite value.

    Args:
        share: the scale is in percent.
        zero: an upright line at 0, which differences are measured from.
        log: the scale is by powers of ten; what is not above 0 is left out.
    """
    marks = [_in_powers(mark) for mark in marks if mark.value > 0] if log else marks
    marks = [mark for mark in marks if math.isfinite(mark.value)]
    if not marks:
        return ""
    axis = _powers(marks) if log else _axis(marks, share, zero)
    height = TOP + ROW * len(marks) + BOTTOM
    rows = "".join(_row(mark, TOP + ROW * place, axis) for place, mark in enumerate(marks))
    words = f"{title}: " + ", ".join(f"{mark.name} {mark.words}" for mark in marks)
    hint = f"<span>{escape(note)}</span>" if note else ""
    return (
        f'<figure class="intervals"><figcaption>{escape(title)}{hint}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(words)}">'
        f"{_grid(axis, height, share, zero, log)}{rows}</svg></figure>"
    )


def _in_powers(mark: Mark) -> Mark:
    """The mark by its logarithms to base ten; an end of its interval that has none is the value itself."""
    low, high = (None if end is None else math.log10(end if end > 0 else mark.value) for end in (mark.low, mark.high))
    return replace(mark, value=math.log10(mark.value), low=low, high=high)


def _powers(marks: Sequence[Mark]) -> list[float]:
    """Ticks at the powers of ten around all marks."""
    known = [end for mark in marks for end in (mark.value, mark.low, mark.high) if end is not None]
    first, last = math.floor(min(known)), math.ceil(max(known))
    return [float(power) for power in range(first, max(last, first + 1) + 1)]


def _axis(marks: Sequence[Mark], share: bool, zero: bool) -> list[float]:
    """Round ticks around all values and the ends of their intervals."""
    known = [end for mark in marks for end in (mark.value, mark.low, mark.high) if end is not None]
    ends = [end for end in known if math.isfinite(end)] + ([0.0] if zero else [])
    low, high = min(ends), max(ends)
    if high - low < 1e-9:
        around = 0.05 if share else max(0.5, abs(high) * 0.1)
        low, high = low - around, high + around
    return round_ticks(low, high)


def _x(axis: Sequence[float], value: float) -> float:
    share = (value - axis[0]) / (axis[-1] - axis[0])
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * min(1.0, max(0.0, share))


def _grid(axis: Sequence[float], height: int, share: bool, zero: bool, log: bool) -> str:
    parts = []
    for tick in axis:
        x = f"{_x(axis, tick):.1f}"
        kind = "zero" if zero and abs(tick) < 1e-12 else "grid"
        shown = f"{100 * tick:.4g}" if share else f"{10**tick:.7g}" if log else f"{tick:,.6g}"
        parts.append(f'<line class="{kind}" x1="{x}" x2="{x}" y1="{TOP}" y2="{height - BOTTOM}"/>')
        anchor = {axis[0]: "start", axis[-1]: "end"}.get(tick, "middle")  # no label stands beyond the drawing
        parts.append(f'<text x="{x}" y="{height - 14}" text-anchor="{anchor}">{shown.replace("-", "−")}</text>')
    return "".join(parts)


def _row(mark: Mark, top: int, axis: Sequence[float]) -> str:
    """The name and the value's words above; the interval and the dot below."""
    y, x = top + 37, _x(axis, mark.value)
    whisker = ""
    if mark.low is not None and mark.high is not None:
        low, high = _x(axis, mark.low), _x(axis, mark.high)
        whisker = (
            f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>'
            f'<line class="whisker" x1="{low:.1f}" x2="{low:.1f}" y1="{y - 4}" y2="{y + 4}"/>'
            f'<line class="whisker" x1="{high:.1f}" x2="{high:.1f}" y1="{y - 4}" y2="{y + 4}"/>'
        )
    return (
        f'<g class="{mark.kind}"><text class="name" x="{_LEFT}" y="{top + 22}">{escape(_shortened(mark.name))}</text>'
        f'<text class="value" x="{WIDTH - _RIGHT}" y="{top + 22}" text-anchor="end">{escape(mark.words)}</text>'
        f"{whisker}{_dot(mark.kind, x, y)}</g>"
    )


def _shortened(name: str) -> str:
    return name if len(name) <= _NAME_CHARACTERS else f"{name[: _NAME_CHARACTERS - 1]}…"


def _dot(kind: str, x: float, y: float) -> str:
    """A disc for what was measured here, an empty diamond for what others published."""
    if kind == "published":
        return f'<path class="dot" d="M{x - 6:.1f} {y} L{x:.1f} {y - 6} L{x + 6:.1f} {y} L{x:.1f} {y + 6} Z"/>'
    return f'<circle class="dot" cx="{x:.1f}" cy="{y}" r="5"/>'
