"""The settings of the Classify tab, for each side: the method, and what the language model is asked."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.evals.methods.head import MULTI_LABEL, REGRESSION
from workbench.loading.heads import HeadCard
from workbench.manager import ModelSpec
from workbench.ui.bench import Bench, Page
from workbench.ui.classify.class_examples import EXAMPLES, ClassExample
from workbench.ui.classify.class_methods import Asked, build_asked
from workbench.ui.components import QUIET, html
from workbench.ui.head_choice import LANGUAGE_MODEL, METHOD_WORDS, card_markup, fitting_heads, method_choices
from workbench.ui.parts import notice
from workbench.ui.sides.asking_sides import SideSettings, chosen_spec, connect_settings, side_settings
from workbench.ui.sides.sides import Side, Sides

Updates = dict[Any, Any]

NORMALIZATIONS = (
    ("None: the whole label's probability", "none"),
    ("Per character", "characters"),
    ("Per byte", "bytes"),
    ("Per token", "tokens"),
    ("PMI: against the label without the text", "pmi"),
)
CALIBRATIONS = (("None", "none"), ("Contextual", "contextual"), ("Domain", "domain"))
OWN_HEAD = "own"
"""The key of the head of a checkpoint that is a classifier itself: it has no language model to ask."""

_CALIBRATION_INFO = (
    "Divides out what the model prefers anyway: measured on empty inputs (contextual), or on random words of your "
    "texts (domain)."
)
_BARE = (
    '<div class="method-facts"><p>The language model itself: each label is scored as the continuation of the '
    "template. It needs no training.</p></div>"
)
_REGRESSION = notice("plain", "This head gives a number", "It was trained for regression and has no classes.")


@dataclass(frozen=True)
class Form:
    """A side's settings, which one text and many texts share."""

    method: gr.Dropdown
    facts: gr.HTML
    threshold: gr.Slider
    prompting: gr.Column
    """What only the language model needs; hidden for a trained head."""
    labels: gr.Textbox
    template: gr.Textbox
    shots: gr.Dataframe
    normalization: gr.Dropdown
    premise: gr.Textbox
    calibration: gr.Radio

    def inputs(self) -> set[Any]:
        """Everything that a way of classifying is made of."""
        return {self.method, self.threshold, *self.prompt()}

    def prompt(self) -> tuple[Any, ...]:
        """What the language model is asked with."""
        return (self.labels, self.template, self.shots, self.normalization, self.premise, self.calibration)

    def picked(self) -> list[Any]:
        """What changes with the method."""
        return [self.method, self.facts, self.prompting, self.threshold]

    def parts(self) -> list[Any]:
        """Everything that may change when a method is picked, an example fills it, or another side's is copied."""
        return [*self.picked(), *self.prompt()]

    def named(self) -> dict[str, Any]:
        """The controls by their names in a link."""
        names = ("labels", "template", "shots", "normalization", "premise", "calibration")
        return {"method": self.method, "threshold": self.threshold, **dict(zip(names, self.prompt(), strict=True))}

    def asked(self, values: Updates) -> Asked:
        """The way of classifying that the controls ask for.

        Raises:
            BadRequest: a value out of its range.
        """
        head = values[self.method] or None
        if head is not None:
            return Asked(head=head, threshold=values[self.threshold])
        settings = {
            "shots": values[self.shots] or (),
            "normalization": values[self.normalization],
            "domain_premise": values[self.premise] or None,
            "calibration": values[self.calibration],
        }
        return build_asked(None, values[self.labels] or "", values[self.template] or "", settings)

    def filled(self, example: ClassExample) -> Updates:
        """The controls as an example has them."""
        return {
            self.method: LANGUAGE_MODEL,
            self.labels: example.labels,
            self.template: example.template,
            self.shots: shot_rows(example),
            self.normalization: example.normalization,
            self.premise: "",
            self.calibration: example.calibration,
            **self.shown_for(None),
        }

    def shown_for(self, card: HeadCard | None, threshold: float | None = None) -> Updates:
        """Which controls there are for a method: a trained head's, or the language model's.

        Args:
            threshold: None leaves the slider where it is.
        """
        multi_label = card is not None and card.problem == MULTI_LABEL
        facts = _BARE if card is None else card_markup(card)
        if card is not None and card.problem == REGRESSION:
            facts += _REGRESSION
        return {
            self.facts: facts,
            self.prompting: gr.Column(visible=card is None),
            self.threshold: _moved(multi_label, threshold),
        }


def _moved(visible: bool, threshold: float | None) -> Any:
    return gr.Slider(visible=visible) if threshold is None else gr.Slider(value=threshold, visible=visible)


def shot_rows(example: ClassExample) -> list[list[str]]:
    """The rows of the table of worked examples; an empty one where there are none."""
    return [list(shot) for shot in example.shots] or [["", ""]]


