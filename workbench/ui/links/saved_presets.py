"""Settings that a visitor saves under a name, kept in the browser alone; all places that draw them share the list."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

import gradio as gr

from workbench.ui.components import QUIET
from workbench.ui.links.address import read_link
from workbench.ui.scripts import script

_FRAME = """
<section class="presets" aria-label="Your own settings">
  <div class="presets-row">
    <label><span>Saved settings</span><select class="preset-list"></select></label>
    <button type="button" class="preset-load">Load</button>
    <button type="button" class="preset-delete">Delete</button>
  </div>
  <div class="presets-row">
    <label><span>Save these settings as</span>
      <input class="preset-name" maxlength="60" autocomplete="off" placeholder="A name"></label>
    <button type="button" class="preset-save">Save</button>
  </div>
  <p class="preset-said" role="status"></p>
</section>
"""


def saved_presets(parts: Mapping[str, Any], elem_id: str) -> gr.HTML:
    """Draws the list with Load, Delete and Save; call it where it should stand.

    Args:
        parts: the controls that are saved and loaded, by the names under which the browser keeps them.
    """
    shown = gr.HTML(
        html_template=_FRAME, js_on_load=script("saved_presets.js"), apply_default_css=False, elem_id=elem_id
    )
    controls = list(parts.values())
    layout = json.dumps([elem_id, list(parts), [part.value for part in controls]])
    shown.save(None, controls, None, js=f"(...values) => window.workbench.savePreset(...{layout}, values)", **QUIET)

    def loaded(event: gr.EventData) -> dict[Any, Any]:
        return preset_loaded(parts, event.state)

    shown.load_preset(loaded, None, controls, **QUIET)
    return shown


def preset_loaded(parts: Mapping[str, Any], state: Any) -> dict[Any, Any]:
    """The controls as they were saved; what they can't have any more is at its default, and a warning says so."""
    reading = read_link(state)
    values = {part: reading.take(name, part) for name, part in parts.items()}
    if words := reading.told():
        gr.Warning(f"Not everything of these settings could be loaded. Ignored: {escape(words)}.")
    return values
