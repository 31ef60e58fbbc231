"""Extractive question answering: the answer is a piece of the passage, or none."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from workbench.engine.jobs import check_number
from workbench.evals.asking import Answer
from workbench.evals.data.squad_files import Question
from workbench.evals.metrics.squad import squad_v1, squad_v2
from workbench.text.requests import SPAN_TEMPLATE, ExtractSpan, Span, Spans

LARGEST_THRESHOLD = 1e12
"""Short of infinity; far beyond any score."""


@dataclass(frozen=True)
class AnswerPrediction:
    """What a method answers to a question."""

    id: str
    question: str
    text: str = ""
    """Empty: no answer."""
    start: int | None = None
    """Where the text stands in the passage, in characters; None: no answer."""
    end: int | None = None
    score: float | None = None
    """Of the likeliest span, answered or not; None: there is none."""
    null_score: float | None = None
    """Of no answer, on the same scale; None where there is an error."""
    n_best: tuple[Span, ...] = ()
    windows: int = 0
    """In which the passage was read."""
    gold: tuple[str, ...] = ()
    """The right answers."""
    is_impossible: bool | None = None
    """Whether no answer is right; None: not known."""
    error: str | None = None
    """Why there is no prediction."""

    @property
    def null_difference(self) -> float:
        """Null score minus the best span's score: the question counts as answered unless this exceeds the threshold."""
        if self.null_score is None or self.score is None:
            return math.inf
        return self.null_score - self.score

    def at(self, threshold: float) -> "AnswerPrediction":
        """The same prediction with the threshold of no answer moved; at infinity the best span is always given."""
        if not self.n_best or self.null_difference > threshold:
            return replace(self, text="", start=None, end=None)
        best = self.n_best[0]
        return replace(self, text=best.text, start=best.start, end=best.end)


@dataclass(frozen=True)
class SpanMethod:
    """Asks where the answer stands; the other fields are those of ExtractSpan.

    Raises:
        BadRequest: the threshold is no number; any other value out of its range, when the first question is asked.
    """

    head: str | None = None
    template: str = SPAN_TEMPLATE
    shots: tuple[tuple[str, str, str], ...] = ()
    n_best: int = 20
    max_answer_tokens: int = 30
    window_tokens: int = 384
    doc_stride: int = 128
    unanswerable: str = "unanswerable"
    threshold: float = 0.0
    """No answer where the null score exceeds the best span's by more; infinity: always, or never, an answer."""

    def __post_init__(self) -> None:
        if self.threshold not in (math.inf, -math.inf):
            check_number("threshold", self.threshold, -LARGEST_THRESHOLD, LARGEST_THRESHOLD)

    def requests(self, example: Question) -> list[ExtractSpan]:
        """One request."""
        return [
            ExtractSpan(
                question=example.question,
                context=example.context,
                head=self.head,
                n_best=self.n_best,
                max_answer_tokens=self.max_answer_tokens,
                window_tokens=self.window_tokens,
                doc_stride=self.doc_stride,
                template=self.template,
                shots=self.shots,
                unanswerable=self.unanswerable,
            )
        ]

    def judge(self, example: Question, answers: Sequence[Answer]) -> AnswerPrediction:
        """The best span, or no answer where that does better by more than the threshold."""
        (spans,) = (answer for answer in answers if isinstance(answer, Spans))
        return AnswerPrediction(
            id=example.id,
            question=example.question,
            score=spans.n_best[0].score if spans.n_best else None,
            null_score=spans.null_score,
            n_best=spans.n_best,
            windows=spans.windows,
            gold=example.answers,
            is_impossible=example.is_impossible,
        ).at(self.threshold)

    def failed(self, example: Question, reason: str) -> AnswerPrediction:
        """A prediction that says why there is none."""
        return AnswerPrediction(
            example.id, example.question, gold=example.answers, is_impossible=example.is_impossible, error=reason
        )


def deciding_threshold(predictions: Iterable[AnswerPrediction], threshold: float) -> float:
    """The threshold that a file's answers are given and scored at.

    Where the right answers are known and each question has one, as in SQuAD 1.1, the best span is the answer whatever
    its null score: that is infinity. Else the threshold itself.
    """
    known = [one.is_impossible for one in predictions if one.is_impossible is not None]
    return math.inf if known and not any(known) else threshold


def answer_metrics(predictions: Iterable[AnswerPrediction], threshold: float = 0.0) -> dict[str, float]:
    """Exact match and F1 of the predictions whose right answer is known; none known: no figure.

    Where each question has an answer, by the SQuAD 1.1 rules: the best span counts, whatever the null score. Else by
    the 2.0 rules at the threshold of the null difference. A question with an error scores 0, also where no answer is
    right; `errors` counts them, where there are any.
    """
    known = [prediction for prediction in predictions if prediction.is_impossible is not None]
    if not known:
        return {}
    references = {one.id: () if one.is_impossible else one.gold for one in known}
    texts = {one.id: one.n_best[0].text if one.n_best else "" for one in known}
    failed = {one.id for one in known if one.error is not None}
    counted: dict[str, float] = {"errors": len(failed)} if failed else {}
    if not any(one.is_impossible for one in known):
        answered = {identity: text for identity, text in texts.items() if identity not in failed}
        return squad_v1(answered, references) | {"total": len(known)} | counted
    nulls = {one.id: one.null_difference for one in known}
    return squad_v2(texts, nulls, references, threshold, failed) | counted
