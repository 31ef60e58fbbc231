"""Classification: a label for a text, from a language model's likelihoods or from a trained head.

A task gives `labels.TextExample`, whose label is one of the method's labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench.errors import BadRequest
from workbench.evals.asking import Answer, Request
from workbench.evals.methods.head import SINGLE_LABEL, HeadMethod
from workbench.evals.methods.labels import TEMPLATE, ClassPrediction, LabelLikelihood, TextExample, gold_of
from workbench.evals.metrics.metric import Metric
from workbench.evals.metrics.statistics import macro_f1, mean
from workbench.evals.prediction import Prediction

SLOT = "{text}"


@dataclass(frozen=True)
class Classification:
    """Asks for the likeliest label, as the Classify tab does.

    Raises:
        BadRequest: fewer than two labels, one twice, or a template without its slot.
    """

    labels: tuple[str, ...]
    """As the model reads them, in the order of the data's class numbers."""
    template: str = TEMPLATE
    head: HeadMethod | None = None
    """A trained head that is asked instead of the language model."""
    shots: tuple[TextExample, ...] = ()

    def __post_init__(self) -> None:
        _ = self._likelihood

    @property
    def name(self) -> str:
        """The field's word for it."""
        return "classification"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Accuracy, and the mean F1 of the classes that occur."""
        return (
            Metric("acc", ("acc",), mean),
            Metric("macro_f1", ("gold", "answer"), macro_f1, stderr="bootstrap"),
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What names the protocol beside the prompts."""
        if self.head is not None:
            return {"labels": list(self.labels), "asked": "a trained head"}
        likelihood = self._likelihood
        return {
            "labels": list(self.labels),
            "asked": "the language model",
            "template": self.template,
            "normaliser": likelihood.normalization,
            "calibration": likelihood.calibration,
        }

    @property
    def prefix(self) -> str:
        """The worked examples as the text before every prompt; empty without."""
        return self._likelihood.prefix

    def with_shots(self, shots: Sequence[TextExample]) -> "Classification":
        """This method with worked examples before every prompt.

        Raises:
            BadRequest: a trained head is asked, which reads the text alone.
        """
        if shots and self.head is not None:
            raise BadRequest("A trained head reads the text alone: it takes no worked examples. Ask with 0 shots.")
        return replace(self, shots=tuple(shots))

    def with_head(self, key: str, labels: Sequence[str], problem: str = SINGLE_LABEL) -> "Classification":
        """This method, asking a trained head.

        Args:
            key: the head's name in requests.
            labels: the head's, in the order of its outputs; capitals and the order may differ from this method's.

        Raises:
            BadRequest: the head gives several labels or a number, or it knows other labels.
        """
        if problem != SINGLE_LABEL:
            raise BadRequest(f"This task has one label a text; the head was trained for {problem}.")
        for alike in (str.strip, _without_capitals):
            known = {alike(label): label for label in self.labels}
            found = tuple(known[alike(label)] for label in labels if alike(label) in known)
            if len(labels) == len(found) == len(set(found)) == len(self.labels):
                return replace(self, head=HeadMethod(key, found))
        raise BadRequest(
            f"The head knows the labels {', '.join(labels)}; this task's are {', '.join(self.labels)}. "
            "Choose a head that was trained on this task's labels."
        )

    def requests(self, example: TextExample) -> list[Request]:
        """What to ask the model.

        Raises:
            BadRequest: the text is empty, or its right label is none of the labels.
        """
        self._number(example)
        if self.head is not None:
            # A head reads the last token, which must not be the space that some data sets end their texts with.
            return list(self.head.requests(replace(example, text=example.text.strip())))
        likelihood = self._likelihood
        return [replace(request, shared=likelihood.prefix) for request in likelihood.requests(example)]

    def judge(self, example: TextExample, answers: Sequence[Answer]) -> Prediction:
        """The likeliest label, with each label's probability."""
        found = (self.head or self._likelihood).judge(example, answers)
        scores = {"acc": float(found.label == gold_of(example)), "gold": self._number(example)}
        return Prediction(
            prompt=self._prompt(example),
            gold=gold_of(example),
            answer=found.label,
            scores={**scores, "answer": float(self.labels.index(found.label))} if found.label is not None else scores,
            detail=_detail(found),
            unseen_tokens=found.unseen_tokens,
        )

    def failed(self, example: TextExample, reason: str) -> Prediction:
        """No label, which is wrong."""
        gold = gold_of(example)
        number = float(self.labels.index(gold)) if gold in self.labels else -1.0
        scores = {"acc": 0.0, "gold": number, "answer": -1.0}
        return Prediction(self._prompt(example), gold, scores=scores, error=reason)

    @property
    def _likelihood(self) -> LabelLikelihood:
        shots = tuple((shot.text, shot.label or "") for shot in self.shots)
        return LabelLikelihood(self.labels, self.template, shots)

    def _prompt(self, example: TextExample) -> str:
        return example.text.strip() if self.head is not None else self.template.replace(SLOT, example.text)

    def _number(self, example: TextExample) -> float:
        """The right label's class number."""
        gold = gold_of(example)
        if gold not in self.labels:
            raise BadRequest(f"The right label {gold!r} is none of {', '.join(self.labels)}.")
        return float(self.labels.index(gold))


def _without_capitals(label: str) -> str:
    return label.strip().lower()


def _detail(found: ClassPrediction) -> dict[str, Any]:
    """Each label's probability and what it was made of."""
    made_of = found.logits or found.loglikelihoods
    name = "logit" if found.logits else "loglikelihood"
    choices = [{"text": label, "probability": score, name: made_of[label]} for label, score in found.scores.items()]
    return {"choices": choices}
