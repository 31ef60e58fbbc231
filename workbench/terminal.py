"""What a command is, and how it talks to the terminal; free of torch, for the commands that need no model."""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Command:
    """One command: `add_options` describes it to argparse, `run` does it and gives what --json prints.

    A command without `run` sets its sub-commands' own as the parsed options' `command`.
    """

    name: str
    help: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], dict[str, Any]] | None = None
    about: str = ""
    """What --help says above the options; empty: `help`."""


def note(text: str, end: str = "\n") -> None:
    """Writes to standard error."""
    print(text, end=end, file=sys.stderr, flush=True)


def rewritten(text: str, last: bool = False) -> None:
    """A line of progress that replaces the one before, where somebody can see it."""
    if sys.stderr.isatty():
        note(f"\r{text:<79}", end="\n" if last else "")


def watched(items: Iterable[Item], total: int, called: str) -> list[Item]:
    """All items, with a line of progress that says what they are called."""
    found: list[Item] = []
    for item in items:
        found.append(item)
        rewritten(f"{len(found):,} of {total:,} {called}", last=len(found) == total)
    return found


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """--json, which every command takes."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def duration(seconds: float) -> str:
    """A time as people say it: "3.2 s", "4:05 min", "2:04:05 h"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their longest cell; those of which all cells are numbers stand to the right."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(not cell or cell[0] in "+-−0123456789" for cell in column[1:]) and bool(rows) for column in columns]
    lines = []
    for row in (header, *rows):
        cells = zip(row, widths, right, strict=True)
        lines.append("  ".join(cell.rjust(width) if to_right else cell.ljust(width) for cell, width, to_right in cells))
    return "\n".join(line.rstrip() for line in lines)


def with_error(value: float | None, stderr: float | None) -> str:
    """A figure with its standard error: "0.4954 ± 0.0050"."""
    if value is None:
        return "none counted"
    return f"{value:.4f}" if stderr is None else f"{value:.4f} ± {stderr:.4f}"
