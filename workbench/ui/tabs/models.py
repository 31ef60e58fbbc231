"""The Models tab: what is loaded and how fast it is, what another model would need, loading and unloading."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.errors import BadRequest
from workbench.kernels.compiled import Kernels, kernels
from workbench.loading.precision import precisions
from workbench.manager import LoadedModel, ModelSpec
from workbench.speed import MEASURED, computes_on_cpu, far_below_limit, limits_text, speed_of, wrote_alone
from workbench.ui.bench import Bench, Page, Tab, asked_spec, spec_name
from workbench.ui.components import QUIET, html
from workbench.ui.generate.endpoints import plan_endpoint
from workbench.ui.generate.streams import load_steps, paced
from workbench.ui.models.memory_view import cards_markup, plan_markup
from workbench.ui.models.model_endpoints import model_endpoints
from workbench.ui.models.speed_view import machine_markup, measuring_markup, plan_limits, speed_markup, waiting_markup
from workbench.ui.parts import notice, told
from workbench.ui.status import load_bar, ready_line

Updates = dict[Any, Any]

DEVICES = (
    ("Best here", ""),
    ("Spread over all devices (auto)", "auto"),
    ("Processor (cpu)", "cpu"),
    ("First GPU (cuda:0)", "cuda:0"),
)
"""What the device list offers; anything else that a device map may be can be typed."""
_ANY_CHECKPOINT = (
    "A name on the list, a folder on this machine, a Hub id such as EleutherAI/gpt-j-6b, or a model on another server: "
    "http://host:8000/v1#model."
)

_PRESSED = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.matches(".unload")) trigger("drop", { name: button.dataset.name });
  if (button.matches(".measure")) trigger("measure", { name: button.dataset.name });
  if (button.matches(".halt")) trigger("halt");
});
"""
WAIT_SECONDS = 0.25
SHOWN_SECONDS = 0.5
"""Between two looks at a measurement: drawing the page takes time from the cores that are measured."""


@dataclass(frozen=True)
class View:
    """The components of the tab that its events read and write."""

    cards: gr.HTML
    machine: gr.HTML
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
    plan_endpoint(page.bench)
    model_endpoints(page.bench)
    html("<h2 class='section'>Loaded</h2>")
    cards = gr.HTML(_cards(page.bench), js_on_load=_PRESSED, apply_default_css=False, elem_id="loaded-models")
    machine = html(_machine(page.bench), elem_id="machine-speed")
    html("<h2 class='section'>Load another</h2>")
    with gr.Row(elem_classes="workspace"):
        with gr.Column(scale=5, min_width=320):
            form = _form(page.bench)
        with gr.Column(scale=6, min_width=320):
            hint = notice("plain", "Plan first", "The plan shows what a model needs before anything is loaded.")
            message = html(hint, elem_id="plan")
    _connect(page, container, View(cards=cards, machine=machine, message=message, **form))


def _form(bench: Bench) -> dict[str, Any]:
    local = bench.settings.serves_locally
    names = list(dict.fromkeys(spec.checkpoint for spec in bench.specs().values()))
    checkpoint = gr.Dropdown(
        names, value=bench.settings.model, label="Checkpoint", allow_custom_value=local,
        info=_ANY_CHECKPOINT if local else "What this page offers to all who visit it.", elem_id="checkpoint",
    )  # fmt: skip
    choices = [("As stored", ""), *((name, name) for name in precisions())]
    with gr.Row():
        precision = gr.Dropdown(choices, value=bench.settings.precision or "", label="Precision", min_width=140)
        device = gr.Dropdown(list(DEVICES), value="", label="Device", allow_custom_value=True, min_width=140,
                             visible=local)  # fmt: skip
    with gr.Row():
        streams = gr.Slider(1, bench.settings.max_streams, 1, step=1, label="Streams", info="Texts written at once.")
        context = gr.Number(0, precision=0, minimum=0, label="Context", info="Tokens a stream; 0 is the model's own.")
    with gr.Accordion("Revision", open=False, visible=local):
        revision = gr.Textbox(label="Revision", info="A branch, tag or commit on the Hub; empty is its main branch.")
    with gr.Row(elem_classes="actions"):
        plan = gr.Button("Plan", elem_id="plan-button", elem_classes="key-run")
        load = gr.Button("Load", variant="primary", elem_id="load-button")
    asked = {"checkpoint": checkpoint, "revision": revision, "precision": precision, "device": device}
    return asked | {"streams": streams, "context": context, "plan": plan, "load": load}


