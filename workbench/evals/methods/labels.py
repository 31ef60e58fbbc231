"""Classification without training: each label scored as the continuation of a prompt."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np

from workbench.errors import BadRequest
from workbench.evals.asking import Answer, Answerer
from workbench.evals.methods.prior import (
    CONTENT_FREE,
    Vector,
    calibrated,
    domain_texts,
    log_prior,
    log_softmax,
)
from workbench.text.requests import LogLikelihood, Scored

Normalization = Literal["none", "characters", "bytes", "tokens", "pmi"]
NORMALIZATIONS: tuple[Normalization, ...] = get_args(Normalization)
Calibration = Literal["none", "contextual", "domain"]
CALIBRATIONS: tuple[Calibration, ...] = get_args(Calibration)
TEMPLATE = "{text}\nLabel:"
MOST_LABELS = 10_000
_SLOT = "{text}"
_BETWEEN_SHOTS = "\n\n"


@dataclass(frozen=True)
class TextExample:
    """A text to classify, and what is known of it."""

    id: str
    text: str
    label: str | None = None
    """The right answer; a number, written out, for regression."""
    labels: tuple[str, ...] | None = None
    """All right answers where a text may have several, or none."""


@dataclass(frozen=True)
class ClassPrediction:
    """What a method says of a text."""

    id: str
    text: str
    label: str | None = None
    """The likeliest label; None for regression and where there is an error."""
    scores: dict[str, float] = field(default_factory=dict)
    """Each label's probability; they sum to 1 unless a text may have several labels."""
    loglikelihoods: dict[str, float] = field(default_factory=dict)
    """Of a language model: each label's summed log-probability, before normalization."""
    gold: str | None = None
    uncalibrated: dict[str, float] | None = None
    """The probabilities before calibration; None without one."""
    error: str | None = None
    """Why there is no prediction."""
    logits: dict[str, float] = field(default_factory=dict)
    """Of a trained head."""
    labels: tuple[str, ...] | None = None
    """The labels above the threshold, where a text may have several."""
    gold_labels: tuple[str, ...] | None = None
    number: float | None = None
    """Of regression."""
    unseen_tokens: int = 0
    """Left out. Of a language model: at the prompt's beginning, worked examples first, where the context had no room.
    Of a trained head: at the text's end, beyond the length that it was trained on."""
    gold_number: float | None = None


