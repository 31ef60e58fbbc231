"""`tasks`: the benchmarks there are, and what each needs."""

import argparse
import json
from collections.abc import Sequence
from typing import Any

import tasks as drawer
from workbench.collect import collect
from workbench.errors import BadRequest
from workbench.evals.task import Task
from workbench.terminal import Command, add_json_option, table


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which tasks, and --json."""
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="tell all about this one; default: a table of all")
    add_json_option(parser)


def tasks(options: argparse.Namespace) -> dict[str, Any]:
    """The tasks: method, metrics, where the rows come from, and the columns that a file in their place needs."""
    known: dict[str, Task[Any]] = collect(drawer, "TASK")
    unknown = [name for name in options.tasks if name not in known]
    if unknown:
        raise BadRequest(f"There is no task {unknown[0]!r}. There are: {', '.join(known)}.")
    found = [known[name] for name in dict.fromkeys(options.tasks)] or list(known.values())
    if not options.json:
        _show(found, bool(options.tasks))
    return {"tasks": [_record(task) for task in found]}


def _show(found: Sequence[Task[Any]], in_full: bool) -> None:
    """On standard output: a line each, or each in full."""
    if in_full:
        print("\n\n".join(map(_in_full, found)))
    else:
        rows = [
            [
                task.name,
                task.method.name,
                ", ".join(metric.name for metric in task.method.metrics),
                _source(task),
            ]
            for task in found
        ]
        print(table(["task", "method", "metrics", "source"], rows))


def _in_full(task: Task[Any]) -> str:
    """What it asks, what it needs, and a row as a line of a JSONL file."""
    return "\n".join(
        [
            f"{task.name}: {task.about}",
            f"method   {task.method.name}",
            f"metrics  {', '.join(metric.name for metric in task.method.metrics)}",
            f"source   {_source(task)}",
            f"columns  {', '.join(task.columns)}",
            f"a row    {json.dumps(task.samples[0], ensure_ascii=False)}",
        ]
    )


def _record(task: Task[Any]) -> dict[str, Any]:
    source = task.source
    return {
        "task": task.name,
        "about": task.about,
        "method": task.method.name,
        "metrics": [metric.name for metric in task.method.metrics],
        "source": None if source is None else vars(source),
        "columns": list(task.columns),
        "samples": len(task.samples),
        "complete": task.complete,
        "references": [vars(reference) for reference in task.references],
        "version": task.version,
    }


def _source(task: Task[Any]) -> str:
    """In a few words."""
    source = task.source
    if source is None:
        return f"{len(task.samples)} rows that come with the project" if task.complete else "a file of your own: --data"
    return " ".join(part for part in (source.path, source.name, source.split) if part)


COMMAND = Command("tasks", "the benchmarks there are", add_options, tasks)
