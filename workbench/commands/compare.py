"""`compare`: two or more runs of a task over the examples that they share."""

import argparse
from collections.abc import Sequence
from typing import Any

from workbench.comparing import compared
from workbench.evals.paired import Pair
from workbench.evals.runs.store import RunStore
from workbench.settings import read_settings
from workbench.terminal import Command, add_json_option, note, table, with_error


def add_options(parser: argparse.ArgumentParser) -> None:
    """The runs, and what they are compared by."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run's folder, or its name in the folder of runs")
    parser.add_argument("--metric", metavar="M", help="default: the one that the task looks at first")
    add_json_option(parser)


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """The difference of each two runs, with its interval and the exact test; of more than two, how far they agree."""
    store = RunStore(read_settings().runs_folder)
    found = compared([store.find(name) for name in options.runs], options.metric)
    for run in found.runs:
        if not run.is_done:
            note(f"{run.name} is not done: {run.n:,} of its {run.rows:,} examples are there, the longest ones.")
    if not options.json:
        _show(found.pairs)
    return found.record()


def _show(pairs: Sequence[Pair]) -> None:
    rows = []
    for pair in pairs:
        found, outcomes = pair.comparison, pair.comparison.outcomes
        interval = "" if found.low is None or found.high is None else f"[{found.low:+.4f}, {found.high:+.4f}]"
        flips = "" if outcomes is None else f"{len(outcomes.a_only)} / {len(outcomes.b_only)}"
        p_value = found.p_value if len(pairs) == 1 else pair.p_holm
        rows.append(
            [
                pair.a,
                pair.b,
                with_error(found.a.value, found.a.stderr),
                with_error(found.b.value, found.b.stderr),
                f"{found.difference:+.4f}",
                interval,
                "" if p_value is None else f"{p_value:.4g}",
                flips,
                str(found.n),
            ]
        )
    p_name = "p" if len(pairs) == 1 else "p (Holm)"
    print(f"{pairs[0].comparison.metric}, A less B, with the 95 % interval; flips: only A right / only B right")
    print(table(["A", "B", "A's", "B's", "difference", "interval", p_name, "flips", "n"], rows))
    for pair in pairs:
        if str(pair.comparison.left_out):
            note(f"{pair.a} and {pair.b}: left out {pair.comparison.left_out}.")


COMMAND = Command(
    "compare", "two or more runs of a task over the examples that they share", add_options, compare,
    about="The difference of two runs of a task over the examples that they share, with its 95 % interval by paired "
    "bootstrap and, where an example is right or wrong, McNemar's exact test (mid-p). Of more than two runs every "
    "pair, with Holm's correction.",
)  # fmt: skip