@dataclass(frozen=True)
class LabelLikelihood:
    """Asks a language model how likely each label is after the text.

    Scores are turned into probabilities by a softmax over the labels. A label follows the filled template and a space
    (no space where the template ends with one, or with a line break).

    Raises:
        BadRequest: a value out of its range; the message names it.
    """

    labels: tuple[str, ...]
    template: str = TEMPLATE
    shots: tuple[tuple[str, str], ...] = ()
    """Worked examples (text, label) that come before the text, each filled into the template."""
    normalization: Normalization = "none"
    """A log-likelihood is divided by the label's length in characters, UTF-8 bytes or tokens; "pmi"
    subtracts the label's log-likelihood after the domain premise (Holtzman et al. 2021)."""
    domain_premise: str | None = None
    """None: the template after the text. Empty: the end-of-text token."""
    calibration: Calibration = "none"
    """Whether probabilities are divided by those of inputs without content, or of random words."""
    log_prior: tuple[float, ...] | None = None
    """The labels' log-probabilities without content; measured by `prepared`."""
    premise_loglikelihoods: tuple[float, ...] | None = None
    """The labels' log-likelihoods after the domain premise; measured by `prepared`, else asked with each text."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", checked_labels(self.labels))
        if self.template.count(_SLOT) != 1:
            raise BadRequest(f"The template must hold {_SLOT} exactly once; got {self.template!r}.")
        for name, choices in (("normalization", NORMALIZATIONS), ("calibration", CALIBRATIONS)):
            if getattr(self, name) not in choices:
                raise BadRequest(f"{name} must be one of {', '.join(choices)}; got {getattr(self, name)!r}.")
        for text, label in self.shots:
            if label.strip() not in self.labels:
                raise BadRequest(
                    f"The worked example {text[:40]!r} has the label {label!r}, which is not among the labels. "
                    "Change its label in the worked examples, or take it out."
                )

    @property
    def premise(self) -> str:
        """The domain premise of PMI: what comes between text and label, unless another one was given."""
        return self.template.partition(_SLOT)[2].lstrip() if self.domain_premise is None else self.domain_premise

    @property
    def prefix(self) -> str:
        """The worked examples as the text before every prompt; empty without."""
        shown = (self._filled(text) + self._delimiter + label.strip() for text, label in self.shots)
        return "".join(example + _BETWEEN_SHOTS for example in shown)

    def prepared(self, model: Answerer, sample_texts: Sequence[str] = (), seed: int = 0) -> "LabelLikelihood":
        """This method with what it needs to know of the model measured once: the calibration's prior, PMI's premise.

        Args:
            sample_texts: texts of the kind to be classified, for the domain calibration.

        Raises:
            BadRequest: the domain calibration got no words.
        """
        method = self
        if self.normalization == "pmi":
            asked = _scored(model.answers(self._continuations(self.premise)))
            method = replace(method, premise_loglikelihoods=tuple(one.loglikelihood for one in asked))
        if self.calibration == "none":
            return method
        texts = CONTENT_FREE if self.calibration == "contextual" else domain_texts(sample_texts, seed)
        each = []
        for text in texts:
            answers = _scored(model.answers(method._about(text)))
            each.append(log_softmax(method._normalised(answers)))
        return replace(method, log_prior=tuple(log_prior(each).tolist()))

    def requests(self, example: TextExample) -> list[LogLikelihood]:
        """Each label after the filled template; for PMI, unless it is prepared, each after the domain premise too.

        Raises:
            BadRequest: the text is empty.
        """
        if not example.text.strip():
            raise BadRequest("The text is empty: there is nothing to classify.")
        if self.calibration != "none" and self.log_prior is None:
            raise ValueError("The calibration's prior is not measured yet: ask the method that `prepared` gives.")
        return self._about(example.text)

    def judge(self, example: TextExample, answers: Sequence[Answer]) -> ClassPrediction:
        """The likeliest label, with every label's probability; of equal ones the first."""
        scored = _scored(answers)
        before = log_softmax(self._normalised(scored))
        after = before if self.log_prior is None else calibrated(before, np.array(self.log_prior))
        return ClassPrediction(
            id=example.id,
            text=example.text,
            label=self.labels[int(after.argmax())],
            scores=self._by_label(np.exp(after)),
            loglikelihoods=self._by_label([one.loglikelihood for one in scored[: len(self.labels)]]),
            gold=gold_of(example),
            uncalibrated=None if self.log_prior is None else self._by_label(np.exp(before)),
            unseen_tokens=max(one.unseen_tokens for one in scored),
        )

    def failed(self, example: TextExample, reason: str) -> ClassPrediction:
        """A prediction that says why there is none."""
        return ClassPrediction(example.id, example.text, gold=gold_of(example), error=reason)

    def _about(self, text: str) -> list[LogLikelihood]:
        """The requests for a text, which calibration leaves empty too."""
        requests = self._continuations(self.prefix + self._filled(text))
        if self.normalization == "pmi" and self.premise_loglikelihoods is None:
            requests += self._continuations(self.premise)
        return requests

    def _continuations(self, context: str) -> list[LogLikelihood]:
        return [LogLikelihood(context, self._delimiter + label) for label in self.labels]

    def _filled(self, text: str) -> str:
        return self.template.replace(_SLOT, text)

    @property
    def _delimiter(self) -> str:
        return "" if self.template[-1:].isspace() else " "

    def _normalised(self, scored: Sequence[Scored]) -> Vector:
        """Each label's score (labels,)."""
        loglikelihoods = np.array([one.loglikelihood for one in scored])
        count = len(self.labels)
        if self.normalization == "pmi":
            premise = self.premise_loglikelihoods
            return loglikelihoods[:count] - (loglikelihoods[count:] if premise is None else np.array(premise))
        lengths: dict[str, list[int]] = {
            "none": [1] * count,
            "characters": [len(label) for label in self.labels],
            "bytes": [len(label.encode("utf-8")) for label in self.labels],
            "tokens": [len(one.tokens) for one in scored],
        }
        return loglikelihoods / np.array(lengths[self.normalization])

    def _by_label(self, values: Sequence[float] | Vector) -> dict[str, float]:
        return {label: float(value) for label, value in zip(self.labels, values, strict=True)}


def checked_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels without the spaces around them.

    Raises:
        BadRequest: fewer than two, too many, an empty one, or one twice.
    """
    stripped = tuple(label.strip() for label in labels)
    if len(stripped) < 2:
        raise BadRequest(f"Classification needs at least two labels; got {len(stripped)}.")
    if len(stripped) > MOST_LABELS:
        raise BadRequest(f"{len(stripped):,} labels; at most {MOST_LABELS:,} are taken.")
    if "" in stripped:
        raise BadRequest(f"Label {stripped.index('') + 1} is empty.")
    if len(set(stripped)) < len(stripped):
        twice = Counter(stripped).most_common(1)[0][0]
        raise BadRequest(f"The label {twice!r} is there twice.")
    return stripped


def gold_of(example: TextExample) -> str | None:
    """The right label, without the spaces around it."""
    return None if example.label is None else example.label.strip()


def _scored(answers: Sequence[Answer]) -> list[Scored]:
    return [answer for answer in answers if isinstance(answer, Scored)]
