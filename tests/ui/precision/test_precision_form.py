"""The Precision form: what is compared on what, and what it refuses."""

from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.ui.fake_precision import PrecisionManager
from tests.ui.fake_runs import bench
from workbench.errors import BadRequest
from workbench.evaluating import SAMPLES
from workbench.manager import ModelSpec
from workbench.ui.bench import Bench
from workbench.ui.benchmark.benchmark_form import HUB
from workbench.ui.precision.precision_form import PROMPT, TASK, TEXT, Form, checkpoints, form_view


@pytest.fixture
def local(tmp_path: Path) -> Bench:
    """A bench on this machine alone, with the demo loaded twice."""
    found = bench(tmp_path, PrecisionManager())
    for name in ("int8", "float32"):
        found.manager.load(ModelSpec("demo", precision=name))
    return found


@pytest.fixture
def form(local: Bench) -> Form:
    """The tab's form."""
    with gr.Blocks():
        return form_view(local)


def values_of(form: Form, **changes: Any) -> dict[Any, Any]:
    """The values of a page just opened, but for these."""
    shown = {part: part.value for part in form.inputs()}
    return shown | {getattr(form, name): value for name, value in changes.items()}


def test_a_checkpoint_is_listed_once_whatever_precisions_are_loaded(local: Bench) -> None:
    found = checkpoints(local)
    assert list(found) == ["demo", "EleutherAI/gpt-j-6b"] and found["demo"] == ModelSpec("demo")


def test_a_page_just_opened_can_be_run(form: Form, local: Bench) -> None:
    values = values_of(form)
    task, material = form.material(local, values)
    assert task is None and material.follows and len(values[form.precisions]) == 3
    assert form.spec(local, values) == ModelSpec("demo")


def test_the_text_that_is_offered_can_be_read_and_continued(form: Form, local: Bench) -> None:
    _, material = form.material(local, values_of(form, kind=TEXT))
    assert len(material.texts) == 1 and len(material.prompts) > 1


def test_the_task_that_is_offered_needs_no_download(form: Form, local: Bench) -> None:
    task, material = form.material(local, values_of(form, kind=TASK, limit=5))
    assert task is not None and len(material.rows) == 5


def test_no_more_rows_are_taken_than_asked_for(form: Form, local: Bench) -> None:
    _, material = form.material(local, values_of(form, kind=TASK, task="piqa", data=SAMPLES, limit=3, length=0))
    assert len(material.rows) == 3 and material.prompts == ()


@pytest.mark.parametrize("changes, message", [
    ({"prompt": "  "}, "prompt is empty"), ({"kind": TEXT, "text": ""}, "text is empty"),
    ({"kind": TASK, "task": "gone"}, "No task is picked"), ({"kind": TASK, "limit": -1}, "Rows must be a whole number"),
    ({"length": 0.5}, "New tokens must be a whole number"), ({"kind": PROMPT, "prompt": "x" * 1_000_001}, "characters"),
    ({"kind": TASK, "task": "own_cloze", "data": HUB}, "no data set of its own"),
])  # fmt: skip
def test_what_can_not_be_compared_is_told(form: Form, local: Bench, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        form.material(local, values_of(form, **changes))


def test_a_checkpoint_that_is_gone_is_told(form: Form, local: Bench) -> None:
    with pytest.raises(BadRequest, match="not on the list"):
        form.spec(local, values_of(form, model="gone"))


def test_a_public_page_takes_less(form: Form, tmp_path: Path) -> None:
    public = bench(tmp_path, PrecisionManager(), host="0.0.0.0")
    for changes in ({"prompt": "x" * 20_001}, {"kind": TASK, "task": "piqa", "data": HUB, "limit": 0}):
        with pytest.raises(BadRequest, match=r"at most 20,000|from 1 to 100"):
            form.material(public, values_of(form, **changes))
