"""The settings of the Classify tab: the model, the method, and what the language model is asked."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.evals.methods.head import MULTI_LABEL, REGRESSION
from workbench.loading.heads import HeadCard
from workbench.ui.bench import Bench, Page, spec_name
from workbench.ui.class_examples import EXAMPLES, ClassExample
from workbench.ui.class_methods import Asked, build_asked
from workbench.ui.head_choice import LANGUAGE_MODEL, card_markup, fitting_heads, method_choices
from workbench.ui.parts import notice

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
    """The settings that one text and many texts share."""

    model: gr.Dropdown
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
        prompt = (self.labels, self.template, self.shots, self.normalization, self.premise, self.calibration)
        return {self.model, self.method, self.threshold, *prompt}

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

    def shown_for(self, card: HeadCard | None) -> Updates:
        """Which controls there are for a method: a trained head's, or the language model's."""
        multi_label = card is not None and card.problem == MULTI_LABEL
        facts = _BARE if card is None else card_markup(card)
        if card is not None and card.problem == REGRESSION:
            facts += _REGRESSION
        return {
            self.facts: facts,
            self.prompting: gr.Column(visible=card is None),
            self.threshold: gr.Slider(visible=multi_label),
        }


def shot_rows(example: ClassExample) -> list[list[str]]:
    """The rows of the table of worked examples; an empty one where there are none."""
    return [list(shot) for shot in example.shots] or [["", ""]]


def settings_column(bench: Bench) -> Form:
    """Draws the settings, to be called where they should stand."""
    names = list(bench.specs())
    model = gr.Dropdown(names, value=names[0], label="Model", elem_id="class-model", info="More on the Models tab.")
    method = gr.Dropdown(method_choices({}), value=LANGUAGE_MODEL, label="Method", elem_id="class-method")
    facts = gr.HTML(_BARE, js_on_load=None, apply_default_css=False, elem_id="class-facts")
    threshold = gr.Slider(
        0.0, 1.0, 0.5, step=0.01, label="Label threshold", visible=False,
        info="A text has every label whose probability reaches this.",
    )  # fmt: skip
    with gr.Column(elem_classes="prompting") as prompting:
        prompt = _prompt_controls(EXAMPLES[0])
    return Form(model, method, facts, threshold, prompting, **prompt)


def _prompt_controls(first: ClassExample) -> dict[str, Any]:
    labels = gr.Textbox(
        first.labels, label="Labels", lines=2, max_lines=8, elem_id="class-labels",
        info="Separated by commas, or one a line.",
    )  # fmt: skip
    template = gr.Textbox(
        first.template, label="Template", lines=2, max_lines=6, elem_id="class-template",
        info="{text} is put in; each label is scored as what comes next.",
    )  # fmt: skip
    calibration = gr.Radio(
        list(CALIBRATIONS), value=first.calibration, label="Calibration", info=_CALIBRATION_INFO, elem_id="calibration"
    )
    normalization = gr.Dropdown(list(NORMALIZATIONS), value=first.normalization, label="Normalisation")
    premise = gr.Textbox(
        "", label="PMI: what stands without the text", max_lines=2, info="Empty: the template after {text}.",
        visible=False,
    )  # fmt: skip
    with gr.Accordion("Worked examples (few-shot)", open=True):
        note = "The model sees these first. Empty rows are left out; an empty table asks zero-shot."
        gr.HTML(f"<p class='keys'>{note}</p>", js_on_load=None, apply_default_css=False)
        shots = gr.Dataframe(
            shot_rows(first), headers=["Text", "Label"], type="array", datatype="str", column_count=2, wrap=True,
            column_widths=["70%", "30%"], interactive=True, max_height=260, label="Worked examples", show_label=False,
            elem_id="class-shots", buttons=[],
        )  # fmt: skip
    return {
        "labels": labels, "template": template, "shots": shots,
        "normalization": normalization, "premise": premise, "calibration": calibration,
    }  # fmt: skip


def connect_form(page: Page, container: gr.Tab, form: Form) -> None:
    """Keeps the lists of models and heads as they are now, and shows what the picked method needs."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    def lists(model: str, method: str) -> Updates:
        return _lists(page.bench, form, model, method)

    picked = [form.model, form.method]
    outputs = [form.model, form.method, form.facts, form.prompting, form.threshold]
    for shown_anew in (container.select, page.blocks.load, form.model.input, form.method.input):
        shown_anew(lists, picked, outputs, **quiet)
    form.normalization.change(lambda name: gr.Textbox(visible=name == "pmi"), form.normalization, form.premise, **quiet)


def _lists(bench: Bench, form: Form, model: str, method: str) -> Updates:
    """The lists of models and methods as they are now, keeping what was picked while it is still there."""
    specs = bench.specs()
    model = model if model in specs else spec_name(bench.first_spec())
    cards = fitting_heads(bench, specs[model], "classify")
    own = next((value for value, card in cards.items() if card.key == OWN_HEAD), None)
    if method not in cards:
        method = own or LANGUAGE_MODEL
    choices = [choice for choice in method_choices(cards) if own is None or choice[1]]
    return {
        form.model: gr.Dropdown(list(specs), value=model),
        form.method: gr.Dropdown(choices, value=method),
        **form.shown_for(cards.get(method)),
    }
