"""The page's endpoint /evaluate, with plain values in and out."""

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

from gradio.events import api

from workbench.errors import BadRequest
from workbench.evals.runs.run import Run
from workbench.evals.runs.runner import Options
from workbench.evaluating import SAMPLES, Evaluation, run_record, tasks_named
from workbench.ui.bench import Bench
from workbench.ui.benchmark.bench_desk import Work
from workbench.ui.benchmark.benchmark_form import HEAD_KINDS, check_evaluations, whole
from workbench.ui.generate.endpoints import page_error, served_spec
from workbench.ui.head_choice import served_head

_ROWS = ("hub", SAMPLES)
_TOLD_SECONDS = 0.5


def evaluate_endpoint(bench: Bench) -> None:
    """Registers /evaluate."""

    def evaluate(
        tasks: list[str] | str,
        model: str = "",
        limit: int | None = 100,
        shots: int = 0,
        seed: int = 0,
        precision: str = "",
        data: str = "hub",
        head: str = "",
    ) -> Iterator[dict[str, Any]]:
        """Runs benchmarks, one after another: each metric's value, standard error and n; progress until then.

        tasks is a list, or a text with commas between their names; model is a checkpoint (empty: the one served
        first); limit is how many examples of each task (None: all; on a public address at most 100); shots is how
        many worked examples stand before each, drawn by seed; data is "hub" for the tasks' data sets or "samples" for
        their made-up rows; head is the name of a trained head, for tasks that classify or find answers.
        """
        runs: list[dict[str, Any]] = []
        try:
            for one in asked_evaluations(bench, tasks, model, precision, Options(limit, shots, seed), data, head):
                run = yield from _finished(bench.evaluate, one, runs)
                runs.append(run_record(run))
            yield {"runs": runs}
        except Exception as error:
            raise page_error(error) from error

    api(evaluate, api_name="evaluate", concurrency_limit=1)


def asked_evaluations(
    bench: Bench, tasks: Any, model: Any, precision: Any, options: Options, data: Any, head: Any
) -> list[Evaluation]:
    """What a caller asks for.

    Raises:
        BadRequest: an unknown task, a value of the wrong type or out of range, or more than a public page does.
    """
    if options.limit is not None:
        whole("limit", options.limit, 1, 10_000_000)
    whole("shots", options.shots, 0, 100)
    whole("seed", options.seed, 0, 2**31)
    if data not in _ROWS:
        raise BadRequest(f"data is {data!r}; it must be “hub” or “samples”.")
    spec = served_spec(bench, model, precision)
    asked = []
    for task in tasks_named(task_names(tasks)):
        # A head for a task that takes none is refused when the task is asked, with its reason.
        name = served_head(bench, spec, HEAD_KINDS.get(task.method.name, "classify"), head)
        asked.append(Evaluation(task, spec, options, SAMPLES if data == SAMPLES else None, name))
    check_evaluations(asked, bench.settings.profile)
    return asked


def task_names(tasks: Any) -> list[str]:
    """The names in a list, or in a text with commas between them.

    Raises:
        BadRequest: neither.
    """
    names = tasks.split(",") if isinstance(tasks, str) else tasks
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadRequest(f"tasks is {tasks!r}; it must be a list of names, or a text with commas between them.")
    return [name.strip() for name in names if name.strip()]


def _finished(work: Work, evaluation: Evaluation, runs: list[dict[str, Any]]) -> Generator[dict[str, Any], None, Run]:
    """The run, with its progress beside the earlier runs until it is done; a caller who leaves ends it."""
    told_at = 0.0
    with closing(work(evaluation)) as steps:
        while True:
            try:
                progress = next(steps)
            except StopIteration as end:
                run: Run = end.value
                return run
            if time.monotonic() - told_at >= _TOLD_SECONDS:
                told_at = time.monotonic()
                place = {"task": evaluation.task.name, "done": progress.done, "total": progress.total}
                yield {"runs": list(runs), "progress": place}
