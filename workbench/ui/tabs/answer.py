"""The Answer tab: where in a passage the answer to a question stands, by the language model or a trained head.

Every side in use is asked the same questions at once.
"""

import gradio as gr

from workbench.ui.answer.answer_asking import connect_one
from workbench.ui.answer.answer_batch import batch_view
from workbench.ui.answer.answer_endpoint import answer_endpoint
from workbench.ui.answer.answer_one import one_question
from workbench.ui.answer.answer_running import connect_batch
from workbench.ui.answer.answer_settings import connect_lists, settings_column
from workbench.ui.bench import Page, Tab
from workbench.ui.links.address import Kept
from workbench.ui.links.code_panels import answer_code
from workbench.ui.links.kept_sides import keep_sides
from workbench.ui.links.snippet_view import code_panel


def build(page: Page, container: gr.Tab) -> None:
    """Fills the tab."""
    with gr.Row(elem_classes="workspace"):
        with gr.Column(scale=7, min_width=320), gr.Tabs(elem_classes="inner-tabs", elem_id="answer-parts") as parts:
            with gr.Tab("One question", id="one"):
                view = one_question(page.sides)
                code = code_panel("answer-code")
            with gr.Tab("A file of questions", id="file"):
                batch = batch_view(page.sides)
        with gr.Column(scale=3, min_width=300, elem_classes="settings"):
            settings = settings_column(page.sides, page.bench.first_spec())
    connect_one(page, view, settings)
    connect_lists(page, container, settings)
    connect_batch(page, batch, settings)
    answer_code(page, code, view.question, view.context, settings)
    texts = {"question": view.question, "context": view.context, "file": batch.file}
    titles = {"one": ["question"], "file": ["file"]}
    keep_sides(page, Kept(TAB.name, texts, (view.run, batch.run), titles, inner=parts), settings, "answer")
    answer_endpoint(page.bench)


TAB = Tab("Answer", build)
