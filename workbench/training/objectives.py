"""What a head sees of the trunk's output, what it should say, and how good it is at it.

Batches are padded on the right and carry no mask: GPT-J looks back only, so padding behind a row changes nothing in it.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from workbench.evals.metrics.classification import (
    accuracy,
    macro_f1,
    multilabel_macro_f1,
    multilabel_micro_f1,
    subset_accuracy,
)
from workbench.evals.metrics.regression import mean_squared_error, pearson
from workbench.gptj.config import GPTJConfig
from workbench.gptj.heads import classification_loss, span_loss
from workbench.training.examples import Example


class Objective(Protocol):
    """One kind of head."""

    best: str
    """The metric that tells which weights are kept; `loss` among equals."""
    outputs: int
    """Of the linear head."""
    bias: bool
    """Whether the linear head has one."""

    def read(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """What the head is applied to: of (B, T, C) the last tokens (B, C), or all of it."""
        ...

    def finish(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """Logits from the head's output."""
        ...

    def targets(self, examples: Sequence[Example]) -> Tensor:
        """The targets of a batch, one row an example."""
        ...

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean over the batch."""
        ...

    def trimmed(self, logits: np.ndarray, length: int) -> np.ndarray:
        """One example's logits without those of the padding."""
        ...

    def measure(self, examples: Sequence[Example], logits: Sequence[np.ndarray]) -> dict[str, float]:
        """The metrics of validation, from the logits of each example."""
        ...


class Classification:
    """One label of several, any number of labels, or a number, by `problem`; read off the last token."""

    bias = False

    def __init__(self, problem: str, labels: tuple[str, ...]):
        self.problem, self.labels = problem, labels
        self.outputs = 1 if problem == "regression" else len(labels)
        self.best = {"regression": "mse"}.get(problem, "macro_f1")
        self._config = GPTJConfig(num_labels=self.outputs, problem_type=problem)

    def read(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, C) -> (B, C): each row's last real token."""
        return hidden[torch.arange(len(lengths), device=hidden.device), lengths - 1]

    def finish(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """(B, num_labels) as it is."""
        return scores

    def targets(self, examples: Sequence[Example]) -> Tensor:
        """(B,) class numbers or numbers, or (B, num_labels) zeros and ones."""
        if self.problem == "single_label_classification":
            return torch.tensor([int(example.target[0]) for example in examples])
        if self.problem == "regression":
            return torch.tensor([example.target[0] for example in examples])
        return torch.tensor([example.target for example in examples])

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """As `GPTJForSequenceClassification` computes it."""
        return classification_loss(logits, targets, self._config)

    def trimmed(self, logits: np.ndarray, length: int) -> np.ndarray:
        """As they are."""
        return logits

    def measure(self, examples: Sequence[Example], logits: Sequence[np.ndarray]) -> dict[str, float]:
        """Accuracy and macro-F1; for several labels subset accuracy and F1s; for numbers error and correlation."""
        if self.problem == "regression":
            gold, said = [example.target[0] for example in examples], [float(one[0]) for one in logits]
            return {"mse": mean_squared_error(gold, said), "pearson": pearson(gold, said)}
        if self.problem == "single_label_classification":
            right = [self.labels[int(example.target[0])] for example in examples]
            chosen = [self.labels[int(one.argmax())] for one in logits]
            return {"accuracy": accuracy(right, chosen), "macro_f1": macro_f1(right, chosen)}
        truth = [self._named(np.array(example.target) > 0.5) for example in examples]
        given = [self._named(one > 0) for one in logits]
        return {
            "subset_accuracy": subset_accuracy(truth, given),
            "micro_f1": multilabel_micro_f1(truth, given, self.labels),
            "macro_f1": multilabel_macro_f1(truth, given, self.labels),
        }

    def _named(self, present: np.ndarray) -> list[str]:
        return [label for label, there in zip(self.labels, present, strict=True) if there]


class SpanExtraction:
    """The first and last token of an answer, or the last token of the window for none.

    Args:
        answers: measures the answers that the logits of all windows amount to.
    """

    best, outputs, bias = "f1", 2, True

    def __init__(self, answers: Callable[[Sequence[np.ndarray]], dict[str, float]]):
        self._answers = answers

    def read(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, C): all of it."""
        return hidden

    def finish(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, 2): minus infinity at the padding."""
        padding = torch.arange(scores.shape[1], device=scores.device) >= lengths[:, None]
        return scores.masked_fill(padding[:, :, None], -torch.inf)

    def targets(self, examples: Sequence[Example]) -> Tensor:
        """(B, 2): first and last token."""
        return torch.tensor([[int(place) for place in example.target] for example in examples])

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """As `GPTJForQuestionAnswering` computes it."""
        return (span_loss(logits[:, :, 0], targets[:, 0]) + span_loss(logits[:, :, 1], targets[:, 1])) / 2

    def trimmed(self, logits: np.ndarray, length: int) -> np.ndarray:
        """(T, 2) of the window's own tokens."""
        return logits[:length]

    def measure(self, examples: Sequence[Example], logits: Sequence[np.ndarray]) -> dict[str, float]:
        """Exact match and F1 of the answers."""
        return self._answers(logits)


def better(new: dict[str, float], old: dict[str, float] | None, metric: str) -> bool:
    """Whether validation went better: by the metric (errors: the smaller), among equals by the loss."""
    if old is None:
        return True
    sign = 1 if metric in ("mse", "loss") else -1
    return (sign * new[metric], new["loss"]) < (sign * old[metric], old["loss"])
