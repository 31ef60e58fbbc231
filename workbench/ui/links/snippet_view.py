"""The panel "Use this from …" below a tab's results: the code that asks what is on screen, ready to copy."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

import gradio as gr

from workbench.ui.links.snippets import Snippet
from workbench.ui.parts import error_text
from workbench.ui.scripts import script

Updates = dict[Any, Any]

DEFAULT_URL = "http://127.0.0.1:7860/"
_FRAME = """
<details class="code-panel">
  <summary>Use this from Python, the command line or another program</summary>
  <div class="code-bar">
    <div class="code-ways" role="group" aria-label="From where"></div>
    <button type="button" class="code-copy">Copy</button>
    <span class="code-said" role="status"></span>
  </div>
  <pre tabindex="0" aria-label="The code"></pre>
</details>
"""


def code_panel(elem_id: str) -> gr.HTML:
    """Draws the panel, closed; `connect_panel` fills it."""
    return gr.HTML(
        "",
        html_template=_FRAME,
        js_on_load=script("copied.js", "snippet_view.js"),
        apply_default_css=False,
        elem_id=elem_id,
    )


def connect_panel(panel: gr.HTML, inputs: set[Any], made: Callable[[Updates, str], Sequence[Snippet]]) -> None:
    """Fills the panel with what the controls ask for, whenever somebody looks into it.

    Args:
        made: the snippets, from the values of `inputs` and the address at which the page is served.
    """

    def look(values: Updates, event: gr.EventData) -> Updates:
        try:
            found = [asdict(one) for one in made(values, served_at(event.url))]
        except Exception as error:  # what can't be asked has no code; the words say why
            return {panel: json.dumps({"error": error_text(error)})}
        return {panel: json.dumps(found)}

    panel.look(look, inputs, [panel], show_progress="hidden", api_visibility="private", trigger_mode="always_last")


def served_at(url: Any) -> str:
    """The page's address as the browser tells it; the default where it tells none."""
    try:
        parts = urlsplit(str(url))
    except ValueError:
        return DEFAULT_URL
    return f"{parts.scheme}://{parts.netloc}{parts.path}" if parts.scheme in ("http", "https") else DEFAULT_URL
