"""Others' published figures of a task, marked as theirs, each with the protocol that gave it."""

from collections.abc import Sequence
from html import escape
from typing import Any

from workbench.evals.metrics.metric import Metric
from workbench.evals.task import Reference, Task
from workbench.ui.parts import chip
from workbench.ui.runs.run_words import NO_VALUE, value_text

CHANCE = "chance"


def nearest_references(task: Task[Any] | None) -> list[Reference]:
    """Those that stand among the runs: of the first model that is named, and of chance; of each metric the first."""
    if task is None or not task.references:
        return []
    shown, found = (task.references[0].model, CHANCE), dict[tuple[str, str], Reference]()
    for reference in task.references:
        if reference.model in shown:
            found.setdefault((reference.model, reference.metric), reference)
    return list(found.values())


def published_rows(task: Task[Any] | None, metrics: Sequence[Metric]) -> str:
    """A row of the leaderboard for each model of `nearest_references`."""
    grouped: dict[str, dict[str, Reference]] = {}
    for reference in nearest_references(task):
        grouped.setdefault(reference.model, {})[reference.metric] = reference
    rows = ""
    for model, found in grouped.items():
        cells = "".join(f"<td>{_value(found.get(metric.name), metric)}</td>" for metric in metrics)
        whose = "what guessing gives" if model == CHANCE else "published by others, not measured here"
        rows += (
            f'<tr class="published"><td></td><th scope="row">{escape(model)}<small>{whose}</small></th>{cells}'
            f'<td colspan="4">{chip("published", "device") if model != CHANCE else ""}</td></tr>'
        )
    return rows


def _value(reference: Reference | None, metric: Metric) -> str:
    return NO_VALUE if reference is None else f"<b>{value_text(reference.value, None, metric.is_share)}</b>"


def published_notes(task: Task[Any] | None, metrics: Sequence[Metric]) -> str:
    """Every published figure, folded: the protocols, and under each the figures that it gave."""
    if task is None or not task.references:
        return ""
    shares = {metric.name: metric.is_share for metric in metrics}
    by_protocol: dict[str, list[Reference]] = {}
    for reference in task.references:
        by_protocol.setdefault(reference.protocol, []).append(reference)
    notes = ""
    for protocol, found in by_protocol.items():
        items = "".join(
            f"<li><b>{escape(one.model)}</b> {escape(one.metric)} "
            f"{value_text(one.value, None, shares.get(one.metric, True))}</li>"
            for one in sorted(found, key=lambda one: (one.metric, -one.value))
        )
        notes += f"<p>{escape(protocol)}</p><ul>{items}</ul>"
    count = len(task.references)
    words = f"{count} published figure{'' if count == 1 else 's'}, and how others got them"
    return f'<details class="published-notes"><summary>{words}</summary>{notes}</details>'
