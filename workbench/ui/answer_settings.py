"""The settings of the Answer tab, shared by a single question and a file of questions."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from workbench.loading.heads import HeadCard
from workbench.manager import ModelSpec
from workbench.text.reading import SMALLEST_SETTINGS, trained_windows
from workbench.text.requests import SPAN_TEMPLATE, ExtractSpan
from workbench.ui.answer_request import ANSWERS, THRESHOLD, THRESHOLD_BY_LIKELIHOOD, WINDOWS, worked_examples
from workbench.ui.bench import Bench, Page, spec_name
from workbench.ui.head_choice import LANGUAGE_MODEL, card_markup, fitting_heads, method_choices

Updates = dict[Any, Any]

_BARE = (
    "The language model itself: every possible answer is an exact piece of the passage, ranked by how likely the model "
    "finds it. It needs no training."
)
_DEMO = "demo"
_SMALL = "A model as small as the demo shows the mechanism only: a trained head answers better."


@dataclass(frozen=True)
class Ask:
    """The settings that a single question and a file of questions share."""

    model: gr.Dropdown
    method: gr.Dropdown
    facts: gr.HTML
    threshold: gr.Slider
    knobs: dict[str, gr.Slider]
    template: gr.Textbox
    unanswerable: gr.Textbox
    shots: gr.Dataframe

    def inputs(self) -> set[Any]:
        """Everything that a question's settings are made of."""
        others = (self.model, self.method, self.threshold, self.template, self.unanswerable, self.shots)
        return {*others, *self.knobs.values()}

    def read_as(self, card: HeadCard | None) -> Updates:
        """The sliders as the head was trained to read a passage, or as they were at first."""
        trained = {} if card is None else trained_windows(card)
        return {
            self.knobs[knob.name]: knob.moved(trained.get(knob.name, knob.default))
            for knob in (*ANSWERS, *WINDOWS)
            if knob.name in SMALLEST_SETTINGS
        }

    def settings(self, values: Updates) -> dict[str, Any]:
        """The settings by their names in ExtractSpan; the examples are for the language model alone."""
        named: dict[str, Any] = {name: values[slider] for name, slider in self.knobs.items()}
        if values[self.method]:
            return named
        prompt = {"template": values[self.template] or "", "unanswerable": values[self.unanswerable] or ""}
        return named | prompt | {"shots": worked_examples(values[self.shots] or ())}


def settings_column(bench: Bench) -> Ask:
    """Draws the settings, to be called where they should stand."""
    names = list(bench.specs())
    model = gr.Dropdown(names, value=names[0], label="Model", elem_id="answer-model", info="More on the Models tab.")
    method = gr.Dropdown(method_choices({}), value=LANGUAGE_MODEL, label="Method", elem_id="answer-method")
    facts = gr.HTML(_method_facts(None, bench.first_spec()), js_on_load=None, apply_default_css=False)
    threshold = replace(THRESHOLD, info=THRESHOLD_BY_LIKELIHOOD).slider()
    knobs = {knob.name: knob.slider() for knob in ANSWERS}
    with gr.Accordion("Long passages", open=False):
        knobs |= {knob.name: knob.slider() for knob in WINDOWS}
    with gr.Accordion("Examples for the language model", open=False):
        info = "The model sees these before your question, worked out. Trained heads do without."
        gr.HTML(f"<p class='keys'>{info}</p>", js_on_load=None, apply_default_css=False)
        shots = gr.Dataframe(
            headers=["Passage", "Question", "Answer"], value=[["", "", ""]], type="array", datatype="str",
            column_count=3, wrap=True, interactive=True,
            label="Examples", show_label=False, elem_id="answer-shots", buttons=[],
        )  # fmt: skip
        template = gr.Textbox(
            SPAN_TEMPLATE, label="Prompt", lines=3, info="{context} and {question} are put in; the answer follows."
        )
        unanswerable = gr.Textbox(ExtractSpan.unanswerable, label="Words for no answer", max_lines=1)
    return Ask(model, method, facts, threshold, knobs, template, unanswerable, shots)


def connect_lists(page: Page, container: gr.Tab, ask: Ask) -> None:
    """Keeps the lists of models and heads as they are now; a picked head has its facts and its own way of reading."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    def lists(model: str, method: str) -> Updates:
        return _lists(page.bench, ask, model, method)

    def arrival(model: str, method: str) -> Updates:
        return _lists(page.bench, ask, model, method or _first_head(page.bench, model), another_model=True)

    def other_model(model: str, method: str) -> Updates:
        return _lists(page.bench, ask, model, method, another_model=True)

    def head(model: str, method: str) -> Updates:
        spec = page.bench.spec_named(model)
        card = fitting_heads(page.bench, spec, "answer").get(method)
        return _told(ask, card, spec) | ask.read_as(card)

    picked, read = [ask.model, ask.method], [ask.facts, ask.threshold, *(ask.knobs[name] for name in SMALLEST_SETTINGS)]
    page.blocks.load(arrival, picked, [*picked, *read], **quiet)
    container.select(lists, picked, [*picked, *read], **quiet)
    ask.model.input(other_model, picked, [*picked, *read], **quiet)
    ask.method.input(head, picked, read, **quiet)


def _lists(bench: Bench, ask: Ask, model: str, method: str, another_model: bool = False) -> Updates:
    """The lists of models and methods as they are now, keeping what was picked while it is still there.

    The sliders stay where somebody moved them, unless another head, or none, answers from now on.
    """
    specs = bench.specs()
    model = model if model in specs else spec_name(bench.first_spec())
    cards = fitting_heads(bench, specs[model], "answer")
    card = cards.get(method)
    found: Updates = {
        ask.model: gr.Dropdown(list(specs), value=model),
        ask.method: gr.Dropdown(_methods(cards), value=method if card else LANGUAGE_MODEL),
        **_told(ask, card, specs[model]),
    }
    other_head = method and (card is None or another_model)
    return found | ask.read_as(card) if other_head else found


def _methods(cards: Mapping[str, HeadCard]) -> list[tuple[str, str]]:
    """The methods, trained heads first: they answer better than a small language model."""
    bare, *heads = method_choices(cards)
    return [*heads, bare]


def _first_head(bench: Bench, model: str) -> str:
    """What answers for a visitor who has picked nothing yet: a trained head where one fits the model."""
    spec = bench.specs().get(model, bench.first_spec())
    return next(iter(fitting_heads(bench, spec, "answer")), LANGUAGE_MODEL)


def _told(ask: Ask, card: HeadCard | None, spec: ModelSpec) -> Updates:
    """What is said about a method, and about the threshold on the scale of its scores."""
    info = THRESHOLD_BY_LIKELIHOOD if card is None else THRESHOLD.info
    return {ask.facts: _method_facts(card, spec), ask.threshold: gr.Slider(info=info)}


def _method_facts(card: HeadCard | None, spec: ModelSpec) -> str:
    if card is not None:
        return card_markup(card)
    words = f"{_BARE} {_SMALL}" if spec.checkpoint == _DEMO else _BARE
    return f'<div class="method-facts"><p>{words}</p></div>'
