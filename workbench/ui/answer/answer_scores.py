"""The answers to a file of questions as tables, figures and curves; pandas and files come in here."""

import json
import math
import shutil
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from workbench.evals.data.squad_files import Question
from workbench.evals.exports.predictions import write_predictions
from workbench.evals.methods.spans import AnswerPrediction, answer_metrics, deciding_threshold
from workbench.evals.metrics.squad import squad_v2
from workbench.ui.charts.curves import curves_markup

HEADERS = ["#", "Question", "Answer", "Right answers", "F1", "No answer ahead by"]
ROWS_SHOWN = 500
"""Of the table; the downloads hold all."""
CELL_CHARACTERS = 300
CURVE_POINTS = 60
_FIGURES = {
    "exact_match": "Exact match", "exact": "Exact match", "f1": "F1", "HasAns_f1": "F1, answerable",
    "NoAns_f1": "F1, unanswerable", "best_exact": "Best exact match", "best_f1": "Best F1",
}  # fmt: skip


@dataclass
class Answered:
    """A file's questions and what was answered so far."""

    questions: list[Question]
    predictions: list[AnswerPrediction] = field(default_factory=list)
    folder: Path | None = None
    """Where the files to take away lie."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set by Stop: the run ends after the question that it is at."""

    def forget(self) -> None:
        """Deletes the files."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None


def answer_rows(predictions: Sequence[AnswerPrediction], threshold: float) -> list[list[str]]:
    """The table's rows, as texts; the answers are those that are scored."""
    threshold, shown = deciding_threshold(predictions, threshold), predictions[:ROWS_SHOWN]
    return [[str(number), *_row(prediction.at(threshold))] for number, prediction in enumerate(shown, start=1)]


def _row(prediction: AnswerPrediction) -> list[str]:
    known = prediction.is_impossible is not None
    right = "no answer" if prediction.is_impossible else " / ".join(dict.fromkeys(prediction.gold))
    answer = prediction.text or ("not asked: " + prediction.error if prediction.error else "no answer")
    score = f"{scores_of(prediction)[1] / 100:.2f}" if known else ""
    difference = f"{prediction.null_difference:.2f}" if math.isfinite(prediction.null_difference) else ""
    return [text[:CELL_CHARACTERS] for text in (prediction.question, answer, right, score, difference)]


def scores_of(prediction: AnswerPrediction) -> tuple[float, float]:
    """Exact match and F1 of a prediction's text alone, in percent, by the rules of SQuAD 2.0; 0 for an error."""
    if prediction.error is not None:
        return 0.0, 0.0
    references = {prediction.id: () if prediction.is_impossible else prediction.gold}
    figures = squad_v2({prediction.id: prediction.text}, None, references, math.inf)
    return figures["exact"], figures["f1"]


def figures_markup(predictions: Sequence[AnswerPrediction], threshold: float, total: int) -> str:
    """How many were answered, and how well where the right answers are known."""
    metrics = answer_metrics(predictions, threshold)
    decided = deciding_threshold(predictions, threshold)
    silent = sum(not prediction.at(decided).text for prediction in predictions)
    cells = [("Questions", f"{len(predictions):,} of {total:,}"), ("No answer given", f"{silent:,}")]
    for name, label in _FIGURES.items():
        if name in metrics:
            cells.append((label, f"{metrics[name]:.2f}"))
    if "errors" in metrics:
        cells.append(("Not asked, scored 0", f"{metrics['errors']:,}"))
    rule = ""
    if metrics:
        version = "2.0" if "exact" in metrics else "1.1: the best span counts, whatever the threshold"
        rule = f"By the rules of SQuAD {version}."
    shown = "".join(f"<div><dt>{escape(label)}</dt><dd>{value}</dd></div>" for label, value in cells)
    return f'<dl class="figures answer-figures">{shown}</dl><p class="keys">{rule}</p>'


def best_threshold(predictions: Sequence[AnswerPrediction]) -> float | None:
    """The threshold of the best F1; None where no threshold is needed, since all questions have an answer.

    SQuAD's own sweep counts no answer at all as the threshold 0, which scores below 0 do not reach: hence our own.
    """
    sure = sorted(_decisions(predictions))
    finite = [row for row in sure if math.isfinite(row[0])]
    if not finite:
        return None
    total = best = sum(row[3] for row in sure)
    at = finite[0][0] - 0.1
    for number, (difference, _, score, nothing) in enumerate(finite):
        total += score - nothing
        ends_its_ties = number + 1 == len(finite) or finite[number + 1][0] > difference
        if ends_its_ties and total > best:
            best, at = total, difference
    return at


def _decisions(predictions: Sequence[AnswerPrediction]) -> list[tuple[float, float, float, float]]:
    """Of each question with a known answer: null difference, exact match and F1 of its best span, score of nothing.

    Moving the threshold chooses between the span and nothing. Empty where all questions have an answer.
    """
    known = [prediction for prediction in predictions if prediction.is_impossible is not None]
    if not any(prediction.is_impossible for prediction in known):
        return []
    return [
        (one.null_difference, *scores_of(one.at(math.inf)), 100.0 * bool(one.is_impossible and one.error is None))
        for one in known
    ]


def threshold_curve(predictions: Sequence[AnswerPrediction], threshold: float) -> str:
    """Exact match and F1 over the threshold, where some questions have no answer; else nothing."""
    sure = _decisions(predictions)
    finite = sorted({difference for difference, *_ in sure if math.isfinite(difference)})
    if not finite:
        return ""
    every = max(1, len(finite) // CURVE_POINTS)
    places = sorted({finite[0] - 0.1, *finite[::every], finite[-1] + 0.1, threshold})
    lines = {}
    for number, name in ((1, "exact match"), (2, "F1")):
        lines[name] = [(at, sum(row[3] if row[0] > at else row[number] for row in sure) / len(sure)) for at in places]
    return curves_markup("Exact match and F1 by the threshold", "No-answer threshold", lines, None, (0, 100), threshold)


def write_answers(answered: Answered, threshold: float, cache: Path) -> list[Path]:
    """Writes the answers as they are scored: SQuAD's {id: text}, CSV and JSON lines; earlier files are deleted.

    Args:
        cache: where the page may serve files from; they go into a folder of their own there.
    """
    answered.forget()
    cache.mkdir(parents=True, exist_ok=True)
    answered.folder = Path(tempfile.mkdtemp(prefix="answers-", dir=cache))
    threshold = deciding_threshold(answered.predictions, threshold)
    decided = [prediction.at(threshold) for prediction in answered.predictions]
    squad = answered.folder / "predictions.json"
    texts = {prediction.id: prediction.text for prediction in decided}
    squad.write_text(json.dumps(texts, indent=1), encoding="utf-8")
    return [squad, *write_predictions(decided, answered.folder)]
