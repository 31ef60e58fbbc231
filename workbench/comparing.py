"""Runs of a task over the examples that they share: what the command line and the page's endpoint both tell."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import tasks as drawer
from workbench.collect import collect
from workbench.errors import BadRequest
from workbench.evals.agreement import agreement
from workbench.evals.metrics.metric import Metric
from workbench.evals.paired import Comparison, Pair, Side, compare_all
from workbench.evals.runs.run import Run


@dataclass(frozen=True)
class Compared:
    """Runs, and what sets each two of them apart."""

    runs: Sequence[Run]
    sides: Sequence[Side]
    metric: Metric
    pairs: Sequence[Pair]

    def record(self) -> dict[str, Any]:
        """As plain data: of two runs flat; of more also how far all agree."""
        if len(self.pairs) == 1:
            return _of_two(self.pairs[0], self.runs)
        named = zip(self.sides, self.runs, strict=True)
        return {
            "metric": self.metric.name,
            "runs": {side.name: str(run.folder) for side, run in named},
            "pairs": [
                {"a": pair.a, "b": pair.b, **_figures(pair.comparison), "p_holm": pair.p_holm} for pair in self.pairs
            ],
            "agreement": asdict(agreement(self.sides)),
        }


def compared(runs: Sequence[Run], metric: str | None = None) -> Compared:
    """Compares each two runs.

    Args:
        metric: None: the one that the task looks at first.

    Raises:
        BadRequest: a run is named twice, the tasks differ, or there is no such metric.
    """
    if len({run.folder.resolve() for run in runs}) < len(runs):
        raise BadRequest("A run is named twice: it differs from itself in nothing. Name two runs.")
    sides = [Side(name, run.task, run.predictions) for name, run in zip(_names(runs), runs, strict=True)]
    chosen = _metric(runs, metric)
    return Compared(runs, sides, chosen, compare_all(chosen, sides))


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


def _of_two(pair: Pair, runs: Sequence[Run]) -> dict[str, Any]:
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
