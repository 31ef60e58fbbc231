"""How numbers are distributed, as stacked bars in SVG: groups differ by colour, pattern and their place in a bar."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from workbench.ui.charts.plot_frame import Frame, Margins, round_ticks, tick_words

WIDTH, HEIGHT = 420, 280
"""Of the drawing, in its own units."""
_AROUND = Margins(left=46, right=18, top=12, bottom=48)
_BARS = 16
"""About; the bars' edges lie on round numbers."""
_LEAST_HEIGHT = 5
"""Of the scale, which then counts in whole examples."""


@dataclass(frozen=True)
class Group:
    """Numbers that share a colour."""

    name: str
    kind: str
    """Its class in the style sheet: "right", "wrong" or "all"."""
    values: Sequence[float]


def histogram(title: str, groups: Sequence[Group], x_label: str, note: str = "", whole: bool = False) -> str:
    """A bar for each range of values, the groups on top of each other; empty without any finite value.

    Args:
        whole: the scale is from 0 to 1, whatever the values.
    """
    groups = [Group(one.name, one.kind, [x for x in one.values if math.isfinite(x)]) for one in groups]
    values = [value for one in groups for value in one.values]
    if not values:
        return ""
    ticks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0] if whole else _ticks(values)
    edges = _edges(ticks)
    counts = [_counted(one.values, edges) for one in groups]
    heights = round_ticks(0, max(_LEAST_HEIGHT, *map(sum, zip(*counts, strict=True))))
    frame = Frame(WIDTH, HEIGHT, _AROUND, ticks, heights)
    words = f"{title}: " + ", ".join(f"{len(one.values):,} {one.name}" for one in groups)
    keys = "".join(f'<i class="key {one.kind}"></i>{escape(one.name)}, {len(one.values):,} ' for one in groups)
    hint = f"<span>{escape(note)}</span>" if note else ""
    return (
        f'<figure class="histogram"><figcaption>{escape(title)}{hint}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(words)}">'
        f"{frame.rows(tick_words)}{frame.columns(tick_words)}{_bars(groups, counts, edges, frame)}"
        f'<text class="axis" x="{WIDTH / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text></svg>'
        f'<p class="hint">{keys}</p></figure>'
    )


def _ticks(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    room = 0.0 if high - low > 1e-9 else max(0.5, abs(high) * 0.1)
    return round_ticks(low - room, high + room)


def _edges(ticks: Sequence[float]) -> list[float]:
    """The bars' edges: each space between two ticks in equal parts."""
    parts = max(1, round(_BARS / (len(ticks) - 1)))
    step = (ticks[1] - ticks[0]) / parts
    return [ticks[0] + step * place for place in range(parts * (len(ticks) - 1) + 1)]


def _counted(values: Sequence[float], edges: Sequence[float]) -> list[int]:
    """How many lie in each bar, its lower edge included; the last one takes its upper edge too."""
    counts = [0] * (len(edges) - 1)
    step = edges[1] - edges[0]
    for value in values:
        place = math.floor((value - edges[0]) / step + 1e-9)
        counts[min(max(0, place), len(counts) - 1)] += 1
    return counts


def _bars(groups: Sequence[Group], counts: Sequence[Sequence[int]], edges: Sequence[float], frame: Frame) -> str:
    parts = []
    for place in range(len(edges) - 1):
        below = 0
        for group, own in zip(groups, counts, strict=True):
            if own[place]:
                left, right = frame.x(edges[place]), frame.x(edges[place + 1])
                top, bottom = frame.y(below + own[place]), frame.y(below)
                words = f"{edges[place]:.4g} to {edges[place + 1]:.4g}: {own[place]:,} {group.name}"
                parts.append(
                    f'<rect class="{group.kind}" x="{left + 1:.1f}" y="{top:.1f}" width="{right - left - 2:.1f}" '
                    f'height="{bottom - top:.1f}"><title>{escape(words)}</title></rect>'
                )
            below += own[place]
    return "".join(parts)
