"""Multiple choice: the likeliest choice after the prompt, by each of the usual measures side by side.

A task gives `Choices`: a prompt, the choices, which one is right. Where the choice stands inside the prompt
(Winogrande, WSC) it gives a prompt for each choice and the continuation that they have in common.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import BadRequest
from workbench.evals.asking import Answer
from workbench.evals.metrics.metric import Metric
from workbench.evals.metrics.statistics import macro_f1_of, mean
from workbench.evals.prediction import Prediction
from workbench.text.requests import LogLikelihood, Scored

Vector = NDArray[np.float64]
BETWEEN_SHOTS = "\n\n"
MEASURES = {
    "acc": "as it is",
    "acc_norm": "by character of the choice",
    "acc_bytes": "by UTF-8 byte of the choice",
    "acc_tokens": "by token of the choice",
    "acc_mutual_info": "less the choice's own without the prompt",
}
"""The accuracies, and how each takes the log-likelihood of a choice."""


@dataclass(frozen=True)
class Choices:
    """A prompt and what may follow it.

    Raises:
        BadRequest: fewer than two choices, a gold that is none of them, or prompts that do not match the choices.
    """

    prompt: str | tuple[str, ...]
    """Or one for each choice, which stands in it."""
    choices: tuple[str, ...]
    gold: int
    """The right choice's index."""
    continuation: str = ""
    """What follows all prompts, where each choice has its own."""

    def __post_init__(self) -> None:
        if len(self.choices) < 2:
            raise BadRequest(f"A multiple-choice example needs at least two choices; got {len(self.choices)}.")
        if not 0 <= self.gold < len(self.choices):
            raise BadRequest(f"The right choice is number {self.gold}, but there are {len(self.choices)}, from 0.")
        if not isinstance(self.prompt, str) and len(self.prompt) != len(self.choices):
            raise BadRequest(f"There are {len(self.prompt)} prompts for {len(self.choices)} choices.")
        if not isinstance(self.prompt, str) and not self.continuation:
            raise BadRequest("Choices inside the prompt need the continuation that follows them; it is empty.")

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Each choice's prompt, and what is scored after it."""
        if isinstance(self.prompt, str):
            return [(self.prompt, choice) for choice in self.choices]
        return [(prompt, self.continuation) for prompt in self.prompt]


