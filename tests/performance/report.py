"""Figures of turns as tables for people and as JSON for programs."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.performance.turns import Spread, Turn, paired, spread, values_by_round

OURS = "ours"


@dataclass(frozen=True)
class Table:
    """Rows of text, under a header unless it is empty."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Report:
    """What a measurement found: tables to print, and figures that JSON can hold."""

    tables: Sequence[Table]
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """What a turn is judged by."""

    unit: str
    of: Callable[[Turn], float]
    less_is_better: bool = False

    def times_as_good(self, ours: float, other: float) -> float:
        """How many times as good ours is as another's: above 1, ours is ahead."""
        return other / ours if self.less_is_better else ours / other


def as_text(table: Table) -> str:
    """A table in columns; under a header all but the first are flush right, as figures are."""
    rows = [row for row in (table.header, *table.rows) if row]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        others = zip(row[1:], widths[1:], strict=True)
        cells = [cell.rjust(width) if table.header else cell for cell, width in others]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells]).rstrip())
    rule = "-" * min(120, max(map(len, [table.title, *lines])))
    return "\n".join([table.title, rule, *(lines[:1] + [rule] if table.header else []), *lines[bool(table.header) :]])


def compared(
    title: str,
    turns: Sequence[Turn],
    figure: Figure,
    engines: Sequence[str],
    failed: dict[str, str],
    share: Callable[[Turn], float] | None = None,
) -> tuple[Table, dict[str, Any]]:
    """One case on all engines: medians, spreads, and ratios taken round by round.

    Args:
        failed: why an engine gave nothing, or nothing more.
        share: of the read limit, if the case has one.
    """
    ours = values_by_round(turns, OURS, figure.of)
    header = ["", figure.unit, "p10-p90", "rounds", "ours is better by", *(["of the read limit"] if share else [])]
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    for name in engines:
        found = values_by_round(turns, name, figure.of)
        if not found:
            rows.append((name, "-", "-", "0", *["-"] * (len(header) - 4)))
            figures[name] = {"failed": failed.get(name, "it was not measured")}
            continue
        one = spread(found.values())
        ratio = spread(figure.times_as_good(a, b) for a, b in paired(ours, found)) if paired(ours, found) else None
        limit = spread(values_by_round(turns, name, share).values()) if share else None
        shown = "" if name == OURS else "-" if ratio is None else f"{as_number(ratio.median)}x ({between(ratio)})"
        row = [name, as_number(one.median), between(one), str(len(found)), shown]
        rows.append(tuple([*row, f"{limit.median:.0%} ({limit.low:.0%}-{limit.high:.0%})"] if limit else row))
        figures[name] = {
            "unit": figure.unit, **asdict(one), "by_round": found,
            "times_ours_is_better": None if ratio is None or name == OURS else asdict(ratio),
            "share_of_read_limit": None if limit is None else asdict(limit),
        }  # fmt: skip
    return Table(title, tuple(header), tuple(rows)), figures


def as_number(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def between(of: Spread) -> str:
    """From p10 to p90."""
    return f"{as_number(of.low)}-{as_number(of.high)}"


def failures(failed: dict[str, str]) -> list[Table]:
    """Which engines gave nothing and why; no table where all of them answered."""
    rows = tuple((name, " ".join(why.split())[-300:]) for name, why in failed.items())
    return [Table("Not measured", (), rows)] if rows else []
