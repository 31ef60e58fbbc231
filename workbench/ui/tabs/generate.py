"""The Generate tab: a prompt's continuation streams out token by token, and any token can be branched from."""

import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from workbench.errors import BadRequest
from workbench.manager import ModelSpec
from workbench.text.requests import Generate
from workbench.ui import controls
from workbench.ui.bench import Bench, Page, Tab, spec_name
from workbench.ui.endpoints import generate_endpoint
from workbench.ui.figures import figures, figures_view
from workbench.ui.parts import told
from workbench.ui.prompts import PROMPTS
from workbench.ui.ready import made_ready
from workbench.ui.streams import paced
from workbench.ui.token_view import TokenLines, token_view

Updates = dict[Any, Any]

_SEEDS = 2**31
"""New seeds are below this: short enough to read, and exact in a browser's numbers."""
_AFTER_BRANCH = 32
"""A branch close to the end may write at least this many tokens more."""


@dataclass(frozen=True)
class Shown:
    """What the token view shows: a branch asks the same again, with other first tokens."""

    model: str
    request: Generate


@dataclass(frozen=True)
class View:
    """The components of the tab that its events read and write."""

    prompt: gr.Textbox
    run: gr.Button
    stop: gr.Button
    notice: gr.HTML
    tokens: gr.HTML
    figures: gr.HTML
    model: gr.Dropdown
    preset: gr.Radio
    knobs: dict[str, gr.Slider]
    seed: gr.Number
    new_seed: gr.Checkbox
    stop_texts: gr.Textbox
    banned: gr.Textbox
    shown: gr.State

    def inputs(self) -> set[Any]:
        """Everything a request is made of."""
        others = (self.prompt, self.model, self.seed, self.new_seed, self.stop_texts, self.banned)
        return {self.shown, *others, *self.knobs.values()}

    def request(self, values: Updates) -> Generate:
        """The request that the controls ask for."""
        settings = {name: values[slider] for name, slider in self.knobs.items()}
        given = None if values[self.new_seed] else values[self.seed]
        # Settled here, once: a branch of this text asks for the same seed again.
        settings["seed"] = secrets.randbelow(_SEEDS) if given is None else given
        settings["stop"] = controls.text_lines(values[self.stop_texts] or "")
        settings["banned"] = controls.text_lines(values[self.banned] or "")
        return controls.build_request(values[self.prompt] or "", settings)

    def branch(self, values: Updates, ids: Any) -> Shown:
        """What is shown, asked once more with other first tokens.

        Raises:
            BadRequest: the page does not know any more what it shows.
        """
        shown = values[self.shown]
        if shown is None:
            raise BadRequest("This text was written too long ago to be branched. Generate a new one first.")
        return replace(shown, request=branched(shown.request, ids))

    def buttons(self, running: bool) -> Updates:
        """Generate and Stop: exactly one of them can be pressed."""
        return {self.run: gr.Button(interactive=not running), self.stop: gr.Button(interactive=running)}


def build(page: Page, container: gr.Tab) -> None:
    """Fills the tab."""
    with gr.Row(elem_classes="workspace"):
        with gr.Column(scale=7, min_width=320):
            writing = _writing_column()
        with gr.Column(scale=3, min_width=300, elem_classes="settings"):
            settings = _settings_column(page.bench)
    view = View(**writing, **settings, shown=gr.State(None, time_to_live=3600))
    _connect(page, container, view)
    generate_endpoint(page.bench)


def _writing_column() -> dict[str, Any]:
    first = next(iter(PROMPTS.values()))
    prompt = gr.Textbox(
        first, label="Prompt", lines=3, max_lines=12, elem_id="prompt", placeholder="Write the beginning of a text…"
    )
    examples = gr.Dataset(
        components=[gr.Textbox(visible=False)],
        samples=[[text] for text in PROMPTS.values()],
        sample_labels=list(PROMPTS),
        label="Examples",
        elem_id="examples",
    )
    examples.click(lambda sample: sample[0], examples, prompt, show_progress="hidden", api_visibility="private")
    with gr.Row(elem_classes="actions"):
        run = gr.Button("Generate", variant="primary", elem_id="run", elem_classes="key-run", scale=3)
        stop = gr.Button("Stop", interactive=False, elem_id="stop", elem_classes="key-stop", scale=1)
    gr.HTML(
        "<p class='keys'><kbd>Ctrl</kbd> <kbd>Enter</kbd> generates, <kbd>Esc</kbd> stops.</p>", apply_default_css=False
    )
    message = gr.HTML("", js_on_load=None, apply_default_css=False, elem_id="generate-notice")
    tokens = token_view()
    return {"prompt": prompt, "run": run, "stop": stop, "notice": message, "tokens": tokens, "figures": figures_view()}


