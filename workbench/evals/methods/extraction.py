"""Extraction: the piece of a passage that answers a question, from likelihoods or from a trained head.

A task gives `squad_files.Question`, with its right answers; none at all where the passage holds none.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from workbench.errors import BadRequest
from workbench.evals.asking import Answer
from workbench.evals.data.squad_files import Question
from workbench.evals.methods.multiple_choice import BETWEEN_SHOTS
from workbench.evals.methods.spans import AnswerPrediction, SpanMethod
from workbench.evals.metrics import squad
from workbench.evals.metrics.metric import Metric
from workbench.evals.metrics.statistics import mean
from workbench.evals.prediction import Prediction
from workbench.text.requests import ExtractSpan, fill

SHOWN_SPANS = 5
"""Of the best, in a prediction."""


@dataclass(frozen=True)
class Extraction:
    """Asks where the answer stands, as the Answer tab does; judged by the rules of SQuAD 1.1 or 2.0."""

    unanswerable: bool = False
    """SQuAD 2.0: some passages hold no answer. A null score above the best span's then means that there is none; in
    SQuAD 1.1 the best span is always the answer."""
    span: SpanMethod = field(default_factory=SpanMethod)
    """How the spans are found; its threshold does not count."""

    @property
    def name(self) -> str:
        """The field's word for it."""
        return "extraction"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Exact match and F1; for SQuAD 2.0 also of the questions with and without an answer alone."""
        if not self.unanswerable:
            return _means("exact_match", "f1")
        return _means("exact", "f1", "HasAns_exact", "HasAns_f1", "NoAns_exact", "NoAns_f1")

    @property
    def settings(self) -> dict[str, Any]:
        """What names the protocol beside the prompts."""
        kept = ("n_best", "max_answer_tokens", "window_tokens", "doc_stride")
        asked = {"asked": "a trained head"} if self.span.head else {"asked": "the language model"}
        worded = {} if self.span.head else {"template": self.span.template, "unanswerable": self.span.unanswerable}
        rules = {"rules": "SQuAD 2.0, threshold 0" if self.unanswerable else "SQuAD 1.1"}
        return {**rules, **asked, **worded, **{name: getattr(self.span, name) for name in kept}}

    @property
    def prefix(self) -> str:
        """The worked examples as the text before every prompt; empty without."""
        return "".join(self._filled(*shot) + BETWEEN_SHOTS for shot in self.span.shots)

    def with_shots(self, shots: Sequence[Question]) -> "Extraction":
        """This method with worked examples before every prompt.

        Raises:
            BadRequest: a trained head is asked, which reads question and passage alone.
        """
        if shots and self.span.head:
            raise BadRequest(
                "A trained head reads question and passage alone: it takes no worked examples. Ask with 0."
            )
        shown = tuple((shot.context, shot.question, shot.answers[0] if shot.answers else "") for shot in shots)
        return replace(self, span=replace(self.span, shots=shown))

    def with_head(self, key: str) -> "Extraction":
        """This method, asking a trained head by its name in requests."""
        return replace(self, span=replace(self.span, head=key, shots=()))

    def requests(self, example: Question) -> list[ExtractSpan]:
        """One request.

        Raises:
            BadRequest: there is no right answer where each question must have one.
        """
        if not example.answers and not self.unanswerable:
            raise BadRequest("The question has no right answer, which SQuAD 1.1 does not know. Use the task squad_v2.")
        return self.span.requests(example)

    def judge(self, example: Question, answers: Sequence[Answer]) -> Prediction:
        """The best span, or none, against the right answers."""
        found = self.span.judge(example, answers).at(0.0 if self.unanswerable else math.inf)
        return Prediction(
            prompt=self._prompt(example),
            gold=list(example.answers),
            answer=found.text,
            scores=self._scores(example, found.text),
            detail=_detail(found),
        )

    def failed(self, example: Question, reason: str) -> Prediction:
        """No answer, which is wrong here even where none is right."""
        scores = dict.fromkeys(self._scores(example, ""), 0.0)
        return Prediction(self._prompt(example), list(example.answers), scores=scores, error=reason)

    def _scores(self, example: Question, text: str) -> dict[str, float]:
        """From 0 to 1. By the rules of 2.0 saying nothing is right where, and only where, there is no answer."""
        if not self.unanswerable:
            f1 = squad.f1(text, example.answers, empty_can_match=False) if example.answers else 0.0
            return {"exact_match": float(bool(example.answers) and squad.exact_match(text, example.answers)), "f1": f1}
        # An answer of articles and punctuation alone is none; where no other is left, saying nothing is right.
        with_words = [answer for answer in example.answers if squad.normalize(answer)] or [""]
        exact, f1 = float(squad.exact_match(text, with_words)), squad.f1(text, with_words)
        if not text:
            exact = f1 = float(not example.answers)
        group = "HasAns" if example.answers else "NoAns"
        return {"exact": exact, "f1": f1, f"{group}_exact": exact, f"{group}_f1": f1}

    def _prompt(self, example: Question) -> str:
        if self.span.head:
            return f"{example.question}\n{example.context}"
        return self._filled(example.context, example.question, None)

    def _filled(self, context: str, question: str, answer: str | None) -> str:
        """The template as the model reads it, with the answer where it is shown."""
        filled = fill(self.span.template, context, question)
        return filled if answer is None else f"{filled.rstrip(' ')} {(answer or self.span.unanswerable).strip()}"


def _means(*names: str) -> tuple[Metric, ...]:
    return tuple(Metric(name, (name,), mean) for name in names)


def _detail(found: AnswerPrediction) -> dict[str, Any]:
    """The best spans and the score of no answer."""
    best = [
        {"text": one.text, "start": one.start, "end": one.end, "score": one.score, "probability": one.probability}
        for one in found.n_best[:SHOWN_SPANS]
    ]
    null = None if found.null_score is None or math.isinf(found.null_score) else found.null_score
    return {"n_best": best, "null_score": null, "start": found.start, "end": found.end, "windows": found.windows}
