"""Many texts being classified by each side: what came of them so far, as rows, as progress and as files."""

import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from workbench.errors import BadRequest
from workbench.evals.exports.predictions import write_predictions
from workbench.evals.methods.labels import ClassPrediction, TextExample
from workbench.ui.bench import Bench
from workbench.ui.classify.class_compare import batch_columns, batch_rows, shown_text
from workbench.ui.classify.class_methods import Asked, ClassMethod
from workbench.ui.classify.class_view import answer_words, by_head, gold_words, is_right, percent
from workbench.ui.parts import progress_bar, seconds_text
from workbench.ui.sides.sides import Chosen, swapped_side

COLUMNS = ["#", "Text", "Answer", "Sure", "Right answer", "Note"]
WIDTHS: list[str | int] = ["52px", "340px", "130px", "90px", "120px", "110px"]


@dataclass
class Batch:
    """The texts of a side's run and the predictions as they come; the page's state holds it, so Stop loses nothing."""

    side: Chosen
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
    files: tuple[Path, Path] | None = None
    """The predictions as CSV and as JSONL, once they are written."""

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
        """The predictions as CSV and as JSONL, once, in a new folder that nobody can guess."""
        if self.files is None:
            home = folder / secrets.token_hex(16)
            home.mkdir(parents=True)
            self.files = write_predictions(self.predictions, home)
        return self.files


@dataclass(frozen=True)
class Batches:
    """The same texts, asked of every side in use."""

    sides: tuple[Batch, ...]

    def of(self, index: int) -> Batch | None:
        """The batch of a side; None where it was not asked."""
        return next((batch for batch in self.sides if batch.side.index == index), None)

    def stop(self) -> None:
        """Ends every side's run after the text that it is at."""
        for batch in self.sides:
            batch.stop.set()

    @property
    def ended(self) -> bool:
        """Whether no side is asked any more, or at most about the text that it was stopped at."""
        return all(batch.done or batch.stop.is_set() for batch in self.sides)

    def swapped(self) -> "Batches":
        """The same once A and B have changed places."""
        sides = [replace(batch, side=swapped_side(batch.side)) for batch in self.sides]
        return Batches(tuple(sorted(sides, key=lambda batch: batch.side.index)))

    @property
    def reached(self) -> int:
        """How many texts any side has a prediction of."""
        return max(len(batch.predictions) for batch in self.sides)

    def predictions(self) -> list[tuple[str, list[ClassPrediction]]]:
        """Each side's letter, and its predictions so far."""
        return [(batch.side.letter, list(batch.predictions)) for batch in self.sides]

    def table(self) -> tuple[list[str], list[str | int], list[list[str]]]:
        """The names of the columns, their widths and the rows: of one side in full, of several an answer each."""
        if len(self.sides) == 1:
            return COLUMNS, WIDTHS, list(self.sides[0].rows)
        names, widths = batch_columns([batch.side.letter for batch in self.sides])
        # The texts are the same for all; a separator of right answers alone may differ.
        found = self.predictions()
        return names, widths, batch_rows([one.text for one in self.sides[0].examples], found)


def typed_examples(text: str, bench: Bench) -> list[TextExample]:
    """An example a line; empty lines are left out.

    Raises:
        BadRequest: there is none, or there are too many.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise BadRequest("There are no texts. Write one a line, or upload a table.")
    most = bench.settings.profile.benchmarks.typed_texts
    if len(lines) > most:
        raise BadRequest(f"{len(lines):,} texts; at most {most:,} are taken from the box. Upload a file instead.")
    return [TextExample(str(number), line) for number, line in enumerate(lines, start=1)]


def _row(number: int, prediction: ClassPrediction) -> list[str]:
    """A row of the table; everything in it is text."""
    probability = ""
    if prediction.label is not None and prediction.label in prediction.scores:
        probability = percent(prediction.scores[prediction.label])
    right = {True: "right", False: "wrong", None: ""}[is_right(prediction)]
    shown = shown_text(prediction.text)
    note = prediction.error or "; ".join(filter(None, (right, _cut(prediction))))
    return [str(number), shown, answer_words(prediction), probability, gold_words(prediction), note]


def _cut(prediction: ClassPrediction) -> str:
    """What was left out of a text, or of the prompt around it."""
    if not prediction.unseen_tokens:
        return ""
    count = f"{prediction.unseen_tokens:,} tokens"
    return f"the last {count} were not read" if by_head(prediction) else f"the first {count} did not fit"
