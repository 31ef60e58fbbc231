"""A scripted training and scripted memory plans, for tests of the Train tab: no model and no waiting."""

import math
import time
from collections.abc import Callable, Generator
from typing import Any

from tests.ui.fake_answers import head_card
from workbench.training.head_request import TrainAnswer, TrainClassify
from workbench.training.heads import Trained
from workbench.training.plan import TrainPlan
from workbench.training.progress import FineTuneProgress

GIB = 2**30
STEPS = 40


def scripted_plan(request: TrainClassify | TrainAnswer) -> TrainPlan:
    """A plan of 8 GiB free, in which everything but full fine-tuning fits."""
    totals = {"probe": 2 * GIB, "head": 2 * GIB, "lora": 3 * GIB, "full": 20 * GIB}
    total = totals[request.method]
    return TrainPlan(
        method=request.method, parameters=7_000_000, trained_parameters=1024, weights_bytes=GIB,
        gradient_bytes=total // 8, optimizer_bytes=total // 4, activation_bytes=GIB // 8, features_bytes=0,
        total_bytes=total, available_bytes=8 * GIB, fits=request.method != "full",
        advice="Choose <b>LoRA</b>." if request.method == "full" else "There is room.",
        alternatives=tuple((name, size, name != "full") for name, size in totals.items() if name != request.method),
    )  # fmt: skip


class ScriptedTraining:
    """Trains in `STEPS` steps, `seconds` apart; remembers the requests and whether the run was closed."""

    def __init__(self, seconds: float = 0.0, kept: Callable[[Any], None] | None = None):
        self.seconds, self.kept = seconds, kept
        self.requests: list[TrainClassify | TrainAnswer] = []
        self.closed = 0

    def steps(self, request: TrainClassify | TrainAnswer) -> Generator[FineTuneProgress, None, Trained]:
        """What `train_head` yields and returns."""
        self.requests.append(request)
        best = None
        try:
            yield FineTuneProgress("loading", 0, 1)
            for step in range(1, STEPS + 1):
                time.sleep(self.seconds)
                validation = {"accuracy": 0.5 + step / 100, "loss": 1 / step} if step % 10 == 0 else None
                best = validation | {"step": step} if validation else best
                yield FineTuneProgress(
                    "training", step, STEPS, step / 10, math.exp(-step / 20), validation, best, 100.0, step / 10, 1.0
                )
            card = head_card(request.folder.name, "classify", method=request.method, metrics={"accuracy": 0.9})
            return Trained(request.folder, card, card.metrics, 4.0)
        finally:
            self.closed += 1
            if self.kept is not None:
                self.kept(request)
