"""The settings of the Answer tab, shared by a single question and a file of questions."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.loading.heads import HeadCard
from workbench.text.requests import SPAN_TEMPLATE, ExtractSpan
from workbench.ui.answer_request import ANSWERS, THRESHOLD, WINDOWS, worked_examples
from workbench.ui.bench import Bench, Page, spec_name
from workbench.ui.head_choice import LANGUAGE_MODEL, card_markup, fitting_heads, method_choices

Updates = dict[Any, Any]

_BARE = (
    '<div class="method-facts"><p>The language model itself: every possible answer is an exact piece of the passage, '
    "ranked by how likely the model finds it. It needs no training.</p></div>"
)


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
    method = gr.Dropdown(method_choices([]), value=LANGUAGE_MODEL, label="Method", elem_id="answer-method")
    facts = gr.HTML(_BARE, js_on_load=None, apply_default_css=False)
    threshold = THRESHOLD.slider()
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
    """Keeps the lists of models and heads as they are now, and a picked head's facts beside it."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    def lists(model: str, method: str) -> Updates:
        return _lists(page.bench, ask, model, method)

    def facts(model: str, method: str) -> Updates:
        return _facts(page.bench, ask, model, method)

    picked, listed = [ask.model, ask.method], [ask.model, ask.method, ask.facts]
    for shown_anew in (container.select, page.blocks.load, ask.model.input):
        shown_anew(lists, picked, listed, **quiet)
    ask.method.input(facts, picked, ask.facts, **quiet)


def _lists(bench: Bench, ask: Ask, model: str, method: str) -> Updates:
    """The lists of models and methods as they are now, keeping what was picked while it is still there."""
    specs = bench.specs()
    model = model if model in specs else spec_name(bench.first_spec())
    cards = {card.name: card for card in fitting_heads(bench, specs[model], "answer")}
    method = method if method in cards else LANGUAGE_MODEL
    return {
        ask.model: gr.Dropdown(list(specs), value=model),
        ask.method: gr.Dropdown(method_choices(list(cards.values())), value=method),
        ask.facts: _method_facts(cards.get(method)),
    }


def _facts(bench: Bench, ask: Ask, model: str, method: str) -> Updates:
    cards = {card.name: card for card in fitting_heads(bench, bench.spec_named(model), "answer")}
    return {ask.facts: _method_facts(cards.get(method))}


def _method_facts(card: HeadCard | None) -> str:
    return _BARE if card is None else card_markup(card)