def _connect(page: Page, container: gr.Tab, view: View) -> None:
    """The tab's events: plan, load, unload, measure, and the tab as it is when it is opened."""
    bench = page.bench

    def show_plan(*values: Any) -> Iterator[Updates]:
        yield from told(planned(bench, view, *values), view.message, "There is no plan for this model")

    def load(*values: Any) -> Iterator[Updates]:
        yield from told(loading(page, view, *values), view.message, "The model was not loaded")
        yield {view.load: gr.Button(interactive=True)} | _fresh(page, view)
        bench.memory_speed.measured()
        yield _shown(bench, view)

    def drop(event: gr.EventData) -> Iterator[Updates]:
        yield from told(unloaded(bench, view, str(event.name)), view.message, "The model was not unloaded")
        yield _fresh(page, view)

    def measure(event: gr.EventData) -> Iterator[Updates]:
        yield from told(measuring(bench, view, str(event.name)), view.message, "The speed was not measured")
        yield _fresh(page, view)

    def show() -> Iterator[Updates]:
        yield from opened(bench, view)

    gr.on(
        [view.plan.click, view.precision.input, view.streams.release], show_plan, view.inputs(), [view.message], **QUIET
    )
    form = [view.checkpoint, view.revision, view.precision, view.device]
    shown = [view.cards, view.machine]
    changed = [view.message, view.load, page.status, *shown]
    view.load.click(load, form, changed, concurrency_limit=None, **QUIET)
    view.cards.drop(drop, None, changed, **QUIET)
    measures = view.cards.measure(measure, None, changed, concurrency_limit=None, **QUIET)
    view.cards.halt(lambda: _fresh(page, view), None, changed, cancels=[measures], **QUIET)
    container.select(show, None, shown, concurrency_limit=None, **QUIET)


def opened(bench: Bench, view: View) -> Iterator[Updates]:
    """What is loaded, at once, and then with the machine's speed, measured anew."""
    yield _shown(bench, view)
    bench.memory_speed.measured()
    yield _shown(bench, view)


def planned(bench: Bench, view: View, *values: Any) -> Iterator[Updates]:
    """The plan of what the form asks for; `values` come in the order of `View.inputs`."""
    *asked, streams, context = values
    spec = asked_spec(*asked)
    plan = bench.manager.plan(spec, int(streams), int(context or 0) or None)
    if not plan.parameters:
        yield {view.message: notice("good", f"{spec_name(spec)} needs nothing here", plan.advice)}
        return
    limits = plan_limits(plan.read_bytes_per_token, bench.memory_speed.measured()) if computes_on_cpu(spec) else {}
    slow = far_below_limit(kernels()) if limits else ()
    yield {view.message: plan_markup(spec.checkpoint, plan, limits, slow)}


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
    _check_local(bench, "Models are unloaded")
    bench.manager.unload(bench.spec_named(name))
    yield {view.message: notice("good", f"{name} is unloaded", "Its memory is free again.")}


def measuring(bench: Bench, view: View, name: str) -> Iterator[Updates]:
    """Writes a few tokens once nobody else computes; the engine's record has the figure then."""
    _check_local(bench, "Speeds are measured")
    spec = bench.spec_named(name)
    yield from _waiting(bench, view, spec)
    bench.memory_speed.measured()
    yield from _waiting(bench, view, spec)  # another visitor may have begun in the meantime
    record = bench.manager.paces().get(spec)
    if record is None:
        raise BadRequest(f"{name} is not loaded any more. Load it again to measure it.")
    before = record.lone_steps
    yield from _written(bench, view, spec)
    if not wrote_alone(record, before):
        raise BadRequest("Somebody else wrote meanwhile: measure again.")


def _check_local(bench: Bench, what: str) -> None:
    if not bench.settings.serves_locally:
        raise BadRequest(f"Others use this page too. {what} only where the workbench serves its own machine alone.")


def _waiting(bench: Bench, view: View, spec: ModelSpec) -> Iterator[Updates]:
    """Waits until nobody else computes."""
    while not bench.is_quiet():
        yield {view.cards: _cards(bench, {spec: waiting_markup()})}
        time.sleep(WAIT_SECONDS)


def _written(bench: Bench, view: View, spec: ModelSpec) -> Iterator[Updates]:
    """The measured text while it is written."""
    due = 0.0
    with bench.manager.lease(spec) as model, closing(paced(model, MEASURED)) as snapshots:
        for snapshot in snapshots:
            if time.monotonic() < due:
                continue
            due = time.monotonic() + SHOWN_SECONDS
            done = measuring_markup(snapshot.completion_tokens, MEASURED.max_new_tokens)
            yield {view.cards: _cards(bench, {spec: done})}


def _fresh(page: Page, view: View) -> Updates:
    return _shown(page.bench, view) | {page.status: ready_line(page.bench)}


def _shown(bench: Bench, view: View) -> Updates:
    return {view.cards: _cards(bench), view.machine: _machine(bench)}


def _cards(bench: Bench, under_way: Mapping[ModelSpec, str] | None = None) -> str:
    """The loaded models with their speeds; `under_way` has markup of measurements that are being made."""
    models, records = bench.manager.loaded(), bench.manager.paces()
    speeds = {model.spec: speed_of(model, records.get(model.spec), bench.memory_speed.last) for model in models}
    made = under_way or {}
    pieces = {
        model.spec: speed_markup(model, speed, made.get(model.spec, ""), _kernels(bench))
        for model in models
        if (speed := speeds[model.spec])
    }
    return cards_markup(models, pieces, keys=bench.settings.serves_locally)


def _machine(bench: Bench) -> str:
    """What the machine reads, and with which kernels."""
    speed = bench.memory_speed
    return machine_markup(speed.last, speed.threads, _kernels(bench), limits_text())


def _kernels(bench: Bench) -> Kernels | None:
    """What computes here, once it has been built: with the first probe at the latest."""
    return None if bench.memory_speed.last is None else kernels()


TAB = Tab("Models", build)
