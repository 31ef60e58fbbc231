"""`runs`: a leaderboard of runs beside published scores, and the same as files for other programs."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tasks as drawer
from workbench.collect import collect
from workbench.errors import BadRequest
from workbench.evals.exports.downloads import write_lm_eval, write_results
from workbench.evals.runs.files import RUN_FILE
from workbench.evals.runs.run import Run
from workbench.evals.runs.store import RunStore
from workbench.evals.task import Reference, Task
from workbench.settings import read_settings
from workbench.terminal import Command, add_json_option, note, table, with_error

ENDINGS = {"table": ".md", "csv": ".csv", "latex": ".tex", "json": ".json"}
LM_EVAL = "lm-eval"
PUBLISHED = "published"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which runs, and how they are shown."""
    parser.add_argument(
        "folder", nargs="?", metavar="DIR", help="where the runs' folders stand, or one run's (default: runs)"
    )
    parser.add_argument("--task", metavar="T", help="of one task alone")
    parser.add_argument("--format", choices=(*ENDINGS, LM_EVAL), default="table", help="default: table")
    parser.add_argument("--out", metavar="PATH", help="the file to write; for lm-eval a folder")
    add_json_option(parser)


def list_runs(options: argparse.Namespace) -> dict[str, Any]:
    """The runs of a folder, the newest first, and what was published about their tasks."""
    found = _found(read_settings().runs_folder if options.folder is None else Path(options.folder), options.task)
    tasks: dict[str, Task[Any]] = collect(drawer, "TASK")
    named = [tasks[name] for name in dict.fromkeys(run.task for run in found) if name in tasks]
    files = _written(options, found, tasks)
    if files and not options.json:
        print("\n".join(map(str, files)))
    elif not options.json:
        _show(options.format, found, named)
    return {
        "runs": [_record(run) for run in found],
        "published": [{"task": task.name, **vars(reference)} for task in named for reference in task.references],
        **({"files": [str(path) for path in files]} if files else {}),
    }


def _found(folder: Path, task: str | None) -> list[Run]:
    """The runs that are meant.

    Raises:
        BadRequest: there is none.
    """
    if (folder / RUN_FILE).is_file():
        run = Run.open(folder)
        if task not in (None, run.task):
            raise BadRequest(f"{folder} is a run of {run.task}, not of {task}.")
        return [run]
    store = RunStore(folder)
    for name, reason in store.damaged().items():
        note(f"{name} is left out: {reason}")
    found = store.runs(task)
    if not found:
        of_task = "" if task is None else f" of {task}"
        raise BadRequest(f"{folder} holds no run{of_task}. `python -m workbench evaluate` makes one.")
    return found


def _written(options: argparse.Namespace, found: Sequence[Run], tasks: dict[str, Task[Any]]) -> list[Path]:
    """The files that --out asks for."""
    if options.format == LM_EVAL:
        if options.out is None:
            raise BadRequest("lm-eval's format is two files for each run. Give --out DIR, a folder for them.")
        files: list[Path] = []
        for run in found:
            if run.is_done and run.task in tasks:
                files.extend(write_lm_eval(run, tasks[run.task].method.metrics, Path(options.out)))
            else:
                note(f"{run.name} is left out: it is not done, or its task is not here.")
        return files
    if options.out is None:
        return []
    path, ending = Path(options.out), ENDINGS[options.format]
    if path.suffix.lower() != ending:
        raise BadRequest(f"--format {options.format} writes a file that ends in {ending}; --out is {options.out!r}.")
    return [write_results(found, path)]


def _show(shown_as: str, found: Sequence[Run], tasks: Sequence[Task[Any]]) -> None:
    """On standard output."""
    if shown_as == "table":
        _show_leaderboard(found, tasks)
        return
    with tempfile.TemporaryDirectory() as scratch:
        print(write_results(found, Path(scratch, f"runs{ENDINGS[shown_as]}")).read_text(encoding="utf-8"), end="")


def _show_leaderboard(found: Sequence[Run], tasks: Sequence[Task[Any]]) -> None:
    """A table for each task: its runs, then what was published about it, with the protocol of each number."""
    references = {task.name: task.references for task in tasks}
    for name in sorted({run.task for run in found}):
        runs = [run for run in found if run.task == name]
        metrics = list(dict.fromkeys(metric for run in runs for metric in run.record["task"]["metrics"]))
        rows = [_row(run, metrics) for run in runs]
        for model in dict.fromkeys(reference.model for reference in references.get(name, ())):
            rows.append(_published([one for one in references[name] if one.model == model], metrics))
        print(f"{name}\n{table(['model', 'data', 'shots', 'n', *metrics, 'run'], rows)}")
        for protocol in dict.fromkeys(reference.protocol for reference in references.get(name, ())):
            print(f"{PUBLISHED}: {protocol}")
        print()


def _row(run: Run, metrics: Sequence[str]) -> list[str]:
    measured = run.metrics
    cells = [with_error(measured[one].value, measured[one].stderr) if one in measured else "" for one in metrics]
    count = f"{run.n:,}" if run.is_done else f"{run.n:,} of {run.rows:,}, {run.state}"
    return [run.model, _data(run), str(run.record["shots"]["count"]), count, *cells, run.name]


def _data(run: Run) -> str:
    """Where its rows come from: the file's name, the Hub's data set, or the samples."""
    about = run.record["data"]
    return str(about["path"] or about["origin"])


def _published(references: Sequence[Reference], metrics: Sequence[str]) -> list[str]:
    values = {reference.metric: f"{reference.value:.4f}" for reference in references}
    return [references[0].model, "", "", "", *(values.get(metric, "") for metric in metrics), PUBLISHED]


def _record(run: Run) -> dict[str, Any]:
    return {
        "run": str(run.folder),
        "task": run.task,
        "state": run.state,
        "model": dict(run.record["model"]),
        "shots": run.record["shots"]["count"],
        "limit": run.record["limit"],
        "n": run.n,
        "rows": run.rows,
        "metrics": dict(run.record.get("metrics", {})),
        "seconds": run.cost.seconds,
    }


COMMAND = Command("runs", "the runs there are, beside published scores", add_options, list_runs)
