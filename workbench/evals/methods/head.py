"""Classification by a trained head: one label, several labels, or a number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.errors import BadRequest
from workbench.evals.asking import Answer
from workbench.evals.methods.labels import ClassPrediction, TextExample
from workbench.evals.methods.prior import log_softmax
from workbench.text.requests import Classified, Classify

SINGLE_LABEL, MULTI_LABEL = "single_label_classification", "multi_label_classification"
REGRESSION = "regression"
PROBLEMS = (SINGLE_LABEL, MULTI_LABEL, REGRESSION)


@dataclass(frozen=True)
class HeadMethod:
    """Asks a trained head, which reads the text's last token.

    Raises:
        BadRequest: a value out of its range.
    """

    key: str
    """Of the head, once the model holds it."""
    labels: tuple[str, ...]
    """In the order of the head's logits; for regression what the number is called, or nothing."""
    problem: str = SINGLE_LABEL
    threshold: float = 0.5
    """The probability from which a label is given, where a text may have several."""

    def __post_init__(self) -> None:
        if self.problem not in PROBLEMS:
            raise BadRequest(f"problem must be one of {', '.join(PROBLEMS)}; got {self.problem!r}.")
        if not 0 <= self.threshold <= 1:
            raise BadRequest(f"threshold must be between 0 and 1; got {self.threshold!r}.")

    def requests(self, example: TextExample) -> list[Classify]:
        """One request.

        Raises:
            BadRequest: the text is empty, or the right answer of a regression is no number.
        """
        if not example.text.strip():
            raise BadRequest("The text is empty: there is nothing to classify.")
        if self.problem == REGRESSION and example.label is not None:
            _number(example.label)
        return [Classify(example.text, self.key)]

    def judge(self, example: TextExample, answers: Sequence[Answer]) -> ClassPrediction:
        """The head's opinion.

        Raises:
            BadRequest: the head has more or fewer logits than there are labels.
        """
        (answer,) = [one for one in answers if isinstance(one, Classified)]
        logits = np.array(answer.logits)
        if self.problem == REGRESSION:
            return self._number(example, logits.tolist(), answer.unseen_tokens)
        if len(logits) != len(self.labels):
            raise BadRequest(f"The head gives {len(logits)} logits, but there are {len(self.labels)} labels.")
        several = self.problem == MULTI_LABEL
        # exp(-log(1 + exp(-x))) is the sigmoid of x without overflow.
        probabilities = np.exp(-np.logaddexp(0, -logits) if several else log_softmax(logits))
        scores = {label: float(value) for label, value in zip(self.labels, probabilities, strict=True)}
        return ClassPrediction(
            id=example.id,
            text=example.text,
            label=self.labels[int(logits.argmax())],
            scores=scores,
            gold=self._gold(example.label),
            logits={label: float(value) for label, value in zip(self.labels, logits, strict=True)},
            labels=tuple(label for label in self.labels if scores[label] >= self.threshold) if several else None,
            gold_labels=example.labels if several else None,
            unseen_tokens=answer.unseen_tokens,
        )

    def failed(self, example: TextExample, reason: str) -> ClassPrediction:
        """A prediction that says why there is none."""
        return ClassPrediction(
            example.id, example.text, gold=self._gold(example.label), gold_labels=example.labels, error=reason
        )

    def _number(self, example: TextExample, logits: list[float], unseen_tokens: int) -> ClassPrediction:
        if len(logits) != 1:
            raise BadRequest(f"The head gives {len(logits)} numbers; a regression head must give one.")
        gold = self._gold(example.label)
        return ClassPrediction(
            id=example.id,
            text=example.text,
            gold=gold,
            logits={(self.labels or ("number",))[0]: logits[0]},
            number=logits[0],
            gold_number=None if gold is None else _number(gold),
            unseen_tokens=unseen_tokens,
        )

    def _gold(self, label: str | None) -> str | None:
        """The right answer, without the spaces around it unless the head's label has them."""
        return label if label is None or label in self.labels else label.strip()


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadRequest(f"The right answer {text[:40]!r} is no number, but the head predicts numbers.")
    return number