def settings_column(sides: Sides) -> SideSettings[Form]:
    """Draws every side's settings, to be called where they should stand."""
    return side_settings(sides, _form)


def _form(suffix: str) -> Form:
    method = gr.Dropdown(
        method_choices({}), value=LANGUAGE_MODEL, label="Method", info=METHOD_WORDS, elem_id=f"class-method{suffix}"
    )
    facts = html(_BARE, elem_id=f"class-facts{suffix}")
    threshold = gr.Slider(
        0.0, 1.0, 0.5, step=0.01, label="Label threshold", visible=False,
        info="A text has every label whose probability reaches this.",
    )  # fmt: skip
    with gr.Column(elem_classes="prompting") as prompting:
        prompt = _prompt_controls(EXAMPLES[0], suffix)
    return Form(method, facts, threshold, prompting, **prompt)


def _prompt_controls(first: ClassExample, suffix: str) -> dict[str, Any]:
    labels = gr.Textbox(
        first.labels, label="Labels", lines=2, max_lines=8, elem_id=f"class-labels{suffix}",
        info="Separated by commas, or one a line.",
    )  # fmt: skip
    template = gr.Textbox(
        first.template, label="Template", lines=2, max_lines=6, elem_id=f"class-template{suffix}",
        info="{text} is put in; each label is scored as what comes next.",
    )  # fmt: skip
    calibration = gr.Radio(
        list(CALIBRATIONS), value=first.calibration, label="Calibration", info=_CALIBRATION_INFO,
        elem_id=f"calibration{suffix}",
    )  # fmt: skip
    normalization = gr.Dropdown(list(NORMALIZATIONS), value=first.normalization, label="Normalisation")
    premise = gr.Textbox(
        "", label="PMI: what stands without the text", max_lines=2, info="Empty: the template after {text}.",
        visible=False,
    )  # fmt: skip
    with gr.Accordion("Worked examples (few-shot)", open=True):
        note = "The model sees these first. Empty rows are left out; an empty table asks zero-shot."
        html(f"<p class='keys'>{note}</p>")
        shots = gr.Dataframe(
            shot_rows(first), headers=["Text", "Label"], type="array", datatype="str", column_count=2, wrap=True,
            column_widths=["70%", "30%"], interactive=True, max_height=260, label="Worked examples", show_label=False,
            elem_id=f"class-shots{suffix}", buttons=[],
        )  # fmt: skip
    return {
        "labels": labels, "template": template, "shots": shots,
        "normalization": normalization, "premise": premise, "calibration": calibration,
    }  # fmt: skip


def connect_forms(page: Page, container: gr.Tab, settings: SideSettings[Form]) -> None:
    """Keeps each side's list of methods as its model has them, and shows what the picked method needs."""
    bench, sides = page.bench, page.sides.all

    def all_lists(values: Updates) -> Updates:
        updates: Updates = {}
        for side, form in zip(sides, settings.each, strict=True):
            updates |= _lists(bench, form, chosen_spec(bench, side, values), values[form.method])
        return updates

    every = page.sides.inputs() | {form.method for form in settings.each}
    outputs = [part for form in settings.each for part in form.picked()]
    container.select(all_lists, every, outputs, **QUIET)
    page.address.waits_for(page.blocks.load(all_lists, every, outputs, **QUIET))
    page.address.afterwards(all_lists, every, outputs)
    for side, form in zip(sides, settings.each, strict=True):

        def lists(values: Updates, side: Side = side, form: Form = form) -> Updates:
            return _lists(bench, form, chosen_spec(bench, side, values), values[form.method])

        for changed in (side.model.change, form.method.input):
            changed(lists, page.sides.inputs() | {form.method}, form.picked(), **QUIET)
        form.normalization.change(
            lambda name: gr.Textbox(visible=name == "pmi"), form.normalization, form.premise, **QUIET
        )

    def taken(to: int, source: int, values: Updates, model: int) -> Updates:
        own, other = settings.each[to], settings.each[source]
        prompt = {mine: values[theirs] for mine, theirs in zip(own.prompt(), other.prompt(), strict=True)}
        spec = chosen_spec(bench, sides[model], values)
        return prompt | _lists(bench, own, spec, values[other.method], values[other.threshold])

    connect_settings(page.sides, settings, taken)


def _lists(bench: Bench, form: Form, spec: ModelSpec, method: str, threshold: float | None = None) -> Updates:
    """The list of methods as the model has them now, keeping what was picked while it is still there."""
    cards = fitting_heads(bench, spec, "classify")
    own = next((value for value, card in cards.items() if card.key == OWN_HEAD), None)
    if method not in cards:
        method = own or LANGUAGE_MODEL
    choices = [choice for choice in method_choices(cards) if own is None or choice[1]]
    return {form.method: gr.Dropdown(choices, value=method), **form.shown_for(cards.get(method), threshold)}
