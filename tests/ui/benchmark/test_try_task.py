"""One sample asked about at once: the exact prompt and what the model makes of it."""

from pathlib import Path

import pytest

from tests.ui.fake_runs import BenchmarkManager
from workbench.errors import BadRequest
from workbench.evaluating import all_tasks
from workbench.manager import ModelSpec
from workbench.ui.benchmark.try_task import tried_markup

MULTIPLE_CHOICE = [name for name, task in all_tasks().items() if task.method.name in ("multiple_choice", "cloze")]


@pytest.mark.parametrize("name", MULTIPLE_CHOICE)
def test_every_sample_of_a_task_can_be_tried(name: str, tmp_path: Path) -> None:
    task = all_tasks()[name]
    for place in (0, len(task.samples) - 1, len(task.samples)):
        shown = tried_markup(BenchmarkManager(), task, ModelSpec("demo"), place)  # type: ignore[arg-type]
        number = place % len(task.samples) + 1
        assert f"sample {number} of {len(task.samples)}" in shown and '<div class="prompt">' in shown


def test_worked_examples_stand_folded_before_it() -> None:
    shown = tried_markup(BenchmarkManager(), all_tasks()["piqa"], ModelSpec("demo"), 0, shots=2)  # type: ignore[arg-type]
    assert "Worked examples before it" in shown


def test_a_head_is_refused_where_none_is_taken() -> None:
    with pytest.raises(BadRequest, match="asked of the language model itself"):
        tried_markup(BenchmarkManager(), all_tasks()["piqa"], ModelSpec("demo"), 0, head="spam")  # type: ignore[arg-type]
