"""The settings of the Answer tab, for each side; a single question and a file of questions share them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from workbench.loading.heads import HeadCard
from workbench.manager import SHIPPED, ModelSpec
from workbench.text.reading import SMALLEST_SETTINGS, trained_windows
from workbench.text.requests import SPAN_TEMPLATE, ExtractSpan
from workbench.ui.answer.answer_request import ANSWERS, THRESHOLD, THRESHOLD_BY_LIKELIHOOD, WINDOWS, worked_examples
from workbench.ui.bench import Bench, Page
from workbench.ui.components import QUIET, html
from workbench.ui.head_choice import LANGUAGE_MODEL, METHOD_WORDS, card_markup, fitting_heads, method_choices
from workbench.ui.sides.asking_sides import SideSettings, chosen_spec, connect_settings, side_settings
from workbench.ui.sides.sides import Side, Sides

Updates = dict[Any, Any]

_BARE = (
    "The language model itself: every possible answer is an exact piece of the passage, ranked by how likely the model "
    "finds it. It needs no training."
)
_SMALL = "A model as small as those that ship shows the mechanism only: a trained head answers better."


@dataclass(frozen=True)
class Ask:
    """A side's settings, which a single question and a file of questions share."""

    method: gr.Dropdown
    facts: gr.HTML
    threshold: gr.Slider
    knobs: dict[str, gr.Slider]
    template: gr.Textbox
    unanswerable: gr.Textbox
    shots: gr.Dataframe

    def inputs(self) -> set[Any]:
        """Everything that a question's settings are made of."""
        return {self.method, self.threshold, *self.knobs.values(), *self.prompt()}

    def prompt(self) -> tuple[Any, ...]:
        """What the language model alone is asked with."""
        return (self.template, self.unanswerable, self.shots)

    def picked(self) -> list[Any]:
        """What changes with the method."""
        return [self.method, self.facts, self.threshold, *(self.knobs[name] for name in SMALLEST_SETTINGS)]

    def named(self) -> dict[str, Any]:
        """The controls by their names in a link."""
        prompt = dict(zip(("template", "unanswerable", "shots"), self.prompt(), strict=True))
        return {"method": self.method, "threshold": self.threshold, **self.knobs, **prompt}

    def parts(self) -> list[Any]:
        """Everything that may change when a method is picked or another side's settings are copied."""
        return [self.method, self.facts, self.threshold, *self.knobs.values(), *self.prompt()]

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


def settings_column(sides: Sides, first: ModelSpec) -> SideSettings[Ask]:
    """Draws every side's settings, to be called where they should stand.

    Args:
        first: the model that the page serves first.
    """
    return side_settings(sides, lambda suffix: _ask(suffix, first))


def _ask(suffix: str, first: ModelSpec) -> Ask:
    method = gr.Dropdown(
        method_choices({}), value=LANGUAGE_MODEL, label="Method", info=METHOD_WORDS, elem_id=f"answer-method{suffix}"
    )
    facts = html(_method_facts(None, first), elem_id=f"answer-facts{suffix}")
    threshold = replace(THRESHOLD, info=THRESHOLD_BY_LIKELIHOOD).slider()
    knobs = {knob.name: knob.slider() for knob in ANSWERS}
    with gr.Accordion("Long passages", open=False):
        knobs |= {knob.name: knob.slider() for knob in WINDOWS}
    with gr.Accordion("Examples for the language model", open=False):
        info = "The model sees these before your question, worked out. Trained heads do without."
        html(f"<p class='keys'>{info}</p>")
        shots = gr.Dataframe(
            headers=["Passage", "Question", "Answer"], value=[["", "", ""]], type="array", datatype="str",
            column_count=3, wrap=True, interactive=True,
            label="Examples", show_label=False, elem_id=f"answer-shots{suffix}", buttons=[],
        )  # fmt: skip
        template = gr.Textbox(
            SPAN_TEMPLATE, label="Prompt", lines=3, info="{context} and {question} are put in; the answer follows."
        )
        unanswerable = gr.Textbox(ExtractSpan.unanswerable, label="Words for no answer", max_lines=1)
    return Ask(method, facts, threshold, knobs, template, unanswerable, shots)


