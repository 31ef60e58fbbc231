"""The Answer tab: where in a passage the answer to a question stands, by the language model or a trained head."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.text.language_model import LanguageModel
from workbench.text.requests import ExtractSpan, Spans
from workbench.ui import answer_batch
from workbench.ui.answer_endpoint import answer_endpoint
from workbench.ui.answer_request import build_question
from workbench.ui.answer_settings import Ask, connect_lists, settings_column
from workbench.ui.answer_view import AT_THRESHOLD, answer_text, answer_view
from workbench.ui.bench import Page, Tab
from workbench.ui.head_choice import picked_head
from workbench.ui.parts import progress_bar, told
from workbench.ui.passages import PASSAGES
from workbench.ui.ready import made_ready

Updates = dict[Any, Any]

_KEYS = "<p class='keys'><kbd>Ctrl</kbd> <kbd>Enter</kbd> answers, <kbd>Esc</kbd> stops.</p>"


@dataclass(frozen=True)
class View:
    """The components of the single question."""

    question: gr.Textbox
    context: gr.Textbox
    run: gr.Button
    stop: gr.Button
    notice: gr.HTML
    answer: gr.HTML

    def buttons(self, running: bool) -> Updates:
        """Answer and Stop: exactly one of them can be pressed."""
        return {self.run: gr.Button(interactive=not running), self.stop: gr.Button(interactive=running)}


def build(page: Page, container: gr.Tab) -> None:
    """Fills the tab."""
    with gr.Row(elem_classes="workspace"):
        with gr.Column(scale=7, min_width=320), gr.Tabs(elem_classes="inner-tabs"):
            with gr.Tab("One question"):
                view = _one_question()
            with gr.Tab("A file of questions"):
                batch = answer_batch.batch_view()
        with gr.Column(scale=3, min_width=300, elem_classes="settings"):
            ask = settings_column(page.bench)
    _connect(page, view, ask)
    connect_lists(page, container, ask)
    answer_batch.connect(page, batch, ask)
    answer_endpoint(page.bench)


def _one_question() -> View:
    first = PASSAGES[0]
    question = gr.Textbox(first.question, label="Question", lines=1, elem_id="question", placeholder="Ask something…")
    context = gr.Textbox(
        first.text, label="Passage", lines=6, max_lines=14, elem_id="passage",
        placeholder="The text in which the answer stands…",
    )  # fmt: skip
    examples = gr.Dataset(
        components=[gr.Textbox(visible=False), gr.Textbox(visible=False)],
        samples=[[passage.question, passage.text] for passage in PASSAGES],
        sample_labels=[passage.label for passage in PASSAGES],
        label="Examples",
        elem_id="passages",
    )
    examples.click(tuple, examples, [question, context], show_progress="hidden", api_visibility="private")
    with gr.Row(elem_classes="actions"):
        run = gr.Button("Answer", variant="primary", elem_id="answer-run", elem_classes="key-run", scale=3)
        stop = gr.Button("Stop", interactive=False, elem_id="answer-stop", elem_classes="key-stop", scale=1)
    gr.HTML(_KEYS, js_on_load=None, apply_default_css=False)
    notice = gr.HTML("", js_on_load=None, apply_default_css=False, elem_id="answer-notice", elem_classes="page-notice")
    return View(question, context, run, stop, notice, answer_view("answer-view"))


def _connect(page: Page, view: View, ask: Ask) -> None:
    """The tab's events: a run, its Stop, and the threshold."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    outputs = [view.notice, view.answer, view.run, view.stop, page.status]

    # Not called answer: Gradio would give the endpoint's name to it.
    def find(values: Updates) -> Iterator[Updates]:
        yield from told(_answer(page, view, ask, values), view.notice)
        yield view.buttons(False)

    inputs = {view.question, view.context} | ask.inputs()
    answers = view.run.click(find, inputs, outputs, concurrency_limit=None, **quiet)
    stopped = [view.notice, view.run, view.stop]
    view.stop.click(lambda: {view.notice: ""} | view.buttons(False), None, stopped, cancels=[answers], **quiet)
    ask.threshold.change(None, [ask.threshold, view.answer], view.answer, js=AT_THRESHOLD, **quiet)


def _answer(page: Page, view: View, ask: Ask, values: Updates) -> Iterator[Updates]:
    """Reads the passage and marks the answer in it."""
    question, context, threshold = values[view.question] or "", values[view.context] or "", values[ask.threshold]
    settings = ask.settings(values)
    yield {view.answer: ""}  # no earlier answer stays beside what may be told now
    build_question(question, context, None, settings)  # told before a model is loaded for it
    yield {view.notice: "", view.answer: answer_text(question, context, threshold)} | view.buttons(True)
    spec = page.bench.spec_named(values[ask.model])
    card = picked_head(page.bench, spec, "answer", values[ask.method])
    yield from made_ready(page, view.notice, spec)
    with page.bench.manager.lease(spec) as model:
        key = None if card is None else page.bench.manager.use_head(spec, values[ask.method], "answer").key
        request = build_question(question, context, key, settings)
        spans, seconds = yield from _read(model, request, view.notice)
    yield {view.notice: "", view.answer: answer_text(question, context, threshold, spans, seconds)}


def _read(model: LanguageModel, request: ExtractSpan, notice: gr.HTML) -> Generator[Updates, None, tuple[Spans, float]]:
    """The spans and how many seconds they took, with a bar that moves from window to window."""
    began = time.monotonic()
    steps = model.extract_steps(request)
    try:
        while True:
            done, windows = next(steps)
            words = f"Reading the passage: {done:,} of {windows:,} windows" if windows > 1 else "Reading the passage"
            yield {notice: progress_bar(words, done / windows if windows > 1 else None)}
    except StopIteration as end:
        return end.value, time.monotonic() - began
    finally:
        steps.close()


TAB = Tab("Answer", build)
