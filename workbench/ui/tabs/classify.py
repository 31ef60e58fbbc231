"""The Classify tab: what kind of text this is, by the language model or a trained head, and which pieces say so."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.ui.bench import Page, Tab
from workbench.ui.class_endpoint import classify_endpoint
from workbench.ui.class_examples import EXAMPLES
from workbench.ui.class_form import Form, connect_form, settings_column
from workbench.ui.class_many import Many, connect_many, many_texts
from workbench.ui.class_one import One, connect_one, one_text, shown_row

Updates = dict[Any, Any]


@dataclass(frozen=True)
class View:
    """The parts of the tab."""

    examples: gr.Dataset
    parts: gr.Tabs
    one: One
    many: Many
    form: Form


def build(page: Page, container: gr.Tab) -> None:
    """Fills the tab."""
    with gr.Row(elem_classes="workspace"):
        with gr.Column(scale=7, min_width=320):
            examples = gr.Dataset(
                components=[gr.Textbox(visible=False)],
                samples=[[example.name] for example in EXAMPLES],
                label="Examples",
                elem_id="class-examples",
                type="index",
            )
            with gr.Tabs(elem_classes="inner-tabs", selected="one") as parts:
                with gr.Tab("One text", id="one"):
                    one = one_text(EXAMPLES[0])
                with gr.Tab("Many texts", id="many"):
                    many = many_texts(EXAMPLES[0])
        with gr.Column(scale=3, min_width=300, elem_classes="settings"):
            form = settings_column(page.bench)
    _connect(page, container, View(examples, parts, one, many, form))
    classify_endpoint(page.bench)


def _connect(page: Page, container: gr.Tab, view: View) -> None:
    """The events of each part, and those between them: an example fills all, a row of the table is looked into."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    connect_form(page, container, view.form)
    connect_one(page, view.one, view.form)
    connect_many(page, view.many, view.form)
    form = view.form
    filled = [
        view.one.text, view.many.texts, form.method, form.labels, form.template, form.shots, form.normalization,
        form.premise, form.calibration, form.facts, form.prompting, form.threshold,
    ]  # fmt: skip
    view.examples.click(lambda index: _filled(view, index), view.examples, filled, **quiet)

    def look_into(values: Updates, event: gr.SelectData) -> Iterator[Updates]:
        number = str((event.row_value or [""])[0])
        found = shown_row(view.one, values[view.many.batch], number)
        yield {view.parts: gr.Tabs(selected="one"), **found} if found else {}

    view.many.table.select(look_into, {view.many.batch}, [view.parts, *view.one.results()], **quiet)


def _filled(view: View, index: int) -> Updates:
    """Every control as an example has it."""
    example = EXAMPLES[index]
    texts = {view.one.text: example.texts[0], view.many.texts: "\n".join(example.texts)}
    return texts | view.form.filled(example)


TAB = Tab("Classify", build)
