"""Line charts of any range, as SVG in the page's own colours, so that they follow light and dark at once."""

import math
from collections.abc import Mapping, Sequence
from html import escape

Point = tuple[float, float]

WIDTH, HEIGHT = 360, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 10, 40
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
    x_axis = _axis(*(x_range or _around([x for x, _ in every] + ([] if marked_x is None else [marked_x]))))
    y_axis = _axis(*(y_range or _around([y for _, y in every])))
    drawn = "".join(_line(name, points, number, x_axis, y_axis) for number, (name, points) in enumerate(lines.items()))
    mark = "" if marked_x is None else _upright(x_axis, marked_x, "mark")
    legend = "".join(
        f'<span><i class="key c{number % _STYLES}"></i>{escape(name)} <b>{points[-1][1]:.4g}</b></span>'
        for number, (name, points) in enumerate(lines.items())
    )
    words = f"{title}: " + ", ".join(f"{name} ends at {points[-1][1]:.4g}" for name, points in lines.items())
    return (
        f'<figure class="curves"><figcaption>{escape(title)}<span class="legend">{legend}</span></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(words)}">'
        f"{_grid(x_axis, y_axis)}{mark}{drawn}"
        f'<text class="axis" x="{(_LEFT + WIDTH - _RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_label)}'
        "</text></svg></figure>"
    )


def _around(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _axis(low: float, high: float) -> list[float]:
    """Round ticks from at most `low` to at least `high`."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def _x(axis: list[float], value: float) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * (value - axis[0]) / (axis[-1] - axis[0])


def _y(axis: list[float], value: float) -> float:
    share = (value - axis[0]) / (axis[-1] - axis[0])
    return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * min(1.0, max(0.0, share))


def _line(name: str, points: Sequence[Point], number: int, x_axis: list[float], y_axis: list[float]) -> str:
    places = [(_x(x_axis, x), _y(y_axis, y)) for x, y in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    kind = f"c{number % _STYLES}"
    dots = "".join(
        f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3.5">'
        f"<title>{escape(name)} {value[1]:.4g} at {value[0]:.6g}</title></circle>"
        for (x, y), value in zip(places, points, strict=True)
        if len(points) <= _MOST_DOTS
    )
    return f'<polyline class="{kind}" points="{path}"/>{dots}'


def _upright(axis: list[float], value: float, kind: str) -> str:
    x = f"{_x(axis, value):.1f}"
    return f'<line class="{kind}" x1="{x}" x2="{x}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>'


def _grid(x_axis: list[float], y_axis: list[float]) -> str:
    parts = []
    for tick in y_axis:
        y = f"{_y(y_axis, tick):.1f}"
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 7}" y="{float(y) + 4:.1f}" text-anchor="end">{tick:.6g}</text>')
    for tick in x_axis:
        x = f"{_x(x_axis, tick):.1f}"
        parts.append(f'<text x="{x}" y="{HEIGHT - _BOTTOM + 16}" text-anchor="middle">{tick:,.6g}</text>')
    return "".join(parts)
