"""Our side of a comparison."""

from collections.abc import Sequence
from typing import Any

from tests.evals.lm_eval_parity.cases import Case, our_task
from tests.evals.lm_eval_parity.side_numbers import Numbers
from workbench.evals.asking import Answerer, ask
from workbench.evals.data.rows import Row
from workbench.evals.metrics.estimates import estimate
from workbench.evals.metrics.metric import Metric
from workbench.evals.prediction import Prediction

BOOTSTRAPPED = ("perplexity",)
"""Of lm-evaluation-harness's metrics; resampling those that it has no standard error for would be time lost."""


def our_numbers(case: Case, model: Answerer) -> Numbers:
    """Asks our task about the case's rows."""
    task = our_task(case.task)
    shots = [task.read(Row(row)) for row in case.shot_rows]
    method = task.method.with_shots(shots) if shots else task.method
    examples = [task.read(Row(row, place)) for place, row in enumerate(case.rows)]
    predictions = list(ask(model, method, examples))
    errors = [one.error for one in predictions if one.error is not None]
    if errors:
        raise ValueError(f"{case.key}: {errors[0]}")
    metrics = {metric.name: _measured(metric, predictions) for metric in method.metrics}
    texts = [one.answer for one in predictions] if method.name == "generation" else []
    return Numbers([_loglikelihoods(one.detail) for one in predictions], texts, metrics)


def _measured(metric: Metric, predictions: Sequence[Prediction]) -> tuple[float, float | None]:
    bootstrap = metric.name in BOOTSTRAPPED
    found = estimate(metric, predictions, bootstrap=bootstrap)
    if found is None:
        raise ValueError(f"No prediction counts for {metric.name}.")
    return found.value, found.stderr


def _loglikelihoods(detail: dict[str, Any]) -> list[float]:
    """In lm-evaluation-harness's order: each choice after the prompt, then each choice alone."""
    if "loglikelihood" in detail:
        return [detail["loglikelihood"]]
    choices = detail.get("choices", [])
    asked = [one["loglikelihood"] for one in choices]
    return asked + [one["unconditional"] for one in choices if "unconditional" in one]
