"""Line charts of any range, as SVG in the page's own colours, so that they follow light and dark at once."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from workbench.ui.charts.plot_frame import Frame, Margins, round_ticks, tick_words

Point = tuple[float, float]

WIDTH, HEIGHT = 360, 220
_AROUND = Margins(left=46, right=12, top=10, bottom=40)
_MOST_DOTS = 25
"""A line of more points is drawn without dots."""
_STYLES = 4
"""How many lines the style sheet tells apart, by colour and by dashes."""


def curves_markup(
    title: str,
    x_label: str,
    lines: Mapping[str, Sequence[Point]],
    x_range: Point | None = None,
    y_range: Point | None = None,
    marked_x: float | None = None,
) -> str:
    """A chart with a line for each name, and a legend; without any point a hint stands in its place.

    Args:
        x_range: None takes the range of the points, and so does y_range.
        marked_x: an upright line there, such as a threshold in use.
    """
    lines = {name: [point for point in points if all(map(math.isfinite, point))] for name, points in lines.items()}
    lines = {name: points for name, points in lines.items() if points}
    if not lines:
        return (
            f'<figure class="curves"><figcaption>{escape(title)}</figcaption><p class="empty">Nothing yet.</p></figure>'
        )
    every = [point for points in lines.values() for point in points]
    x_ticks = round_ticks(*(x_range or _around([x for x, _ in every] + ([] if marked_x is None else [marked_x]))))
    frame = Frame(WIDTH, HEIGHT, _AROUND, x_ticks, round_ticks(*(y_range or _around([y for _, y in every]))))
    drawn = "".join(_line(name, points, number, frame) for number, (name, points) in enumerate(lines.items()))
    mark = "" if marked_x is None else _upright(frame, marked_x, "mark")
    legend = "".join(
        f'<span><i class="key c{number % _STYLES}"></i>{escape(name)} <b>{points[-1][1]:.4g}</b></span>'
        for number, (name, points) in enumerate(lines.items())
    )
    words = f"{title}: " + ", ".join(f"{name} ends at {points[-1][1]:.4g}" for name, points in lines.items())
    return (
        f'<figure class="curves"><figcaption>{escape(title)}<span class="legend">{legend}</span></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(words)}">'
        f"{frame.rows(tick_words)}{frame.columns(tick_words)}{mark}{drawn}"
        f'<text class="axis" x="{(_AROUND.left + WIDTH - _AROUND.right) / 2}" y="{HEIGHT - 6}" text-anchor="middle">'
        f"{escape(x_label)}"
        "</text></svg></figure>"
    )


def _around(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _line(name: str, points: Sequence[Point], number: int, frame: Frame) -> str:
    places = [(frame.x(x), frame.y(y)) for x, y in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    kind = f"c{number % _STYLES}"
    dots = "".join(
        f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3.5">'
        f"<title>{escape(name)} {value[1]:.4g} at {value[0]:.6g}</title></circle>"
        for (x, y), value in zip(places, points, strict=True)
        if len(points) <= _MOST_DOTS
    )
    return f'<polyline class="{kind}" points="{path}"/>{dots}'


def _upright(frame: Frame, value: float, kind: str) -> str:
    x = f"{frame.x(value):.1f}"
    return f'<line class="{kind}" x1="{x}" x2="{x}" y1="{_AROUND.top}" y2="{HEIGHT - _AROUND.bottom}"/>'
