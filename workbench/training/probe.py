"""A linear head on features that do not change: a convex problem, solved by L-BFGS in seconds."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.errors import NumericalFailure
from workbench.training.examples import Split
from workbench.training.objectives import Objective, better
from workbench.training.progress import FineTuneProgress, Pace

STRENGTHS = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
"""Of the penalty: strength / 2 * |w|^2, with features scaled to deviation 1, beside the mean loss."""
UNCHOSEN = 1e-3
"""Where no rows validate."""
MOST_ITERATIONS = 200


@dataclass(frozen=True)
class Fitted:
    """A head and how it came about."""

    weight: Tensor
    """(labels, C)."""
    strength: float
    metrics: dict[str, float]
    """Of validation; empty where no rows validate."""


def fit(
    objective: Objective, split: Split, training: Tensor, validation: Tensor, spent: float
) -> Iterator[tuple[FineTuneProgress, Fitted]]:
    """Fits heads from the strongest penalty to the weakest, each from the last one, and yields the best so far.

    The best has the least validation loss: on few rows it tells more than a count of errors does.

    Args:
        training, validation: (N, C) features.
    """
    strengths = STRENGTHS if len(split.validation) else (UNCHOSEN,)
    scale = training.std(0, correction=0).clamp_min(1e-6)
    scaled = training / scale
    targets = objective.targets(split.training)
    pace = Pace("training", len(strengths), spent)
    weight = torch.zeros(objective.outputs, training.shape[1])
    best: Fitted | None = None
    best_step = 0
    for step, strength in enumerate(strengths, start=1):
        weight, loss = _solve(objective, scaled, targets, weight, strength)
        metrics = _metrics(objective, split, validation, weight / scale)
        if best is None or not metrics or better(metrics, best.metrics, "loss"):
            best, best_step = Fitted(weight / scale, strength, metrics), step
        moment = pace.at(step)
        yield (
            FineTuneProgress(
                moment.phase, step, moment.steps, loss=loss, validation=metrics or None,
                best={**best.metrics, "step": best_step} if best.metrics else None,
                examples_per_second=len(targets) * step / max(moment.seconds - spent, 1e-9),
                seconds=moment.seconds, seconds_left=moment.seconds_left,
            ),
            best,
        )  # fmt: skip


def _solve(
    objective: Objective, features: Tensor, targets: Tensor, start: Tensor, strength: float
) -> tuple[Tensor, float]:
    """The weights (labels, C) that minimise loss and penalty, and the loss."""
    weight = start.clone().requires_grad_()
    solver = torch.optim.LBFGS([weight], max_iter=MOST_ITERATIONS, history_size=20, line_search_fn="strong_wolfe",
                               tolerance_grad=1e-6, tolerance_change=1e-9)  # fmt: skip
    unused = torch.empty(0)

    def loss() -> Tensor:
        return objective.loss(objective.finish(features @ weight.T, unused), targets)

    def closure() -> Tensor:
        solver.zero_grad()
        total = loss() + strength / 2 * weight.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    solver.step(closure)  # type: ignore[arg-type]
    with torch.no_grad():
        reached = loss().item()
    if not torch.isfinite(weight).all():
        raise NumericalFailure("The probe's weights are not finite: the trunk's output may be broken.")
    return weight.detach(), reached


def _metrics(objective: Objective, split: Split, features: Tensor, weight: Tensor) -> dict[str, float]:
    if not len(split.validation):
        return {}
    logits = features @ weight.T
    loss = objective.loss(logits, objective.targets(split.validation)).item()
    return {**objective.measure(split.validation, list(logits.numpy())), "loss": loss}
