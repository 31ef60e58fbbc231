"""The page's endpoints /runs and /compare: benchmarks that were done, with plain values in and out."""

from typing import Any

from gradio.events import api

from workbench.comparing import compared
from workbench.errors import BadRequest
from workbench.evaluating import run_record
from workbench.ui.bench import Bench
from workbench.ui.benchmark.evaluate_endpoint import task_names
from workbench.ui.generate.endpoints import page_error


def run_endpoints(bench: Bench) -> None:
    """Registers /runs and /compare."""

    def runs(task: str = "") -> dict[str, Any]:
        """The runs of benchmarks that are kept here, the newest first: model, metrics with standard errors, folder.

        task names the one whose runs are wanted; empty: all.
        """
        try:
            return {"runs": [run_record(run) for run in bench.runs.runs(task.strip() or None)]}
        except Exception as error:
            raise page_error(error) from error

    def compare(runs: list[str] | str, metric: str = "") -> dict[str, Any]:
        """Two or more runs of one task over the examples that they share: difference, 95 % interval, p-value, flips.

        runs is a list of runs' names, or a text with commas between them, as /runs and /evaluate tell them; metric is
        one of the task's (empty: the one that it looks at first).
        """
        try:
            return compared([bench.runs.find(name) for name in _names(bench, runs)], metric.strip() or None).record()
        except Exception as error:
            raise page_error(error) from error

    api(runs, api_name="runs", concurrency_limit=4)
    api(compare, api_name="compare", concurrency_limit=2)


def _names(bench: Bench, runs: Any) -> list[str]:
    """The names of runs that are kept here; never a folder elsewhere.

    Raises:
        BadRequest: fewer than two, or one that is not kept.
    """
    names = [name.replace("\\", "/").rstrip("/").rpartition("/")[2] for name in task_names(runs)]
    if len(names) < 2:
        raise BadRequest("Name at least two runs to compare, as /runs tells them.")
    kept = {run.name for run in bench.runs.runs()}
    for name in names:
        if name not in kept:
            raise BadRequest(f"No run {name[:200]!r} is kept here. /runs tells which are.")
    return names
