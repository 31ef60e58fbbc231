"""`evaluate`: benchmarks on a model, each into a run's folder that survives being stopped."""

import argparse
import re
import shlex
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from workbench.agreement import agree
from workbench.console import (
    Command,
    add_model_options,
    asked_model,
    note,
    rewritten,
    show_load,
)
from workbench.errors import BadRequest, Cancelled
from workbench.evals.data.rows import Data
from workbench.evals.data.sources import load_data
from workbench.evals.data.tables import LOCAL
from workbench.evals.runs.process import Process, this_process
from workbench.evals.runs.progress import Progress
from workbench.evals.runs.run import Run
from workbench.evals.runs.runner import Options, evaluate, prepare
from workbench.evals.task import Task
from workbench.evaluating import SAMPLES, run_record, tasks_named, with_head
from workbench.manager import ModelManager, ModelSpec
from workbench.settings import read_settings
from workbench.terminal import duration, table, with_error

SECONDS_BETWEEN_LINES = 60
"""Where progress goes to a file or another program, which keep every line."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The model, the tasks, and how they are asked."""
    add_model_options(parser)
    parser.add_argument("--tasks", required=True, metavar="a,b", nargs="+", help="see `tasks` for those there are")
    parser.add_argument("--limit", type=int, metavar="N", help="examples of each task, from its beginning")
    parser.add_argument("--shots", type=int, default=0, metavar="K", help="worked examples before each (default: 0)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="by which worked examples are drawn")
    parser.add_argument(
        "--batch-size", type=int, default=8, metavar="B", help="examples under way together; changes no result"
    )
    parser.add_argument(
        "--data", action="append", default=[], metavar="TASK=FILE",
        help="a CSV, JSONL or Parquet file with the columns of the task's data set, in its place; "
        "TASK=samples takes the made-up rows that come with the task",
    )  # fmt: skip
    parser.add_argument("--head", metavar="NAME", help="a trained head in place of the language model")
    parser.add_argument("--out", metavar="DIR", help="where the runs' folders stand (default: runs)")
    parser.add_argument("--fresh", action="store_true", help="compute anew what an earlier run of the same left")


def run_tasks(options: argparse.Namespace) -> dict[str, Any]:
    """One run for each task; the same command goes on with one that was stopped."""
    process = this_process()
    asked = Options(options.limit, options.shots, options.seed, options.batch_size, options.fresh)
    tasks = tasks_named(re.findall(r"[^\s,]+", " ".join(options.tasks)))
    given = _given_data(options.data, tasks)
    # All that can be wrong with the rows shows before the model is loaded and hours are spent on an earlier task.
    work = []
    for task in tasks:
        data = load_data(task, given.get(task.name), options.limit, LOCAL)
        work.append((task.for_data(data), data))
    folder = _folder(options.out)
    with _saying_how_to_go_on(folder):
        runs = _runs(options, asked, work, folder, process)
    options.json = options.json and process.is_first  # of several processes one alone answers
    if not options.json and process.is_first:
        _show(runs)
    return {"runs": [run_record(run) for run in runs]}


def _folder(out: str | None) -> Path:
    """Where the runs' folders stand."""
    if out is not None and not out.strip():
        raise BadRequest("--out is empty. Name a folder for the runs, or leave --out away.")
    return read_settings().runs_folder if out is None else Path(out).expanduser()


def _runs(
    options: argparse.Namespace,
    asked: Options,
    work: Sequence[tuple[Task[Any], Data]],
    folder: Path,
    process: Process,
) -> list[Run]:
    """The finished run of each task, one after another on the same loaded model."""
    spec, runs = _own_device(asked_model(options), process), []
    heads_folder = read_settings().heads_folder
    with closing(ModelManager(offload_folder=options.offload_folder, heads_folder=heads_folder)) as manager:
        manager.load(spec, show_load)
        with manager.lease(spec) as model:
            head = options.head
            ready = [(task if head is None else with_head(manager, task, spec, head), data) for task, data in work]
            identity = manager.identity(spec, head)
            # What is wrong with a later task shows before the first is asked.
            plans = [prepare(identity, task, data, asked).protocol.deciding for task, data in ready]
            agree(process, plans)
            for task, data in ready:
                with closing(evaluate(model, identity, task, data, asked, folder, process)) as steps:
                    runs.append(_watched(steps, task.name, process))
    return runs


def _own_device(spec: ModelSpec, process: Process) -> ModelSpec:
    """Of several processes each takes a GPU of its own, unless told otherwise."""
    if process.count == 1 or spec.device_map is not None or not torch.cuda.is_available():
        return spec
    return replace(spec, device_map=f"cuda:{process.local_rank % torch.cuda.device_count()}")


def _watched(steps: Generator[Progress, None, Run], task: str, process: Process) -> Run:
    """The run, with a line of progress while it goes on; of several processes the first one tells."""
    line, told = "", time.monotonic()
    try:
        while True:
            progress = next(steps)
            if not process.is_first:
                continue
            if progress.note:
                note(f"{task}: {progress.note}")
            line = _line(task, progress)
            rewritten(line)
            if not sys.stderr.isatty() and time.monotonic() - told >= SECONDS_BETWEEN_LINES:
                told = time.monotonic()
                note(line)
    except StopIteration as end:
        run: Run = end.value
        return run
    finally:
        if line:
            rewritten(line, last=True)  # else what is said next would stand behind it


def _line(task: str, progress: Progress) -> str:
    """How far it has come; of the metrics the first."""
    figures = [f"{name} {found.value:.4f}" for name, found in list(progress.metrics.items())[:1]]
    left = [] if not progress.seconds_left else [f"{duration(progress.seconds_left)} left"]
    return "  ".join([f"{task}  {progress.done:,} of {progress.total:,}", *figures, *left])


def _show(runs: Sequence[Run]) -> None:
    """A line for each metric; then where the runs stand, and what is to be known of them."""
    rows = [
        [run.task, f"{run.n:,}", name, with_error(about["value"], about["stderr"]), duration(run.cost.seconds)]
        for run in runs
        for name, about in run.record["metrics"].items()
    ]
    print(table(["task", "n", "metric", "value ± stderr", "time"], rows))
    for run in runs:
        print(run.folder)
    for run in runs:
        if run.errors:
            note(f"{run.task}: {run.errors:,} of {run.n:,} examples came to nothing and count as wrong.")
        if run.truncated:
            note(f"{run.task}: {run.truncated:,} examples did not fit the model's context; their beginnings were cut.")
    path = shlex.quote(str(runs[0].folder))
    note(f"Beside another run, of the same task on another model or setting: python -m workbench compare {path} RUN")


def _given_data(given: Sequence[str], tasks: Sequence[Task[Any]]) -> dict[str, Path | Literal["samples"]]:
    """What --data says, by the tasks' names."""
    found: dict[str, Path | Literal["samples"]] = {}
    names = [task.name for task in tasks]
    for one in given:
        name, sign, file = one.partition("=")
        if not sign or not file:
            raise BadRequest(f"--data {one!r} must be TASK=FILE, like {names[0]}=rows.jsonl.")
        if name not in names:
            raise BadRequest(f"--data is given for {name!r}, and --tasks does not ask for it: {', '.join(names)}.")
        if name in found:
            raise BadRequest(f"--data is given twice for {name}. Put the rows into one file, or run it twice.")
        found[name] = SAMPLES if file == SAMPLES else Path(file).expanduser()
    return found


@contextmanager
def _saying_how_to_go_on(folder: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        kept = f"What was computed is kept in {folder}; the same command goes on from there."
        raise Cancelled(f"stopped. {kept}") from None


COMMAND = Command(
    "evaluate", "benchmarks on a model, each into a folder of its own", add_options, run_tasks,
    about="Asks a model a benchmark's examples. Each task's run gets a folder; the same command again goes on with a "
    "run that was stopped, or gives the results of one that was done. `compare` sets two runs side by side, `runs` "
    "lists them.",
)  # fmt: skip
