"""One of a task's made-up samples, asked about at once: the exact prompt, and what the model makes of it."""

import time
from html import escape
from typing import Any

from workbench.evals.asking import ask_one
from workbench.evals.data.sources import load_data
from workbench.evals.data.tables import PUBLIC
from workbench.evals.prediction import Prediction
from workbench.evals.task import Task
from workbench.evaluating import SAMPLES, with_head
from workbench.manager import ModelManager, ModelSpec
from workbench.ui.bench import spec_name
from workbench.ui.parts import seconds_text
from workbench.ui.runs.example_view import answers_markup, prompt_markup, verdict_markup


def tried_markup(
    manager: ModelManager, task: Task[Any], spec: ModelSpec, place: int, shots: int = 0, head: str | None = None
) -> str:
    """A sample's prompt, the right answer, and each choice's scores.

    Args:
        place: of the sample; beyond the last one it begins anew.
        shots: of the other samples, this many at most stand before it.

    Raises:
        BadRequest: the task can't be asked so. CannotLoad: there is no such model.
    """
    data = load_data(task, SAMPLES, None, PUBLIC)
    place %= len(data.rows)
    with manager.lease(spec) as model:
        asked = task.for_data(data)
        if head is not None:
            asked = with_head(manager, asked, spec, head)
        examples = [asked.read(row) for row in data.rows]
        others = [example for number, example in enumerate(examples) if number != place]
        method, began = asked.method.with_shots(others[:shots]), time.monotonic()
        prediction: Prediction = ask_one(model, method, examples[place])
        seconds = time.monotonic() - began
    return (
        f'<section class="examples tried" aria-label="A sample tried"><article class="example"><header>'
        f"<h4>{escape(task.name)}, sample {place + 1} of {len(examples)}</h4><span>{verdict_markup(prediction)} "
        f"<small>{escape(spec_name(spec))}, {seconds_text(seconds)}</small></span></header>"
        f"{prompt_markup(prediction.prompt, method.prefix)}{answers_markup([('', prediction)])}</article></section>"
    )
