"""The whole of GPT-J-6B, 28 layers of random weights in int8: its load, its first token, its streams.

python -m tests.performance six_billion [--parts load,first_token,streams] [--folder DIR] [--layers 2]

Writes the folder (6.5 GB, layer by layer, under 1 GB of memory) unless it is there, and measures it as the page runs
it, through the manager and the engine, in processes of their own. The memory limit probed around each turn stands
beside it. Takes a quarter of an hour on two cores; `--rounds 1` and fewer `--parts` or `--layers` take less.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.performance.beside import turns_of, what_else
from tests.performance.decode import milliseconds, read_share
from tests.performance.load import HEADER, columns, in_fresh_process
from tests.performance.peers.engines import Bench, Server
from tests.performance.random_checkpoint import write_int8
from tests.performance.report import OURS, Report, Table, as_number, between, failures
from tests.performance.streams import counts, tokens_per_second
from tests.performance.turns import Case, Turn, spread
from workbench.gptj.config import GPTJConfig

PARTS = ("load", "first_token", "streams")
SIZES = ("loaded_bytes", "resident_after_bytes", "peak_above_loaded_bytes", "largest_tensor_bytes")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This measurement's own options."""
    parser.set_defaults(layers=GPTJConfig.n_layer, rounds=3)
    parser.add_argument("--parts", type=lambda text: text.split(","), default=PARTS, help=f"of: {', '.join(PARTS)}")
    parser.add_argument("--folder", help="of the weights; else one in the scratch folder")
    parser.add_argument("--prompts", type=counts, default=(128, 512, 1536), help="tokens until the first one")
    parser.add_argument("--streams", type=counts, default=(1, 4, 16))
    parser.add_argument("--context", type=int, default=512, help="tokens of each stream's prompt")
    parser.add_argument("--tokens", type=int, default=16, help="steps a turn")


def run(options: argparse.Namespace) -> Report:
    """The parts that are asked for, a table each."""
    folder = Path(options.folder or options.scratch / f"gptj-{options.layers}-random-int8")
    if not (folder / "config.json").exists():
        print(f"Writing {folder} ...", flush=True)
        write_int8(folder, GPTJConfig(n_layer=options.layers))
    reports = []
    if "load" in options.parts:
        reports.append(_load(folder, options))
    if {"first_token", "streams"} & set(options.parts):
        reports.append(_served(folder, options))
    figures: dict[str, Any] = {}
    for report in reports:
        figures |= report.figures
    return Report([table for report in reports for table in report.tables], figures)


def _load(folder: Path, options: argparse.Namespace) -> Report:
    print("Loading ...", flush=True)
    found = in_fresh_process(folder, None, options.rounds, options.threads)
    rows = [("int8", *columns(found))]
    sizes = tuple((name.replace("_", " "), f"{found[name]:,}") for name in SIZES)
    return Report([Table("Load", HEADER, tuple(rows)), Table("Memory of a load", (), sizes)], {"load": found})


def _served(folder: Path, options: argparse.Namespace) -> Report:
    """First tokens and streams, in one process that has the model loaded."""
    first, streams = [], []
    if "first_token" in options.parts:
        first = [Case(f"{length:,} tokens", {"context": length, "tokens": 0}) for length in options.prompts]
    if "streams" in options.parts:
        asked = {"context": options.context, "tokens": options.tokens}
        streams = [Case(f"{count} streams", {**asked, "streams": count}) for count in options.streams]
    command = [sys.executable, "-m", "tests.performance.peers.ours", str(folder), str(options.threads)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    with closing(Server(OURS, command, environment, options.scratch / f"{OURS}.log")) as server:
        bench = Bench([server])
        turns = turns_of(bench, [*first, *streams], options.rounds)
    tables = [_first_tokens(first, turns)] if first else []
    tables += [_streams(f"Streams, context {options.context}", streams, turns)] if streams else []
    told = [{key: value for key, value in asdict(turn).items() if key != "facts"} for turn in turns]
    figures = {"engine": server.facts, "turns": told, "failed": bench.failed}
    return Report([*tables, *failures(bench.failed), what_else(turns)], figures)


def _first_tokens(cases: Sequence[Case], turns: Sequence[Turn]) -> Table:
    rows = []
    for case in cases:
        found = [turn.answers[0]["first_token_seconds"] for turn in turns if turn.case == case.name]
        if found:
            took = spread(found)
            rate = as_number(case.request["context"] / took.median)
            rows.append((case.name, as_number(took.median), between(took), rate, _gigabytes(case, turns)))
    return Table("First token", ("prompt", "seconds", "p10-p90", "tokens/s of prompt", "probed GB/s"), tuple(rows))


def _streams(title: str, cases: Sequence[Case], turns: Sequence[Turn]) -> Table:
    rows = []
    for case in cases:
        mine = [turn for turn in turns if turn.case == case.name]
        if mine:
            rate, step, share = (spread(map(of, mine)) for of in (tokens_per_second, milliseconds, read_share))
            cells = (as_number(rate.median), between(rate), as_number(step.median), f"{share.median:.0%}")
            rows.append((case.name, *cells, _gigabytes(case, turns), _resident(mine)))
    header = ("", "tokens/s", "p10-p90", "ms a step", "of the read limit", "probed GB/s", "resident GB")
    return Table(title, header, tuple(rows))


def _gigabytes(case: Case, turns: Sequence[Turn]) -> str:
    """What the machine read a second around a case's turns."""
    return as_number(spread(turn.probed / 1e9 for turn in turns if turn.case == case.name).median)


def _resident(turns: Sequence[Turn]) -> str:
    """The process' memory while all streams were held."""
    return as_number(spread(turn.answers[0]["resident_bytes"] / 1e9 for turn in turns).median)
