"""A benchmark of made-up riddles and a model that answers by a hash: runs without weights, the same everywhere."""

import hashlib
import random
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from tests.evals.answering import StandIn
from workbench.evals.asking import Answer, Request
from workbench.evals.data.rows import Data, Row
from workbench.evals.methods.multiple_choice import Choices, MultipleChoice
from workbench.evals.runs.process import Process
from workbench.evals.runs.progress import Progress
from workbench.evals.runs.protocol import ModelIdentity
from workbench.evals.runs.run import Run
from workbench.evals.runs.runner import ALONE, Options, evaluate
from workbench.evals.task import Task
from workbench.text.requests import LogLikelihood, Scored, TokenText

MODEL = ModelIdentity("toy", None, "float32", "float32", "cpu", "f" * 64, 1000, 4000, 512)
WORDS = ("apple", "king", "hill", "unicorn", "slept", "green", "old", "tree", "half", "line\nbreak", "π≈3")


def read_riddle(row: Row) -> Choices:
    """A question with three choices, in the columns question, choices, answer."""
    return Choices(row.text("question"), row.texts("choices", 3), row.whole("answer", 0, 2))


def riddles(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """So many rows; the questions' lengths differ."""
    chance = random.Random(seed)
    return [
        {
            "key": f"r{number}",
            "question": " ".join([f"Riddle {number}:", *chance.choices(WORDS, k=chance.randint(1, 12))]),
            "choices": chance.sample(WORDS, 3),
            "answer": chance.randint(0, 2),
        }
        for number in range(count)
    ]


TASK = Task(
    name="riddles",
    about="Which word ends the riddle?",
    columns=("question", "choices", "answer"),
    read=read_riddle,
    method=MultipleChoice(),
    samples=tuple(riddles(5)),
    id_column="key",
)


def data_of(rows: Sequence[dict[str, Any]], shots: Sequence[dict[str, Any]] | None = None) -> Data:
    """The rows as a source gives them; worked examples come from the same ones unless others are given."""
    read = tuple(Row(values, index) for index, values in enumerate(rows))
    shot_rows = read if shots is None else tuple(Row(values, index) for index, values in enumerate(shots))
    return Data(read, shot_rows, {"origin": "samples", "path": None})


class HashModel(StandIn):
    """Answers by the texts alone.

    Args:
        before: called for each example when its answers are computed.
        seconds: how long each example takes.
    """

    def __init__(self, before: Callable[[Sequence[Request]], None] | None = None, seconds: float = 0.0):
        self._before, self._seconds = before, seconds
        self.asked: list[Sequence[Request]] = []

    def answers(self, requests: Sequence[Request]) -> Sequence[Answer]:
        """A log-likelihood for each, between -20 and 0."""
        self.asked.append(requests)
        if self._before is not None:
            self._before(requests)
        if self._seconds:
            time.sleep(self._seconds)
        return [_scored(request) for request in requests if isinstance(request, LogLikelihood)]


def _scored(request: LogLikelihood) -> Scored:
    text = f"{request.context}|{request.continuation}".encode("utf-8", "surrogatepass")
    number = int.from_bytes(hashlib.sha256(text).digest()[:6], "big") / 2**48
    return Scored(-20 * number, number < 0.1, (TokenText(0, request.continuation, -20 * number),))


def steps(
    folder: Path,
    rows: Sequence[dict[str, Any]],
    options: Options | None = None,
    model: StandIn | None = None,
    process: Process = ALONE,
    task: Task[Any] = TASK,
) -> Generator[Progress, None, Run]:
    """The evaluation of rows, under way."""
    return evaluate(model or HashModel(), MODEL, task, data_of(rows), options or Options(), folder, process)


def finished(evaluation: Generator[Progress, None, Run]) -> Run:
    """The run at its end."""
    while True:
        try:
            next(evaluation)
        except StopIteration as end:
            run: Run = end.value
            return run


def run_of(folder: Path, rows: Sequence[dict[str, Any]], options: Options | None = None, **settings: Any) -> Run:
    """A whole run."""
    return finished(steps(folder, rows, options, **settings))


def contents(run: Run) -> tuple[bytes, bytes]:
    """The files that are the same however often a run was cut off."""
    return (run.folder / "run.json").read_bytes(), (run.folder / "predictions.jsonl").read_bytes()
