"""How decoding grows: a step's time with the number of streams, a token's time and memory with the context.

python -m tests.performance growth [--streams 1,2,4,8,16] [--contexts 128,512,1024,1536,1920] [--tokens 16]

Ours alone unless peers are named. Memory is the process' own resident memory while the stream is held.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from tests.performance.beside import turns_of, what_else
from tests.performance.decode import milliseconds
from tests.performance.peers.engines import loaded
from tests.performance.report import Report, Table, as_number, between, failures
from tests.performance.streams import counts
from tests.performance.turns import Case, Turn, paired, spread, values_by_round

CONTEXT = 128
"""Of each stream where the streams' number grows."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This measurement's own options."""
    parser.add_argument("--streams", type=counts, default=(1, 2, 4, 8, 16))
    parser.add_argument("--contexts", type=counts, default=(128, 512, 1024, 1536, 1920))
    parser.add_argument("--tokens", type=int, default=16, help="steps a turn")


def run(options: argparse.Namespace) -> Report:
    """Both kinds of growth, a table each for every engine."""
    streams = [_case(count, CONTEXT, options.tokens) for count in options.streams]
    contexts = [_case(1, context, options.tokens) for context in options.contexts]
    cases = list({case.name: case for case in (*streams, *contexts)}.values())
    with loaded(options.peers or (), options.scratch, options.layers, options.threads) as bench:
        turns = turns_of(bench, cases, options.rounds)
        engines = {engine.name: engine.facts for engine in bench.engines}
    tables: list[Table] = []
    figures: dict[str, Any] = {}
    for name, facts in engines.items():
        mine = [turn for turn in turns if turn.engine == name]
        grown, figures[name] = _with_streams(mine, streams)
        lines, more = _with_context(mine, contexts, facts)
        figures[name] |= more
        tables += [Table(f"{name}: {table.title}", table.header, table.rows) for table in (grown, lines)]
    told = [{key: value for key, value in asdict(turn).items() if key != "facts"} for turn in turns]
    return Report(
        [*tables, *failures(bench.failed), what_else(turns)],
        {"growth": figures, "engines": engines, "failed": bench.failed, "turns": told},
    )


def _case(streams: int, context: int, tokens: int) -> Case:
    request = {"streams": streams, "context": context, "tokens": tokens}
    return Case(f"streams {streams}, context {context}", request)


def _with_streams(turns: Sequence[Turn], cases: Sequence[Case]) -> tuple[Table, dict[str, Any]]:
    rows, figures = [], {}
    one = _by_round(turns, cases[0])
    for case in cases:
        found = _by_round(turns, case)
        if not found:
            continue
        step, times = spread(found.values()), spread(more / less for less, more in paired(one, found))
        streams = case.request["streams"]
        rate = as_number(1000 * streams / step.median)
        rows.append((str(streams), as_number(step.median), between(step), f"{times.median:.2f}x", rate))
        figures[str(streams)] = {"milliseconds": asdict(step), "times_first": asdict(times)}
    first = cases[0].request["streams"]
    header = ("streams", "ms/step", "p10-p90", f"times that of {first}", "tokens/s")
    return Table(f"streams at context {CONTEXT}", header, tuple(rows)), {"streams": figures}


def _with_context(turns: Sequence[Turn], cases: Sequence[Case], facts: dict[str, Any]) -> tuple[Table, dict[str, Any]]:
    took, held = {}, {}
    for case in cases:
        found = [turn for turn in turns if turn.case == case.name]
        if found:
            context = case.request["context"]
            took[context] = spread(milliseconds(turn) for turn in found)
            told = [turn.answers[0]["resident_bytes"] for turn in found]
            held.update({context: spread(told).median} if None not in told else {})
    if len(took) < 2:
        return Table("contexts: too few for a line", (), ()), {}
    base, slope, off = line({context: one.median for context, one in took.items()})
    rows = [
        (str(context), as_number(one.median), between(one), f"{one.median - base - slope * context:+.2f}")
        for context, one in took.items()
    ]
    title = f"one stream: {as_number(base)} ms + {1000 * slope:.3g} ms per 1,000 tokens of context"
    figures: dict[str, Any] = {
        "contexts": {str(context): asdict(one) for context, one in took.items()},
        "milliseconds": base,
        "milliseconds_per_context_token": slope,
        "furthest_from_line": off,
    }
    if len(held) > 1:
        _, figures["bytes_per_token"], figures["bytes_furthest_from_line"] = line(held)
        title += f", {figures['bytes_per_token'] / 1024:.3g} KiB a token"
        title += f" (keys and values: {facts['kv_bytes_per_token'] / 1024:.3g} KiB)"
    return Table(title, ("context", "ms/token", "p10-p90", "off the line, ms"), tuple(rows)), figures


def line(points: dict[int, float]) -> tuple[float, float, float]:
    """The straight line through some points: its value at 0, its slope, and how far off the furthest point lies."""
    x, y = np.array(list(points)), np.array(list(points.values()))
    slope, base = np.polyfit(x, y, 1)
    return float(base), float(slope), float(np.abs(y - base - slope * x).max())


def _by_round(turns: Sequence[Turn], case: Case) -> dict[int, float]:
    mine = [turn for turn in turns if turn.case == case.name]
    return values_by_round(mine, mine[0].engine, milliseconds) if mine else {}
