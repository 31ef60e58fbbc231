"""Answers of several sides beside each other: of one question, and of a file as rows and figures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from workbench.evals.methods.spans import AnswerPrediction, deciding_threshold
from workbench.evals.metrics.metric import Metric
from workbench.evals.metrics.squad import normalize
from workbench.evals.metrics.statistics import mean
from workbench.evals.prediction import Prediction
from workbench.text.requests import Span, Spans
from workbench.ui.answer.answer_scores import CELL_CHARACTERS, ROWS_SHOWN, scores_of
from workbench.ui.sides.asking_compare import Judged, Mark, comparison_markup, marks_against

_METRICS = [("Exact match", Metric("exact", ("exact",), mean)), ("F1", Metric("f1", ("f1",), mean))]
_NOTHING = "no answer"


@dataclass(frozen=True)
class SideSpans:
    """What a side found in the passage, and the threshold that decides over it."""

    letter: str
    spans: Spans
    threshold: float

    @property
    def answer(self) -> Span | None:
        """None: it gives no answer."""
        return self.spans.best(self.threshold)


def span_marks(sides: Sequence[SideSpans]) -> list[Mark]:
    """Of each side how its answer stands to those before it, in words, and whether it differs; of the first nothing."""
    return marks_against(sides, _mark)


def _mark(first: SideSpans, other: SideSpans) -> Mark:
    a, b = first.answer, other.answer
    if a is None or b is None:
        return (f"= no answer either, as {first.letter}", False) if a is b else (f"≠ not as {first.letter}", True)
    if (a.start, a.end) == (b.start, b.end):
        return f"= same answer as {first.letter}", False
    if normalize(a.text) == normalize(b.text):
        return f"= same words as {first.letter}, at another place", False
    if a.start < b.end and b.start < a.end:
        return f"≠ overlaps {first.letter}'s answer", True
    return f"≠ other answer than {first.letter}", True


def spans_markup(sides: Sequence[SideSpans]) -> str:
    """Of one question: whether the sides find the same answer, and each one's answer with its scores."""
    marks, letters = span_marks(sides), [side.letter for side in sides]
    differ = any(differs for _, differs in marks)
    listed = f"{', '.join(letters[:-1])} and {letters[-1]}"
    verdict = f"The answers of {listed} differ." if differ else f"{listed} give the same answer."
    rows = "".join(_row(side, mark) for side, (mark, _) in zip(sides, marks, strict=True))
    names = ("Characters", "Probability", "“No answer” ahead by", "Compared")
    head = '<th scope="col">Side</th><th scope="col" class="words">Answer</th>'
    head += "".join(f'<th scope="col">{name}</th>' for name in names)
    return (
        '<section class="lens side-by-side" aria-label="The sides compared"><div class="lens-bar"><h2>Side by side</h2>'
        f'<p class="found-verdict" role="status">{verdict}</p></div><div class="scroller" tabindex="0" role="group" '
        f'aria-label="Answers by side"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        "</section>"
    )


def _row(side: SideSpans, mark: str) -> str:
    answer, spans = side.answer, side.spans
    best = spans.n_best[0].score if spans.n_best else math.inf
    difference = f"{spans.null_score - best:.2f}".replace("-", "−") if math.isfinite(spans.null_score - best) else "–"
    words = f"<em>{_NOTHING}</em>" if answer is None else f"<b>{escape(answer.text[:CELL_CHARACTERS])}</b>"
    place = "–" if answer is None else f"{answer.start:,}–{answer.end:,}"
    probability = "–" if answer is None else f"{100 * answer.probability:.1f} %"
    return (
        f'<tr><th scope="row">{side.letter}</th><td class="words">{words}</td><td>{place}</td><td>{probability}</td>'
        f"<td>{difference}</td><td>{escape(mark) or '–'}</td></tr>"
    )


@dataclass(frozen=True)
class SideAnswers:
    """What a side answered to the questions of a file so far, and its threshold."""

    letter: str
    predictions: Sequence[AnswerPrediction]
    threshold: float

    def decided(self) -> list[AnswerPrediction]:
        """The predictions as they are scored."""
        threshold = deciding_threshold(self.predictions, self.threshold)
        return [prediction.at(threshold) for prediction in self.predictions]


def file_headers(letters: Sequence[str]) -> list[str]:
    """The names of the columns of a table with an answer a side."""
    return ["#", "Question", *letters, "Same", "Right answers", "F1"]


def file_rows(sides: Sequence[SideAnswers]) -> list[list[str]]:
    """The first rows that any side has reached; everything in them is text."""
    decided = [side.decided()[:ROWS_SHOWN] for side in sides]
    count = max(map(len, decided))
    return [
        [str(place + 1), *_file_row([(side.letter, some[place] if place < len(some) else None)
                                     for side, some in zip(sides, decided, strict=True)])]
        for place in range(count)
    ]  # fmt: skip


def _file_row(pairs: Sequence[tuple[str, AnswerPrediction | None]]) -> list[str]:
    there = [(letter, prediction) for letter, prediction in pairs if prediction is not None]
    known = there[0][1]
    right = _NOTHING if known.is_impossible else " / ".join(dict.fromkeys(known.gold))
    answers = {_said(prediction) for _, prediction in there}
    same = "" if len(there) < len(pairs) else "same" if len(answers) == 1 else "differ"
    f1 = "" if known.is_impossible is None else ", ".join(
        f"{letter} {scores_of(prediction)[1] / 100:.2f}" for letter, prediction in there
    )  # fmt: skip
    cells = ["…" if prediction is None else _shown(prediction) for _, prediction in pairs]
    return [text[:CELL_CHARACTERS] for text in (known.question, *cells, same, right, f1)]


def _shown(prediction: AnswerPrediction) -> str:
    return prediction.text or ("not asked: " + prediction.error if prediction.error else _NOTHING)


def _said(prediction: AnswerPrediction) -> str:
    """Two answers are the same where SQuAD's rules see no difference between their words."""
    return normalize(prediction.text) or prediction.text


def files_markup(sides: Sequence[SideAnswers]) -> str:
    """How often the sides agree and, where the right answers are known, whether one does better."""
    return comparison_markup(
        [Judged(side.letter, [_judged(one) for one in side.decided()]) for side in sides], _METRICS
    )


def _judged(prediction: AnswerPrediction) -> Prediction:
    scores = {}
    if prediction.is_impossible is not None:
        exact, f1 = scores_of(prediction)
        scores = {"exact": exact / 100, "f1": f1 / 100}
    answer = None if prediction.error else _said(prediction)
    return Prediction(prediction.question, answer=answer, scores=scores, error=prediction.error, id=prediction.id)
