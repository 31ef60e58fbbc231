"""Cloze: how likely the right ending of a text is, and whether the model would have written it itself (LAMBADA).

A task gives `Ending`: the prompt, and the right ending with the space before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench.errors import BadRequest
from workbench.evals.asking import Answer
from workbench.evals.methods.multiple_choice import BETWEEN_SHOTS
from workbench.evals.metrics.metric import Metric
from workbench.evals.metrics.statistics import mean, perplexity
from workbench.evals.prediction import Prediction
from workbench.text.requests import LogLikelihood, Scored


@dataclass(frozen=True)
class Ending:
    """A text without its ending, and the ending.

    Raises:
        BadRequest: there is no ending.
    """

    prompt: str
    ending: str
    """As it follows the prompt, a leading space included."""

    def __post_init__(self) -> None:
        if not self.ending:
            raise BadRequest("The ending is empty: there is nothing to score.")


@dataclass(frozen=True)
class Cloze:
    """Asks how likely the right ending is."""

    delimiter: str = " "
    """Between prompt and ending in worked examples alone, on top of the ending's own space: lm-evaluation-harness's."""
    prefix: str = ""

    @property
    def name(self) -> str:
        """The field's word for it."""
        return "cloze"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Whether each token of the ending is the likeliest; e to the mean negative log-likelihood of an ending."""
        return (
            Metric("acc", ("acc",), mean),
            Metric("perplexity", ("loglikelihood",), perplexity, False, "bootstrap", is_share=False),
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What names the protocol beside the prompts."""
        return {"delimiter": self.delimiter}

    def with_shots(self, shots: Sequence[Ending]) -> "Cloze":
        """This method with worked examples before every prompt."""
        shown = (shot.prompt + self.delimiter + shot.ending + BETWEEN_SHOTS for shot in shots)
        return replace(self, prefix="".join(shown))

    def requests(self, example: Ending) -> list[LogLikelihood]:
        """One request."""
        return [LogLikelihood(self.prefix + example.prompt, example.ending, shared=self.prefix)]

    def judge(self, example: Ending, answers: Sequence[Answer]) -> Prediction:
        """Right where the model would have written the ending, token by token."""
        (scored,) = (answer for answer in answers if isinstance(answer, Scored))
        return Prediction(
            prompt=example.prompt,
            gold=example.ending,
            answer=example.ending if scored.is_greedy else None,
            scores={"acc": float(scored.is_greedy), "loglikelihood": scored.loglikelihood},
            detail={"loglikelihood": scored.loglikelihood, "is_greedy": scored.is_greedy, "tokens": len(scored.tokens)},
            unseen_tokens=scored.unseen_tokens,
        )

    def failed(self, example: Ending, reason: str) -> Prediction:
        """Wrong, and of no likelihood."""
        return Prediction(example.prompt, example.ending, scores={"acc": 0.0}, error=reason)
