"""Perplexity: how likely whole texts are, by word, byte and token.

A task gives `Document`: the text that is scored and, where that is a cleaned form, the original whose words and bytes
count.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workbench.errors import BadRequest
from workbench.evals.asking import Answer
from workbench.evals.metrics.metric import Metric
from workbench.evals.metrics.statistics import bits_per_byte, weighted_perplexity
from workbench.evals.prediction import Prediction
from workbench.text.requests import RollingLogLikelihood, Scored


@dataclass(frozen=True)
class Document:
    """A text to score.

    Raises:
        BadRequest: it is empty.
    """

    text: str
    original: str | None = None
    """Whose words and bytes count; None: the text's own."""

    def __post_init__(self) -> None:
        if not self.text or self.original == "":
            raise BadRequest("The text is empty: there is nothing to score.")

    @property
    def words(self) -> int:
        """Pieces between spaces, as lm-evaluation-harness counts them: an end that is a space adds an empty one."""
        return len(re.split(r"\s+", self._measured))

    @property
    def bytes(self) -> int:
        """In UTF-8."""
        return len(self._measured.encode())

    @property
    def _measured(self) -> str:
        return self.text if self.original is None else self.original


@dataclass(frozen=True)
class Perplexity:
    """Asks how likely each text is, every token of it predicted once in windows of the model's context."""

    @property
    def prefix(self) -> str:
        """Empty: no worked examples."""
        return ""

    @property
    def name(self) -> str:
        """The field's word for it."""
        return "perplexity"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Over all texts together; only those by word and byte compare models of different tokenizers."""
        return (
            _metric("word_perplexity", "words"),
            _metric("byte_perplexity", "bytes"),
            Metric("bits_per_byte", ("loglikelihood", "bytes"), bits_per_byte, False, "bootstrap", is_share=False),
            _metric("token_perplexity", "tokens"),
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What names the protocol beside the texts."""
        return {"windows": "disjoint", "first token": "predicted from the end-of-text token"}

    def with_shots(self, shots: Sequence[Document]) -> "Perplexity":
        """This method, which takes no worked examples.

        Raises:
            BadRequest: there are some.
        """
        if shots:
            raise BadRequest(
                "A perplexity is measured over whole texts: it takes no worked examples. Ask with 0 shots."
            )
        return self

    def requests(self, example: Document) -> list[RollingLogLikelihood]:
        """One request."""
        return [RollingLogLikelihood(example.text)]

    def judge(self, example: Document, answers: Sequence[Answer]) -> Prediction:
        """The text's log-likelihood and its lengths."""
        (scored,) = (answer for answer in answers if isinstance(answer, Scored))
        lengths = {"words": example.words, "bytes": example.bytes, "tokens": len(scored.tokens)}
        return Prediction(
            prompt=example.text,
            scores={"loglikelihood": scored.loglikelihood, **{name: float(count) for name, count in lengths.items()}},
            detail={"loglikelihood": scored.loglikelihood, "characters": len(example.text), **lengths},
        )

    def failed(self, example: Document, reason: str) -> Prediction:
        """A text that counts for nothing."""
        return Prediction(example.text, error=reason)


def _metric(name: str, unit: str) -> Metric:
    return Metric(name, ("loglikelihood", unit), weighted_perplexity, False, "bootstrap", is_share=False)
