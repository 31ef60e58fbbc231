"""A report on precisions as plain figures, for a table, a file or a program."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from workbench.errors import BadRequest
from workbench.evals.paired import Comparison, compare
from workbench.evals.precision import Figure, Flip, flipped_figure, flips, kl_figure, same_best_figure
from workbench.evals.precision_report import Measured, Report
from workbench.evals.task import Task

RARE = 0.99
"""The quantile of KL that stands for a rare token."""


@dataclass(frozen=True)
class Summary:
    """What one precision costs; the reference has no divergence from itself."""

    name: str
    weights_bytes: int
    kl: Figure | None
    """Mean over tokens, in nats."""
    kl_median: float | None
    kl_rare: float | None
    """The 99th of a hundred tokens has less."""
    kl_most: float | None
    same_best: Figure | None
    partings: tuple[int | None, ...]
    """Of each continued text, the first token, counted from 0, that is another; None: no token is."""
    flipped: Figure | None
    """Share of rows with another answer."""
    flips: tuple[Flip, ...]
    metric: Comparison | None
    """The task's first metric, this precision less the reference."""
    is_share: bool
    """Whether the metric is from 0 to 1 and shown in percent."""
    written_per_second: float | None
    read_per_second: float | None
    error: str


def summaries(report: Report, task: Task[Any] | None = None) -> list[Summary]:
    """One for each precision, the reference first.

    Args:
        task: whose rows were answered; its first metric is compared.
    """
    return [_summary(one, report.reference, task, one is report.reference) for one in report.results]


def record(report: Report, shown: Sequence[Summary]) -> dict[str, Any]:
    """All figures as plain data, and the continued texts."""
    return {
        "reference": report.reference.name,
        "texts": len(report.material.texts),
        "rows": len(report.material.rows),
        "precisions": [_plain(one) for one in shown],
        "written": [
            {"prompt": prompt, "texts": {one.name: one.written[number].text for one in report.results if one.written}}
            for number, prompt in enumerate(report.material.prompts)
        ],
    }


def _plain(one: Summary) -> dict[str, Any]:
    found = one.metric
    metric = None if found is None else {
        "name": found.metric, "value": found.a.value, "reference": found.b.value, "difference": found.difference,
        "low": found.low, "high": found.high, "p_value": found.p_value, "n": found.n,
    }  # fmt: skip
    return asdict(one) | {"metric": metric}


def _summary(one: Measured, reference: Measured, task: Task[Any] | None, is_reference: bool) -> Summary:
    kl = np.concatenate([text.kl for text in one.divergences]) if one.divergences else np.empty(0)
    answered = bool(one.predictions) and not is_reference
    headline = task.method.metrics[0].columns[0] if task is not None else ""
    return Summary(
        name=one.name,
        weights_bytes=one.weights_bytes,
        kl=kl_figure(one.divergences),
        kl_median=float(np.median(kl)) if len(kl) else None,
        kl_rare=float(np.quantile(kl, RARE)) if len(kl) else None,
        kl_most=float(kl.max()) if len(kl) else None,
        same_best=same_best_figure(one.divergences),
        partings=one.partings,
        flipped=flipped_figure(reference.predictions, one.predictions) if answered else None,
        flips=tuple(flips(reference.predictions, one.predictions, headline)) if answered else (),
        metric=_compared(one, reference, task) if answered and task is not None else None,
        is_share=task is not None and task.method.metrics[0].is_share,
        written_per_second=one.written_per_second,
        read_per_second=one.read_per_second,
        error=one.error,
    )


def _compared(one: Measured, reference: Measured, task: Task[Any]) -> Comparison | None:
    try:
        return compare(task.method.metrics[0], one.predictions, reference.predictions)
    except BadRequest:
        return None  # no row counts for it in both
