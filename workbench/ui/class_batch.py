"""Many texts being classified: what came of them so far, as rows, as progress and as files."""

import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import BadRequest
from workbench.evals.exports.predictions import write_predictions
from workbench.evals.methods.labels import ClassPrediction, TextExample
from workbench.ui.bench import Bench
from workbench.ui.class_methods import Asked, ClassMethod
from workbench.ui.class_view import answer_words, by_head, gold_words, is_right, percent
from workbench.ui.parts import progress_bar, seconds_text

COLUMNS = ["#", "Text", "Answer", "Sure", "Right", "Note"]
MOST_TYPED = {True: 20_000, False: 2_000}
"""Texts that can be typed into the box: on this machine alone, and on a public page."""
_CELL_CHARACTERS = 300
"""Of a text in the table of results; the downloads have all of it."""


@dataclass
class Batch:
    """The texts of one run and the predictions as they come; the page's state holds it, so Stop loses nothing."""

    model: str
    asked: Asked
    examples: list[TextExample]
    predictions: list[ClassPrediction] = field(default_factory=list)
    method: ClassMethod | None = None
    """Once it is ready to be asked."""
    rows: list[list[str]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)
    """Set by Stop: the run ends after the text that it is at."""

    def start(self, method: ClassMethod) -> None:
        """The model is ready: from here on the time counts."""
        self.method, self.began = method, time.monotonic()

    def add(self, predictions: Sequence[ClassPrediction]) -> None:
        """Takes in what came."""
        self.rows += [_row(len(self.predictions) + i, one) for i, one in enumerate(predictions, start=1)]
        self.predictions += predictions
        self.seconds = time.monotonic() - self.began

    @property
    def done(self) -> bool:
        """Whether every text has its prediction."""
        return len(self.predictions) == len(self.examples)

    def progress(self) -> str:
        """How far it is, how right so far, and how long it will take."""
        if self.method is None:
            return progress_bar("Getting ready: loading the head, or measuring what the model prefers anyway", None)
        count, all_texts = len(self.predictions), len(self.examples)
        words = f"{count:,} of {all_texts:,} texts"
        right = [known for one in self.predictions if (known := is_right(one)) is not None]
        if right:
            words += f", {percent(sum(right) / len(right))} right so far"
        if count:
            words += f", {seconds_text(self.seconds / count * (all_texts - count))} left"
        return progress_bar(words, count / len(self.examples))

    def summary(self) -> str:
        """What came of it, in one line."""
        count, failed = len(self.predictions), sum(one.error is not None for one in self.predictions)
        speed = f", {count / self.seconds:.1f} texts a second" if self.seconds and count else ""
        words = f"{count:,} of {len(self.examples):,} texts in {seconds_text(self.seconds)}{speed}."
        if failed:
            words += f" {failed:,} could not be classified: the table says why."
        return words

    def write(self, folder: Path) -> tuple[Path, Path]:
        """The predictions as CSV and as JSONL, in a new folder that nobody can guess."""
        home = folder / secrets.token_hex(16)
        home.mkdir(parents=True)
        return write_predictions(self.predictions, home)


def typed_examples(text: str, bench: Bench) -> list[TextExample]:
    """An example a line; empty lines are left out.

    Raises:
        BadRequest: there is none, or there are too many.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise BadRequest("There are no texts. Write one a line, or upload a table.")
    most = MOST_TYPED[bench.settings.serves_locally]
    if len(lines) > most:
        raise BadRequest(f"{len(lines):,} texts; at most {most:,} are taken from the box. Upload a file instead.")
    return [TextExample(str(number), line) for number, line in enumerate(lines, start=1)]


def _row(number: int, prediction: ClassPrediction) -> list[str]:
    """A row of the table; everything in it is text."""
    probability = ""
    if prediction.label is not None and prediction.label in prediction.scores:
        probability = percent(prediction.scores[prediction.label])
    right = {True: "right", False: "wrong", None: ""}[is_right(prediction)]
    text = prediction.text.replace("\n", " ")
    shown = text if len(text) <= _CELL_CHARACTERS else text[:_CELL_CHARACTERS] + "…"
    note = prediction.error or "; ".join(filter(None, (right, _cut(prediction))))
    return [str(number), shown, answer_words(prediction), probability, gold_words(prediction), note]


def _cut(prediction: ClassPrediction) -> str:
    """What was left out of a text, or of the prompt around it."""
    if not prediction.unseen_tokens:
        return ""
    count = f"{prediction.unseen_tokens:,} tokens"
    return f"the last {count} were not read" if by_head(prediction) else f"the first {count} did not fit"
