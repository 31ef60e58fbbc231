"""The Generate tab's requests: what the controls ask for, and what a branch keeps of it."""

from typing import Any

import gradio as gr
import pytest

from tests.ui.fake import FakeManager
from workbench.settings import Settings
from workbench.ui.bench import Bench
from workbench.ui.tabs import generate
from workbench.ui.tabs.generate import View, branched


@pytest.fixture
def view() -> View:
    """The tab's components."""
    bench = Bench(Settings(), FakeManager())  # type: ignore[arg-type]
    with gr.Blocks():
        return View(**generate._writing_column(), **generate._settings_column(bench), shown=gr.State(None))


def values_of(view: View, **changes: Any) -> dict[Any, Any]:
    """The values of a page just opened, some of them changed."""
    return {part: part.value for part in view.inputs()} | {getattr(view, name): new for name, new in changes.items()}


def test_a_branch_of_a_text_with_an_empty_seed_box_keeps_its_seed(view: View) -> None:
    request = view.request(values_of(view, new_seed=False, seed=None))
    assert request.seed is not None
    assert branched(request, [1, 2]).seed == request.seed


def test_a_given_seed_is_taken_unless_a_new_one_is_asked_for(view: View) -> None:
    assert view.request(values_of(view, new_seed=False, seed=0)).seed == 0
    drawn = {view.request(values_of(view, new_seed=True, seed=5)).seed for _ in range(4)}
    assert len(drawn) > 1