@dataclass(frozen=True)
class MultipleChoice:
    """Asks how likely each choice is; of equal ones the first counts, as in lm-evaluation-harness."""

    delimiter: str = " "
    """Between prompt and choice."""
    headline: str = "acc"
    """The metric to look at first."""
    choices_in_prompt: bool = False
    """Each choice has a prompt of its own; what is scored is the same for all, so lengths measure nothing."""
    mutual_info: bool = True
    """Whether each choice is also asked for without the prompt."""
    classes: int = 0
    """Where the choices are the same classes in every example, how many: their macro F1 is measured too."""
    takes_shots: bool = True
    """False: the prompt brings its own worked examples."""
    prefix: str = ""

    @property
    def name(self) -> str:
        """The field's word for it."""
        return "multiple_choice"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Accuracy by every measure that means something, the headline in front."""
        found = [Metric(name, (name,), mean) for name in self._measures]
        if self.classes:
            found.append(Metric("f1", ("gold", "answer"), macro_f1_of(self.classes), stderr="bootstrap"))
        found.append(Metric("brier_score", ("brier_score",), mean, higher_is_better=False, is_share=False))
        return tuple(sorted(found, key=lambda metric: metric.name != self.headline))

    @property
    def settings(self) -> dict[str, Any]:
        """What names the protocol beside the prompts."""
        return {
            "delimiter": self.delimiter,
            "choices_in_prompt": self.choices_in_prompt,
            "mutual_info": self._asks_twice,
            "normaliser": {name: MEASURES[name] for name in self._measures},
        }

    def with_shots(self, shots: Sequence[Choices]) -> "MultipleChoice":
        """This method with worked examples before every prompt.

        Raises:
            BadRequest: the prompt brings its own.
        """
        if shots and not self.takes_shots:
            raise BadRequest("This task's prompt brings its own worked examples; it takes no others. Ask with 0 shots.")
        pairs = [shot.pairs[shot.gold] for shot in shots]
        shown = (prompt + self.delimiter + ending + BETWEEN_SHOTS for prompt, ending in pairs)
        return replace(self, prefix="".join(shown))

    def requests(self, example: Choices) -> list[LogLikelihood]:
        """One for each choice, then one for each choice alone.

        Raises:
            BadRequest: choices inside the prompt where the method expects them after it, or the other way round.
        """
        if isinstance(example.prompt, str) == self.choices_in_prompt:
            raise BadRequest("The choices stand after one prompt, or each inside a prompt of its own; here it differs.")
        asked = [
            LogLikelihood(self.prefix + prompt, self.delimiter + ending, shared=self.prefix)
            for prompt, ending in example.pairs
        ]
        if self._asks_twice:
            asked += [LogLikelihood("", self.delimiter + choice) for choice in example.choices]
        return asked

    def judge(self, example: Choices, answers: Sequence[Answer]) -> Prediction:
        """What each measure picks."""
        scored = [answer for answer in answers if isinstance(answer, Scored)]
        after_prompt, alone = scored[: len(example.choices)], scored[len(example.choices) :]
        measured = self._measured(example, after_prompt, alone)
        picked = {name: int(values.argmax()) for name, values in measured.items()}
        scores = {name: float(choice == example.gold) for name, choice in picked.items()}
        scores["brier_score"] = _brier(measured["acc"], example.gold)
        if self.classes:
            scores |= {"gold": float(example.gold), "answer": float(picked["acc"])}
        return Prediction(
            prompt=_shown(example.prompt),
            gold=example.gold,
            answer=picked["acc"],
            scores=scores,
            detail={"choices": _details(example, after_prompt, alone), "picked": picked},
            unseen_tokens=max(one.unseen_tokens for one in scored),
        )

    def failed(self, example: Choices, reason: str) -> Prediction:
        """Wrong by every measure."""
        scores = dict.fromkeys(self._measures, 0.0)
        if self.classes:
            scores |= {"gold": float(example.gold), "answer": -1.0}
        detail = {"choices": [{"text": choice} for choice in example.choices]}
        return Prediction(_shown(example.prompt), example.gold, scores=scores, detail=detail, error=reason)

    @property
    def _asks_twice(self) -> bool:
        return self.mutual_info and not self.choices_in_prompt

    @property
    def _measures(self) -> tuple[str, ...]:
        if self.choices_in_prompt:
            return ("acc",)
        return tuple(name for name in MEASURES if name != "acc_mutual_info" or self.mutual_info)

    def _measured(self, example: Choices, after_prompt: Sequence[Scored], alone: Sequence[Scored]) -> dict[str, Vector]:
        """Each measure's value for each choice: (choices,)."""
        loglikelihoods = np.array([one.loglikelihood for one in after_prompt])
        # An empty choice has a length of 0, and then minus infinity: it is never picked.
        with np.errstate(divide="ignore", invalid="ignore"):
            measured = {
                "acc": loglikelihoods,
                "acc_norm": loglikelihoods / np.array([float(len(choice)) for choice in example.choices]),
                "acc_bytes": loglikelihoods / np.array([float(_bytes(choice)) for choice in example.choices]),
                "acc_tokens": loglikelihoods / np.array([float(len(one.tokens)) for one in after_prompt]),
            }
        if alone:
            measured["acc_mutual_info"] = loglikelihoods - np.array([one.loglikelihood for one in alone])
        return {name: measured[name] for name in self._measures}


def _brier(loglikelihoods: Vector, gold: int) -> float:
    """Squared distance between the choices' probabilities (softmax) and certainty of the right one; from 0 to 2."""
    weights = np.exp(loglikelihoods - loglikelihoods.max())
    probabilities = weights / weights.sum()
    probabilities[gold] -= 1
    return float((probabilities**2).sum())


def _details(example: Choices, after_prompt: Sequence[Scored], alone: Sequence[Scored]) -> list[dict[str, Any]]:
    """Each choice with all that the measures are made of."""
    found: list[dict[str, Any]] = []
    for (prompt, ending), choice, scored in zip(example.pairs, example.choices, after_prompt, strict=True):
        own = {} if isinstance(example.prompt, str) else {"prompt": prompt, "continuation": ending}
        found.append(
            {
                "text": choice,
                "loglikelihood": scored.loglikelihood,
                "is_greedy": scored.is_greedy,
                "tokens": len(scored.tokens),
                "characters": len(choice),
                "bytes": _bytes(choice),
                **own,
            }
        )
    for one, scored in zip(found, alone, strict=False):
        one["unconditional"] = scored.loglikelihood
    return found


def _bytes(text: str) -> int:
    """In UTF-8; half a character counts as the three bytes that would write it."""
    return len(text.encode("utf-8", "surrogatepass"))


def _shown(prompt: str | tuple[str, ...]) -> str:
    return prompt if isinstance(prompt, str) else "\n".join(prompt)
