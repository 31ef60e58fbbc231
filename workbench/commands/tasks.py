"""`tasks`: every benchmark there is, with what it needs."""

import argparse
from typing import Any

import tasks as drawer
from workbench.collect import collect
from workbench.evals.task import Source, Task
from workbench.terminal import Command, add_json_option, table


def tasks(options: argparse.Namespace) -> dict[str, Any]:
    """All tasks: method, metrics, where the rows come from, and the columns that a file in their place needs."""
    found: list[Task[Any]] = list(collect(drawer, "TASK").values())
    if not options.json:
        rows = [
            [
                task.name,
                task.method.name,
                ", ".join(metric.name for metric in task.method.metrics),
                _source(task.source),
            ]
            for task in found
        ]
        print(table(["task", "method", "metrics", "source"], rows))
    return {"tasks": [_record(task) for task in found]}


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
        "references": [vars(reference) for reference in task.references],
        "version": task.version,
    }


def _source(source: Source | None) -> str:
    """In a few words."""
    if source is None:
        return "a file of your own: --data"
    return " ".join(part for part in (source.path, source.name, source.split) if part)


COMMAND = Command("tasks", "the benchmarks there are", add_json_option, tasks)
