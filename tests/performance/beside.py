"""Ours beside the peers: loads all, lets them take turns, and makes the tables."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict

from tests.performance.machine import cores
from tests.performance.peers.engines import Bench, loaded
from tests.performance.report import OURS, Figure, Report, Table, as_number, between, compared, failures
from tests.performance.turns import Case, Turn, Watch, spread, take_turns
from workbench.kernels.bandwidth import read_bytes_per_second


def beside(
    options: argparse.Namespace,
    peers: Sequence[str],
    cases: Sequence[Case],
    figure: Figure,
    share: Callable[[Turn], float] | None = None,
    finish: Callable[[list[Turn]], Report] | None = None,
) -> Report:
    """Every case on every engine, a table a case.

    Args:
        peers: unless the options name others.
        share: of the read limit, where a case is bound by reading.
        finish: makes further tables of all turns.
    """
    names = peers if options.peers is None else options.peers
    with loaded(names, options.scratch, options.layers, options.threads) as bench:
        turns = turns_of(bench, cases, options.rounds)
        engines = {engine.name: engine.facts for engine in bench.engines}
    shown = [name for name in (OURS, *names) if name in engines or name in bench.failed]
    tables, figures = [], {}
    for case in cases:
        mine = [turn for turn in turns if turn.case == case.name]
        table, figures[case.name] = compared(case.name, mine, figure, shown, bench.failed, share)
        tables.append(table)
    more = finish(turns) if finish is not None and turns else Report([])
    tables += [*more.tables, *failures(bench.failed), what_else(turns)]
    told = [{key: value for key, value in asdict(turn).items() if key != "facts"} for turn in turns]
    return Report(tables, {"cases": figures, **more.figures, "engines": engines, "failed": bench.failed, "turns": told})


def turns_of(bench: Bench, cases: Sequence[Case], rounds: int) -> list[Turn]:
    """All turns, told as they come."""
    watch = Watch(read_bytes_per_second, cores)
    turns = []
    for turn in take_turns(bench.engines, cases, rounds, watch, bench.failed):
        turns.append(turn)
        print(f"round {turn.round + 1}: {turn.case}: {turn.engine}, {turn.probed / 1e9:.1f} GB/s probed", flush=True)
    return turns


def what_else(turns: Sequence[Turn]) -> Table:
    """How quiet the machine was."""
    rows: list[tuple[str, ...]] = []
    if turns:
        probed = spread(turn.probed / 1e9 for turn in turns)
        most = "core seconds a turn, at most"
        rows = [
            ("read limit, GB/s", f"{as_number(probed.median)} ({between(probed)})"),
            (f"stolen by the host, {most}", f"{max(turn.steal_seconds for turn in turns):.2f}"),
            (f"taken by idle engines, {most}", f"{max(turn.idle_core_seconds for turn in turns):.2f}"),
            (f"taken by other programs, {most}", f"{max(turn.other_core_seconds for turn in turns):.2f}"),
        ]
    return Table("Meanwhile", (), tuple(rows))
