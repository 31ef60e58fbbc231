"""Small charts of numbers from 0 to 1, as SVG in the page's own colours; every text in them is escaped."""

from collections.abc import Iterable, Sequence
from html import escape

LEFT, TOP, SIDE, BOTTOM = 44, 12, 236, 40
"""The square of the chart and the room for its labels, in the units of the drawing."""
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)

Point = tuple[float, float]


def chart(description: str, x_label: str, y_label: str, layers: Iterable[str]) -> str:
    """A square from (0, 0) to (1, 1) with a grid, and the layers on it."""
    width, height = LEFT + SIDE + 14, TOP + SIDE + BOTTOM
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(description)}">'
        f"{_grid()}{''.join(layers)}"
        f'<text class="axis" x="{LEFT + SIDE / 2}" y="{height - 4}" text-anchor="middle">{escape(x_label)}</text>'
        f'<text class="axis" transform="translate(11 {TOP + SIDE / 2}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_label)}</text></svg>"
    )


def line(points: Sequence[Point], kind: str) -> str:
    """A line through points; `kind` is its class in the style sheet."""
    places = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in points)
    return f'<polyline class="{kind}" points="{places}"/>'


def bar(low: float, high: float, bottom: float, top: float, kind: str, title: str = "") -> str:
    """A rectangle between two values of x and two of y; `title` appears on pointing at it."""
    first, last = sorted((bottom, top))
    words = f"<title>{escape(title)}</title>" if title else ""
    width = max(1.0, (high - low) * SIDE - 2)
    return (
        f'<rect class="{kind}" x="{_x(low) + 1:.1f}" y="{_y(last):.1f}" width="{width:.1f}" '
        f'height="{(last - first) * SIDE:.1f}">{words}</rect>'
    )


def upright(x: float, kind: str) -> str:
    """A line from the bottom to the top."""
    return f'<line class="{kind}" x1="{_x(x):.1f}" x2="{_x(x):.1f}" y1="{_y(0):.1f}" y2="{_y(1):.1f}"/>'


def dot(x: float, y: float, kind: str) -> str:
    """A point."""
    return f'<circle class="{kind}" cx="{_x(x):.1f}" cy="{_y(y):.1f}" r="4"/>'


def _x(value: float) -> float:
    return LEFT + SIDE * min(1.0, max(0.0, value))


def _y(value: float) -> float:
    return TOP + SIDE * (1 - min(1.0, max(0.0, value)))


def _grid() -> str:
    parts = []
    for tick in _TICKS:
        parts.append(f'<line class="grid" x1="{_x(0):.1f}" x2="{_x(1):.1f}" y1="{_y(tick):.1f}" y2="{_y(tick):.1f}"/>')
        parts.append(upright(tick, "grid"))
        parts.append(f'<text x="{LEFT - 6}" y="{_y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
        parts.append(f'<text x="{_x(tick):.1f}" y="{TOP + SIDE + 16}" text-anchor="middle">{tick:g}</text>')
    return "".join(parts)
