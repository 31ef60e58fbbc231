"""What a run records of an example is, character for character, what the model was asked, worked examples included."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import tasks
from tests.evals.answering import StandIn
from workbench.collect import collect
from workbench.errors import BadRequest
from workbench.evals.asking import Answer, Request
from workbench.evals.data.rows import Data, Row
from workbench.evals.exports.lm_eval import sample_records
from workbench.evals.runs.protocol import ModelIdentity
from workbench.evals.runs.runner import Options, evaluate
from workbench.evals.task import Task
from workbench.text.requests import Generate, Generated, LogLikelihood, RollingLogLikelihood, Scored, TokenText

TASKS: dict[str, Task[Any]] = collect(tasks, "TASK")
MODEL = ModelIdentity("toy", None, "float32", "float32", "cpu", "f" * 64, 1000, 4000, 512)


class Recorder(StandIn):
    """Finds everything equally likely, writes one word, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def answers(self, requests: Sequence[Request]) -> Sequence[Answer]:
        """An answer of each request's kind; a choice without its prompt is left out of what was asked."""
        found: list[Answer] = []
        for request in requests:
            if isinstance(request, Generate):
                self.asked.append((request.prompt,))
                found.append(Generated(text="word", finish_reason="stop"))
            elif isinstance(request, LogLikelihood):
                if request.context:
                    self.asked.append((request.context, request.continuation))
                found.append(Scored(-1.0, False, (TokenText(0, request.continuation, -1.0),)))
            elif isinstance(request, RollingLogLikelihood):
                self.asked.append((request.text,))
                found.append(Scored(-1.0, False, (TokenText(0, request.text, -1.0),)))
        return found


def takes_shots(task: Task[Any]) -> bool:
    try:
        return bool(task.method.with_shots([task.read(Row(task.samples[0]))]).prefix)
    except BadRequest:
        return False


def cases() -> list[tuple[str, int]]:
    of_texts = [name for name, task in TASKS.items() if task.method.name != "extraction"]
    return [(name, 0) for name in of_texts] + [(name, 3) for name in of_texts if takes_shots(TASKS[name])]


@pytest.mark.parametrize("name, shots", cases())
def test_every_prompt_can_be_read_from_the_run(name: str, shots: int, tmp_path: Path) -> None:
    task, model = TASKS[name], Recorder()
    rows = tuple(Row(values, index) for index, values in enumerate(task.samples))
    steps = evaluate(model, MODEL, task, Data(rows, rows, {"origin": "samples"}), Options(shots=shots), tmp_path)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            run = end.value
            break
    told = [
        tuple(text for text in argument.values() if isinstance(text, str))
        for sample in sample_records(run, task.method.metrics)
        for argument in sample["arguments"].values()
    ]
    assert sorted(told) == sorted(model.asked)
    assert sum(one.prefix is not None for one in run.predictions) == shots
