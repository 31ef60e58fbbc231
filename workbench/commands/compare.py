"""`compare`: two or more runs of a task over the examples that they share."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import tasks as drawer
from workbench.collect import collect
from workbench.errors import BadRequest
from workbench.evals.agreement import agreement
from workbench.evals.metrics.metric import Metric
from workbench.evals.paired import Comparison, Pair, Side, compare_all
from workbench.evals.runs.run import Run
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
    runs = [store.find(name) for name in options.runs]
    if len({run.folder.resolve() for run in runs}) < len(runs):
        raise BadRequest("A run is named twice: it differs from itself in nothing. Name two runs.")
    sides = [Side(name, run.task, run.predictions) for name, run in zip(_names(runs), runs, strict=True)]
    metric = _metric(runs, options.metric)
    pairs = compare_all(metric, sides)
    for run in runs:
        if not run.is_done:
            note(f"{run.name} is not done: {run.n:,} of its {run.rows:,} examples are there, the longest ones.")
    if not options.json:
        _show(pairs)
    if len(pairs) == 1:
        return _record(pairs[0], runs)
    agreed = agreement(sides)
    return {
        "metric": metric.name,
        "runs": {side.name: str(run.folder) for side, run in zip(sides, runs, strict=True)},
        "pairs": [{"a": pair.a, "b": pair.b, **_figures(pair.comparison), "p_holm": pair.p_holm} for pair in pairs],
        "agreement": asdict(agreed),
    }


def _metric(runs: Sequence[Run], name: str | None) -> Metric:
    """The metric of the runs' task that is meant."""
    names = list(dict.fromkeys(run.task for run in runs))
    if len(names) > 1:
        raise BadRequest(f"Runs of different tasks can't be compared: {', '.join(names)}. Choose runs of one task.")
    task = collect(drawer, "TASK").get(names[0])
    if task is None:
        raise BadRequest(f"The runs are of a task {names[0]!r}, which this workbench does not have.")
    metrics: dict[str, Metric] = {metric.name: metric for metric in task.method.metrics}
    if name is not None and name not in metrics:
        raise BadRequest(f"{names[0]} has no metric {name!r}. There are: {', '.join(metrics)}.")
    return metrics[name] if name is not None else next(iter(metrics.values()))


def _names(runs: Sequence[Run]) -> list[str]:
    """The models' names where they tell the runs apart, else the folders'."""
    models, folders = [run.model for run in runs], [run.name for run in runs]
    if len(set(models)) == len(runs):
        return models
    return folders if len(set(folders)) == len(runs) else [str(run.folder) for run in runs]


def _record(pair: Pair, runs: Sequence[Run]) -> dict[str, Any]:
    """Of two runs, flat."""
    return {"a": _side(pair.a, runs[0]), "b": _side(pair.b, runs[1]), **_figures(pair.comparison)}


def _side(name: str, run: Run) -> dict[str, Any]:
    cost = run.cost
    return {"name": name, "run": str(run.folder), "seconds": cost.seconds, "tokens": cost.tokens}


def _figures(found: Comparison) -> dict[str, Any]:
    """A comparison's numbers; how many examples only one run has right, and which."""
    outcomes = found.outcomes
    counts = {
        name: None if outcomes is None else len(getattr(outcomes, name))
        for name in ("a_only", "b_only", "both", "neither")
    }
    return {
        "metric": found.metric,
        "n": found.n,
        "value_a": found.a.value,
        "stderr_a": found.a.stderr,
        "value_b": found.b.value,
        "stderr_b": found.b.stderr,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "p_value": found.p_value,
        "test": found.test,
        **counts,
        "flips": {} if outcomes is None else {"a_only": list(outcomes.a_only), "b_only": list(outcomes.b_only)},
        "left_out": str(found.left_out) or None,
    }


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
