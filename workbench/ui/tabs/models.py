"""The Models tab: what is loaded, what another model would need, loading and unloading."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.loading.precision import precisions
from workbench.manager import LoadedModel
from workbench.ui.bench import Bench, Page, Tab, asked_spec, spec_name
from workbench.ui.endpoints import plan_endpoint
from workbench.ui.memory_view import cards_markup, plan_markup
from workbench.ui.parts import notice, told
from workbench.ui.status import load_bar, ready_line
from workbench.ui.streams import load_steps

Updates = dict[Any, Any]

DEVICES = (
    ("Best here", ""),
    ("Spread over all devices (auto)", "auto"),
    ("Processor (cpu)", "cpu"),
    ("First GPU (cuda:0)", "cuda:0"),
)
"""What the device list offers; anything else that a device map may be can be typed."""

_UNLOAD = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("button.unload");
  if (button) trigger("drop", { name: button.dataset.name });
});
"""


@dataclass(frozen=True)
class View:
    """The components of the tab that its events read and write."""

    cards: gr.HTML
    checkpoint: gr.Dropdown
    revision: gr.Textbox
    precision: gr.Dropdown
    device: gr.Dropdown
    streams: gr.Slider
    context: gr.Number
    plan: gr.Button
    load: gr.Button
    message: gr.HTML

    def inputs(self) -> list[Any]:
        """What a plan is made from, in the order of `planned`."""
        return [self.checkpoint, self.revision, self.precision, self.device, self.streams, self.context]


def build(page: Page, container: gr.Tab) -> None:
    """Fills the tab."""
    gr.HTML("<h2 class='section'>Loaded</h2>", js_on_load=None, apply_default_css=False)
    markup = cards_markup(page.bench.manager.loaded())
    cards = gr.HTML(markup, js_on_load=_UNLOAD, apply_default_css=False, elem_id="loaded-models")
    gr.HTML("<h2 class='section'>Load another</h2>", js_on_load=None, apply_default_css=False)
    with gr.Row(elem_classes="workspace"):
        with gr.Column(scale=5, min_width=320):
            form = _form(page.bench)
        with gr.Column(scale=6, min_width=320):
            hint = notice("plain", "Plan first", "The plan shows what a model needs before anything is loaded.")
            message = gr.HTML(hint, js_on_load=None, apply_default_css=False, elem_id="plan")
    _connect(page, container, View(cards=cards, message=message, **form))
    plan_endpoint(page.bench)


def _form(bench: Bench) -> dict[str, Any]:
    checkpoint = gr.Dropdown(
        list(bench.manager.known()),
        value=bench.settings.model,
        label="Checkpoint",
        allow_custom_value=True,
        info="A name on the list, a folder on this machine, or a Hub id such as EleutherAI/gpt-j-6b.",
        elem_id="checkpoint",
    )
    choices = [("As stored", ""), *((name, name) for name in precisions())]
    with gr.Row():
        precision = gr.Dropdown(choices, value=bench.settings.precision or "", label="Precision", min_width=140)
        device = gr.Dropdown(list(DEVICES), value="", label="Device", allow_custom_value=True, min_width=140)
    with gr.Row():
        streams = gr.Slider(1, bench.settings.max_streams, 1, step=1, label="Streams", info="Texts written at once.")
        context = gr.Number(0, precision=0, minimum=0, label="Context", info="Tokens a stream; 0 is the model's own.")
    with gr.Accordion("Revision", open=False):
        revision = gr.Textbox(label="Revision", info="A branch, tag or commit on the Hub; empty is its main branch.")
    with gr.Row(elem_classes="actions"):
        plan = gr.Button("Plan", elem_id="plan-button", elem_classes="key-run")
        load = gr.Button("Load", variant="primary", elem_id="load-button")
    asked = {"checkpoint": checkpoint, "revision": revision, "precision": precision, "device": device}
    return asked | {"streams": streams, "context": context, "plan": plan, "load": load}


def _connect(page: Page, container: gr.Tab, view: View) -> None:
    """The tab's events: plan, load, unload, and the list as it is when the tab is opened."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    bench = page.bench

    def show_plan(*values: Any) -> Iterator[Updates]:
        yield from told(planned(bench, view, *values), view.message, "There is no plan for this model")

    def load(*values: Any) -> Iterator[Updates]:
        yield from told(loading(page, view, *values), view.message, "The model was not loaded")
        yield {view.load: gr.Button(interactive=True)} | _fresh(page, view)

    def drop(event: gr.EventData) -> Iterator[Updates]:
        yield from told(unloaded(bench, view, str(event.name)), view.message, "The model was not unloaded")
        yield _fresh(page, view)

    gr.on(
        [view.plan.click, view.precision.input, view.streams.release], show_plan, view.inputs(), [view.message], **quiet
    )
    form = [view.checkpoint, view.revision, view.precision, view.device]
    changed = [view.message, view.cards, view.load, page.status]
    view.load.click(load, form, changed, concurrency_limit=None, **quiet)
    view.cards.drop(drop, None, changed, **quiet)
    container.select(lambda: cards_markup(bench.manager.loaded()), None, view.cards, **quiet)


def planned(bench: Bench, view: View, *values: Any) -> Iterator[Updates]:
    """The plan of what the form asks for; `values` come in the order of `View.inputs`."""
    *asked, streams, context = values
    spec = asked_spec(*asked)
    plan = bench.manager.plan(spec, int(streams), int(context or 0) or None)
    yield {view.message: plan_markup(spec.checkpoint, plan)}


def loading(page: Page, view: View, *values: Any) -> Iterator[Updates]:
    """Loads with a bar that moves tensor by tensor; a failed load leaves what was loaded."""
    spec = asked_spec(*values)
    yield {view.load: gr.Button(interactive=False)}
    for step in load_steps(page.bench.manager, spec):
        if not isinstance(step, LoadedModel):
            yield {view.message: load_bar(spec, step)}
    yield {
        view.message: notice("good", f"{spec_name(spec)} is loaded", "It is on the Generate tab's list of models now.")
    }


def unloaded(bench: Bench, view: View, name: str) -> Iterator[Updates]:
    """Unloads the model of a card."""
    bench.manager.unload(bench.spec_named(name))
    yield {view.message: notice("good", f"{name} is unloaded", "Its memory is free again.")}


def _fresh(page: Page, view: View) -> Updates:
    return {view.cards: cards_markup(page.bench.manager.loaded()), page.status: ready_line(page.bench)}


TAB = Tab("Models", build)
