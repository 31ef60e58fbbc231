"""The Classify tab: what kind of text this is, by the language model or a trained head, and which pieces say so.

Every side in use is asked about the same texts at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.ui.bench import Page, Tab
from workbench.ui.classify.class_asking import connect_one
from workbench.ui.classify.class_endpoint import classify_endpoint
from workbench.ui.classify.class_examples import EXAMPLES
from workbench.ui.classify.class_form import Form, connect_forms, settings_column
from workbench.ui.classify.class_many import Many, many_texts
from workbench.ui.classify.class_one import One, one_text, shown_row
from workbench.ui.classify.class_running import connect_many
from workbench.ui.components import QUIET
from workbench.ui.links.address import Kept
from workbench.ui.links.code_panels import classify_code
from workbench.ui.links.kept_sides import keep_sides
from workbench.ui.links.snippet_view import code_panel
from workbench.ui.sides.asking_sides import SideSettings

Updates = dict[Any, Any]


@dataclass(frozen=True)
class View:
    """The parts of the tab."""

    examples: gr.Dataset
    parts: gr.Tabs
    one: One
    many: Many
    settings: SideSettings[Form]


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
            with gr.Tabs(elem_classes="inner-tabs", elem_id="class-parts", selected="one") as parts:
                with gr.Tab("One text", id="one"):
                    one = one_text(EXAMPLES[0], page.sides)
                    code = code_panel("class-code")
                with gr.Tab("Many texts", id="many"):
                    many = many_texts(EXAMPLES[0], page.sides)
        with gr.Column(scale=3, min_width=300, elem_classes="settings"):
            settings = settings_column(page.sides)
    _connect(page, container, View(examples, parts, one, many, settings))
    classify_code(page, code, one.text, settings)
    texts = {"text": one.text, "texts": many.texts, "table": many.file}
    titles = {"one": ["text"], "many": ["table", "texts"]}
    keep_sides(page, Kept(TAB.name, texts, (one.run, many.run), titles, inner=parts), settings, "classify")
    classify_endpoint(page.bench)


def _connect(page: Page, container: gr.Tab, view: View) -> None:
    """The events of each part, and those between them: an example fills all, a row of the table is looked into."""
    connect_forms(page, container, view.settings)
    connect_one(page, view.one, view.settings)
    connect_many(page, view.many, view.settings)
    filled = [view.one.text, view.many.texts, *view.settings.each[0].parts()]
    view.examples.click(lambda index: _filled(view, index), view.examples, filled, **QUIET)

    def look_into(values: Updates, event: gr.SelectData) -> Iterator[Updates]:
        number = str((event.row_value or [""])[0])
        found = shown_row(view.one, values[view.many.batches], number)
        yield {view.parts: gr.Tabs(selected="one"), **found} if found else {}

    view.many.table.select(look_into, {view.many.batches}, [view.parts, *view.one.results()], **QUIET)
    view.many.table.select(view.one.tokens.cleared, None, view.one.tokens.results(), **QUIET)


def _filled(view: View, index: int) -> Updates:
    """Every control as an example has it; a side with settings of its own keeps them."""
    example = EXAMPLES[index]
    texts = {view.one.text: example.texts[0], view.many.texts: "\n".join(example.texts)}
    return texts | view.settings.each[0].filled(example)


TAB = Tab("Classify", build)
