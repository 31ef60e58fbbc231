"""What every tab makes of Gradio's components and events in one way."""

from typing import Any

import gradio as gr

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""Of an event that is the page's own: no endpoint, and no progress but what the tab itself draws."""


def html(value: str = "", **named: Any) -> gr.HTML:
    """A place for markup of ours: without a script, and without Gradio's own look."""
    return gr.HTML(value, js_on_load=None, apply_default_css=False, **named)


def box(name: str) -> gr.HTML:
    """An empty place for what is told later; `name` is its id."""
    return html(elem_id=name, elem_classes="page-notice")
