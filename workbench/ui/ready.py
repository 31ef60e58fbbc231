"""A model made ready for a request, with its load shown where the answer will stand."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from workbench.manager import LoadedModel, ModelSpec
from workbench.ui.bench import Page
from workbench.ui.generate.streams import load_steps
from workbench.ui.status import load_bar, ready_line


def made_ready(page: Page, notice: gr.HTML, spec: ModelSpec) -> Iterator[dict[Any, Any]]:
    """Loads the model if need be, with a progress bar at `notice`."""
    if page.bench.is_loaded(spec):
        return
    for step in load_steps(page.bench.manager, spec):
        if not isinstance(step, LoadedModel):
            yield {notice: load_bar(spec, step)}
    yield {notice: "", page.status: ready_line(page.bench)}