def _settings_column(bench: Bench) -> dict[str, Any]:
    names = list(bench.specs())
    model = gr.Dropdown(names, value=names[0], label="Model", elem_id="model", info="More on the Models tab.")
    preset = gr.Radio(list(controls.PRESETS), value="Balanced", label="Preset", elem_id="preset")
    knobs = {knob.name: knob.slider() for knob in (*controls.LENGTH, *controls.SAMPLING)}
    with gr.Row():
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="seed", min_width=120)
        new_seed = gr.Checkbox(True, label="New seed each time", elem_id="new-seed", min_width=120)
    for name, group in (("More filters and penalties", controls.FILTERS), ("Beam search", controls.BEAMS)):
        with gr.Accordion(name, open=False):
            knobs |= {knob.name: knob.slider() for knob in group}
    with gr.Accordion("Stopping and banning", open=False):
        knobs |= {knob.name: knob.slider() for knob in controls.STOPPING}
        info = "One a line; \\n stands for a line break."
        stop_texts = gr.Textbox(label="Stop texts", info="The text ends before any of these. " + info, lines=2)
        banned = gr.Textbox(label="Banned texts", info="Never written. " + info, lines=2)
    parts = {"model": model, "preset": preset, "knobs": knobs, "seed": seed, "new_seed": new_seed}
    return parts | {"stop_texts": stop_texts, "banned": banned}


def _connect(page: Page, container: gr.Tab, view: View) -> None:
    """The tab's events: a run, a branch, their Stop, presets and the list of models."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    outputs = [view.notice, view.tokens, view.figures, view.run, view.stop, view.seed, view.shown, page.status]

    def write(values: Updates, event: gr.EventData) -> Iterator[Updates]:
        ids = event.ids if isinstance(event.target, gr.HTML) else None
        yield from told(_write(page, view, values, ids), view.notice)
        yield view.buttons(False)

    # One event for both, so that there is one text at a time and one thing to stop.
    triggers = [view.run.click, view.tokens.submit]
    writes = gr.on(triggers, write, view.inputs(), outputs, concurrency_limit=None, **quiet)
    stopped = [view.notice, view.run, view.stop]
    view.stop.click(lambda: {view.notice: ""} | view.buttons(False), None, stopped, cancels=[writes], **quiet)
    preset_knobs = [view.knobs[knob.name] for knob in controls.PRESET_KNOBS]
    view.preset.input(controls.preset_values, view.preset, preset_knobs, **quiet)
    gr.on([slider.input for slider in preset_knobs], None, None, view.preset, js="() => null", **quiet)
    for shown_anew in (container.select, page.blocks.load):
        shown_anew(lambda name: _model_list(page.bench, name), view.model, view.model, **quiet)


def _write(page: Page, view: View, values: Updates, ids: Any | None) -> Iterator[Updates]:
    """Streams a text into the view: what the controls ask for, or a branch that begins with the tokens `ids`."""
    asked = view.branch(values, ids) if ids is not None else Shown(values[view.model], view.request(values))
    lines = TokenLines(asked.model, asked.request)
    start = {view.notice: "", view.tokens: lines.text(), view.figures: figures(), view.seed: asked.request.seed}
    yield start | view.buttons(True) | {view.shown: asked}
    spec = page.bench.spec_named(asked.model)
    yield from made_ready(page, view.notice, spec)
    yield from _written(page.bench, view, spec, asked.request, lines)


def _written(bench: Bench, view: View, spec: ModelSpec, request: Generate, lines: TokenLines) -> Iterator[Updates]:
    """The growing text and its figures."""
    with bench.manager.lease(spec) as model, closing(paced(model, request)) as snapshots:
        for snapshot in snapshots:
            yield {view.tokens: lines.text(snapshot), view.figures: figures(snapshot)}


def branched(request: Generate, sent: Any) -> Generate:
    """The request of a branch: the same again, beginning with the token ids that the browser sent.

    Beams can't be forced onto a path, so a branch of a beam search goes on with a single one.
    """
    ids = tuple(value for value in sent if isinstance(value, int)) if isinstance(sent, list) else ()
    length = max(request.max_new_tokens, len(ids) + _AFTER_BRANCH)
    return replace(request, forced=ids, num_beams=1, max_new_tokens=length)


def _model_list(bench: Bench, picked: str) -> Any:
    """The list of models as it is now, keeping what was picked while it is still there."""
    names = list(bench.specs())
    return gr.Dropdown(names, value=picked if picked in names else spec_name(bench.first_spec()))


TAB = Tab("Generate", build)
