"""One benchmark on one model, from its name to the finished run: what the page and the command line both do."""

import difflib
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import tasks
from workbench.collect import collect
from workbench.errors import BadRequest
from workbench.evals.data.sources import load_data
from workbench.evals.data.tables import LOCAL, Limits
from workbench.evals.methods.classification import Classification
from workbench.evals.methods.extraction import Extraction
from workbench.evals.methods.head import SINGLE_LABEL
from workbench.evals.runs.run import Run
from workbench.evals.runs.runner import Options, Progress, evaluate
from workbench.evals.task import Task
from workbench.manager import ModelManager, ModelSpec

SAMPLES: Literal["samples"] = "samples"
"""In place of data: the task's own made-up rows."""
DATA_FOLDER = "data"
"""In the folder of runs: the files that were uploaded for them, each in a folder named by its bytes' SHA-256."""
_NEAREST = 4


@dataclass(frozen=True)
class Evaluation:
    """What is asked for."""

    task: Task[Any]
    spec: ModelSpec
    options: Options
    data: Path | Literal["samples"] | None = None
    """A file in place of the Hub's data set; None: the data set."""
    head: str | None = None
    """A trained head in place of the language model; for tasks that classify or extract."""


@cache
def all_tasks() -> dict[str, Task[Any]]:
    """Every task by its name."""
    return collect(tasks, "TASK")


def tasks_named(names: Iterable[str]) -> list[Task[Any]]:
    """The tasks, each once, in the order they are named.

    Raises:
        BadRequest: none is named, or there is no such task; the message tells the nearest names.
    """
    known, found = all_tasks(), {}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name.lower().replace("-", "_"), known, _NEAREST, cutoff=0.4)
            offer = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(known)}."
            raise BadRequest(f"There is no task {name!r}. {offer}")
        found[name] = known[name]
    if not found:
        raise BadRequest(f"No task is named. There are: {', '.join(known)}.")
    return list(found.values())


def run_evaluation(
    manager: ModelManager,
    evaluation: Evaluation,
    runs_folder: Path,
    limits: Limits = LOCAL,
) -> Generator[Progress, None, Run]:
    """Reads the data, gets the model and evaluates; what of it was done before is not done again.

    Args:
        runs_folder: in which the run gets, or has, its folder.
        limits: of a file.

    Raises:
        BadRequest: data, shots or a head that the task can't be asked with. CannotLoad: no such model.
    """
    task, options, spec = evaluation.task, evaluation.options, evaluation.spec
    yield _begun("Reading the rows")
    data = load_data(task, evaluation.data, options.limit, limits)
    task = task.for_data(data)
    yield _begun("Getting the model ready")
    with manager.lease(spec) as model:
        if evaluation.head is not None:
            task = with_head(manager, task, spec, evaluation.head)
        identity = manager.identity(spec, evaluation.head)
        return (yield from evaluate(model, identity, task, data, options, runs_folder))


def _begun(note: str) -> Progress:
    return Progress(done=0, total=0, seconds=0.0, seconds_left=None, metrics={}, latest=(), note=note)


def with_head(manager: ModelManager, task: Task[Any], spec: ModelSpec, name: str) -> Task[Any]:
    """The task with a trained head in the language model's place; call it inside the model's lease.

    Raises:
        BadRequest: the task's method takes no head, or there is no such head.
    """
    method = task.method
    if isinstance(method, Classification):
        card = manager.use_head(spec, name, "classify")
        return replace(task, method=method.with_head(card.key, card.labels, card.problem or SINGLE_LABEL))
    if isinstance(method, Extraction):
        return replace(task, method=method.with_head(manager.use_head(spec, name, "answer").key))
    raise BadRequest(
        f"The task {task.name} is asked of the language model itself ({method.name.replace('_', ' ')}); a head can "
        "take its place only in tasks that classify or that find answers in a passage."
    )


def run_record(run: Run) -> dict[str, Any]:
    """A finished run as the command line's JSON and the page's endpoint tell it."""
    metrics = {
        name: {"value": found.value, "stderr": found.stderr, "n": found.n} for name, found in run.metrics.items()
    }
    return {
        "task": run.task,
        "model": dict(run.record["model"]),
        "n": run.n,
        "errors": run.errors,
        "truncated": run.truncated,
        "metrics": metrics,
        "run": str(run.folder),
        "seconds": run.cost.seconds,
    }


def asked_again(run: Run, runs_folder: Path, spec: ModelSpec | None = None) -> Evaluation:
    """The evaluation that made a run, or the same on another model; of an unfinished one, what finishes it.

    Raises:
        BadRequest: its task or its file is not here any more.
    """
    record = run.record
    (task,) = tasks_named([run.task])
    head = record["model"].get("head")
    options = Options(limit=record["limit"], shots=int(record["shots"]["count"]), seed=int(record["shots"]["seed"]))
    model = record["model"]
    own = ModelSpec(model["checkpoint"], model.get("revision"), model.get("precision"))
    name = head["name"] if head and spec is None else None
    return Evaluation(task, spec or own, options, _data_again(run, runs_folder), name)


def _data_again(run: Run, runs_folder: Path) -> Path | Literal["samples"] | None:
    data = run.record["data"]
    if data.get("origin") == SAMPLES:
        return SAMPLES
    if data.get("origin") != "file":
        return None
    kept = sorted((runs_folder / DATA_FOLDER / str(data.get("sha256"))).glob("*"))
    if not kept:
        raise BadRequest(
            f"The run read the file {data.get('path')!r}, which is not kept here. Choose it again under “My own file”, "
            "with the same settings: what is done of the run is kept."
        )
    return kept[0]