def connect_lists(page: Page, container: gr.Tab, settings: SideSettings[Ask]) -> None:
    """Keeps each side's list of methods as its model has them; a picked head has its facts and its way of reading."""
    bench, sides = page.bench, page.sides.all

    def arrival(values: Updates) -> Updates:
        return of_all(values, lambda spec, method: method or _first_head(bench, spec), another_model=True)

    def lists(values: Updates) -> Updates:
        return of_all(values, lambda _, method: method, another_model=False)

    def of_all(values: Updates, picked: Callable[[ModelSpec, str], str], another_model: bool) -> Updates:
        updates: Updates = {}
        for side, ask in zip(sides, settings.each, strict=True):
            spec = chosen_spec(bench, side, values)
            updates |= _lists(bench, ask, spec, picked(spec, values[ask.method]), another_model)
        return updates

    every = page.sides.inputs() | {ask.method for ask in settings.each}
    outputs = [part for ask in settings.each for part in ask.picked()]
    page.address.waits_for(page.blocks.load(arrival, every, outputs, **QUIET))
    page.address.afterwards(lists, every, outputs)
    container.select(lists, every, outputs, **QUIET)
    for side, ask in zip(sides, settings.each, strict=True):
        _connect_method(page, side, ask)

    def taken(to: int, source: int, values: Updates, model: int) -> Updates:
        own, other = settings.each[to], settings.each[source]
        prompt = {mine: values[theirs] for mine, theirs in zip(own.prompt(), other.prompt(), strict=True)}
        knobs = {own.knobs[knob.name]: knob.moved(values[other.knobs[knob.name]]) for knob in (*ANSWERS, *WINDOWS)}
        spec = chosen_spec(bench, sides[model], values)
        listed = _lists(bench, own, spec, values[other.method], threshold=values[other.threshold])
        return listed | prompt | knobs

    connect_settings(page.sides, settings, taken)


def _connect_method(page: Page, side: Side, ask: Ask) -> None:
    """A side's methods are those of its model."""

    def other_model(values: Updates) -> Updates:
        spec = chosen_spec(page.bench, side, values)
        return _lists(page.bench, ask, spec, values[ask.method], another_model=True)

    def head(values: Updates) -> Updates:
        spec = chosen_spec(page.bench, side, values)
        card = fitting_heads(page.bench, spec, "answer").get(values[ask.method])
        return _told(ask, card, spec) | ask.read_as(card)

    inputs = page.sides.inputs() | {ask.method}
    side.model.change(other_model, inputs, ask.picked(), **QUIET)
    ask.method.input(head, inputs, ask.picked(), **QUIET)


def _lists(
    bench: Bench, ask: Ask, spec: ModelSpec, method: str, another_model: bool = False, threshold: float | None = None
) -> Updates:
    """The list of methods as the model has them now, keeping what was picked while it is still there.

    The sliders stay where somebody moved them, unless another head, or none, answers from now on.
    """
    cards = fitting_heads(bench, spec, "answer")
    card = cards.get(method)
    found: Updates = {
        ask.method: gr.Dropdown(_methods(cards), value=method if card else LANGUAGE_MODEL),
        **_told(ask, card, spec, threshold),
    }
    other_head = method and (card is None or another_model)
    return found | ask.read_as(card) if other_head else found


def _methods(cards: Mapping[str, HeadCard]) -> list[tuple[str, str]]:
    """The methods, trained heads first: they answer better than a small language model."""
    bare, *heads = method_choices(cards)
    return [*heads, bare]


def _first_head(bench: Bench, spec: ModelSpec) -> str:
    """What answers for a visitor who has picked nothing yet: a trained head where one fits the model."""
    return next(iter(fitting_heads(bench, spec, "answer")), LANGUAGE_MODEL)


def _told(ask: Ask, card: HeadCard | None, spec: ModelSpec, threshold: float | None = None) -> Updates:
    """What is said about a method, and about the threshold on the scale of its scores, which None leaves in place."""
    info = THRESHOLD_BY_LIKELIHOOD if card is None else THRESHOLD.info
    slider = gr.Slider(info=info) if threshold is None else gr.Slider(info=info, value=threshold)
    return {ask.facts: _method_facts(card, spec), ask.threshold: slider}


def _method_facts(card: HeadCard | None, spec: ModelSpec) -> str:
    if card is not None:
        return card_markup(card)
    words = f"{_BARE} {_SMALL}" if spec.checkpoint in SHIPPED else _BARE
    return f'<div class="method-facts"><p>{words}</p></div>'
