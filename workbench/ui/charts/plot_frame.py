"""The frame of a drawing in SVG: two scales with round ticks, and room for their labels around them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass


def round_ticks(low: float, high: float) -> list[float]:
    """About five round numbers, the first at or below `low` and the last at or above `high`, which is larger."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


@dataclass(frozen=True)
class Margins:
    """The room around the scales."""

    left: int
    right: int
    top: int
    bottom: int


@dataclass(frozen=True)
class Frame:
    """Where values stand in a drawing; lengths are in its own units, and y grows downwards."""

    width: int
    height: int
    around: Margins
    x_ticks: Sequence[float]
    """The first and the last are the ends of the scale."""
    y_ticks: Sequence[float]

    def x(self, value: float) -> float:
        """Where a value stands across."""
        low, high = self.x_ticks[0], self.x_ticks[-1]
        return self.around.left + (self.width - self.around.left - self.around.right) * (value - low) / (high - low)

    def y(self, value: float) -> float:
        """Where a value stands upright; what lies beyond an end of the scale stands at it."""
        low, high = self.y_ticks[0], self.y_ticks[-1]
        share = min(1.0, max(0.0, (value - low) / (high - low)))
        return self.height - self.around.bottom - (self.height - self.around.top - self.around.bottom) * share

    def rows(self, words: Callable[[float], str]) -> str:
        """A line across at each upright tick, and its words beside it."""
        parts = []
        for tick in self.y_ticks:
            y, end = self.y(tick), self.width - self.around.right
            parts.append(f'<line class="grid" x1="{self.around.left}" x2="{end}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text x="{self.around.left - 7}" y="{y + 4:.1f}" text-anchor="end">{words(tick)}</text>')
        return "".join(parts)

    def columns(self, words: Callable[[float], str]) -> str:
        """The words of each tick across, below it."""
        y = self.height - self.around.bottom + 17
        return "".join(
            f'<text x="{self.x(tick):.1f}" y="{y}" text-anchor="middle">{words(tick)}</text>' for tick in self.x_ticks
        )


def tick_words(value: float) -> str:
    """A tick as it reads."""
    return f"{value:,.6g}".replace("-", "−")
