"""One text on the Classify tab: its prediction as bars, and which of its pieces carried it."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.errors import BadRequest
from workbench.evals.asking import ask_one
from workbench.evals.methods.labels import ClassPrediction, TextExample
from workbench.evals.why import Contribution, leave_one_out
from workbench.ui.background import followed
from workbench.ui.bench import Page
from workbench.ui.class_batch import Batch
from workbench.ui.class_examples import ClassExample
from workbench.ui.class_form import Form
from workbench.ui.class_methods import Asked, ClassMethod, tokens_read
from workbench.ui.class_view import EMPTY, Cost, prediction_markup
from workbench.ui.head_choice import picked_head
from workbench.ui.parts import notice, progress_bar, seconds_text, told
from workbench.ui.ready import made_ready
from workbench.ui.why_view import MOST_PIECES, WhyLines, pieces_of, why_view

Updates = dict[Any, Any]

_KEYS = "<p class='keys'><kbd>Ctrl</kbd> <kbd>Enter</kbd> classifies, <kbd>Esc</kbd> stops.</p>"
_BY_TOKENS, _BY_WORDS = "Tokens", "Words"


@dataclass(frozen=True)
class Shown:
    """The prediction that is shown, and how it was asked for: Why asks the same way about the text's pieces."""

    model: str
    asked: Asked
    method: ClassMethod
    example: TextExample
    prediction: ClassPrediction


@dataclass(frozen=True)
class One:
    """The components for a single text."""

    text: gr.Textbox
    run: gr.Button
    why: gr.Button
    stop: gr.Button
    pieces: gr.Radio
    notice: gr.HTML
    result: gr.HTML
    reasons: gr.HTML
    shown: gr.State

    def buttons(self, running: bool, explained: bool = False) -> Updates:
        """While something runs, Stop alone can be pressed; Why needs a prediction that is shown."""
        return {
            self.run: gr.Button(interactive=not running),
            self.why: gr.Button(interactive=not running and explained),
            self.stop: gr.Button(interactive=running),
        }

    def results(self) -> list[Any]:
        """What shows a prediction."""
        return [self.text, self.notice, self.result, self.reasons, self.shown, self.run, self.why, self.stop]


def one_text(first: ClassExample) -> One:
    """Draws the part, to be called where it should stand."""
    text = gr.Textbox(
        first.texts[0], label="Text", lines=3, max_lines=12, elem_id="class-text", placeholder="The text to classify…"
    )
    with gr.Row(elem_classes="actions"):
        run = gr.Button("Classify", variant="primary", elem_id="class-run", elem_classes="key-run", scale=3)
        why = gr.Button("Why", interactive=False, elem_id="class-why", scale=1)
        stop = gr.Button("Stop", interactive=False, elem_id="class-stop", elem_classes="key-stop", scale=1)
    gr.HTML(_KEYS, js_on_load=None, apply_default_css=False)
    notice = gr.HTML("", js_on_load=None, apply_default_css=False, elem_id="class-notice", elem_classes="page-notice")
    result = gr.HTML(EMPTY, js_on_load=None, apply_default_css=False, elem_id="class-result")
    pieces = gr.Radio(
        [_BY_TOKENS, _BY_WORDS], value=_BY_TOKENS, label="Why takes out", elem_id="class-pieces",
        info="One at a time. Each is a text more to ask about: words are fewer.",
    )  # fmt: skip
    reasons = why_view()
    return One(text, run, why, stop, pieces, notice, result, reasons, gr.State(None, time_to_live=3600))


def connect_one(page: Page, one: One, form: Form) -> None:
    """The part's events: Classify, Why, and the Stop of both."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    outputs = [*one.results(), page.status]

    def run_one(values: Updates) -> Iterator[Updates]:
        explained = False
        for update in told(_classify(page, one, form, values), one.notice):
            explained = explained or update.get(one.shown) is not None
            yield update
        yield one.buttons(False, explained)

    def why(values: Updates) -> Iterator[Updates]:
        yield from told(_why(page, one, values), one.notice)
        yield one.buttons(False, values[one.shown] is not None)

    def stopped(shown: Shown | None) -> Updates:
        return {one.notice: ""} | one.buttons(False, shown is not None)

    asks = one.run.click(run_one, {one.text} | form.inputs(), outputs, concurrency_limit=None, **quiet)
    explains = one.why.click(why, {one.shown, one.pieces}, outputs, concurrency_limit=None, **quiet)
    freed = [one.notice, one.run, one.why, one.stop]
    one.stop.click(stopped, one.shown, freed, cancels=[asks, explains], **quiet)


def shown_row(one: One, batch: Batch | None, number: str) -> Updates | None:
    """The updates that show a batch's prediction as if its text had been asked alone; None where there is no such."""
    index = int(number) - 1 if number.isdecimal() else -1
    if batch is None or batch.method is None or not 0 <= index < len(batch.predictions):
        return None
    prediction = batch.predictions[index]
    shown = Shown(batch.model, batch.asked, batch.method, batch.examples[index], prediction)
    can_explain = prediction.error is None
    update = {one.text: prediction.text, one.notice: "", one.result: prediction_markup(prediction), one.reasons: ""}
    return update | {one.shown: shown if can_explain else None} | one.buttons(False, can_explain)


def _classify(page: Page, one: One, form: Form, values: Updates) -> Iterator[Updates]:
    """Asks about the text and shows its bars."""
    asked = form.asked(values)
    example = TextExample("1", values[one.text] or "")
    if not example.text.strip():
        raise BadRequest("The text is empty: there is nothing to classify. Write one, or pick an example.")
    yield {one.notice: progress_bar("Asking", None), one.shown: None, one.reasons: ""} | one.buttons(True)
    spec = page.bench.spec_named(values[form.model])
    picked_head(page.bench, spec, "classify", asked.head)
    yield from made_ready(page, one.notice, spec)

    def work() -> Generator[str, None, tuple[ClassMethod, ClassPrediction, Cost]]:
        yield "Asking"
        with page.bench.manager.lease(spec) as model:
            method = asked.method(page.bench.manager, spec, model, [example.text])
            yield f"Asking about {len(method.labels):,} labels"
            began = time.monotonic()
            prediction = ask_one(model, method, example)
            seconds = time.monotonic() - began
            requests = method.requests(example)
            return method, prediction, Cost(len(requests), tokens_read(model, requests), seconds)

    result = yield from _waited(followed(work), one.notice)
    if result is not None:
        method, prediction, cost = result
        shown = Shown(values[form.model], asked, method, example, prediction)
        yield {one.notice: "", one.result: prediction_markup(prediction, cost), one.shown: shown}


def _waited(steps: Generator[list[str], None, Any], place: gr.HTML) -> Generator[Updates, None, Any]:
    """Follows work that tells what it does, with a moving bar; gives what it comes to."""
    began, words = time.monotonic(), "Asking"
    try:
        while True:
            words = next(iter(next(steps)[-1:]), words)
            yield {place: progress_bar(f"{words}, {seconds_text(time.monotonic() - began)}", None)}
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


def _why(page: Page, one: One, values: Updates) -> Iterator[Updates]:
    """Asks about the text without each of its pieces, one after another."""
    shown = values[one.shown]
    if shown is None:
        raise BadRequest("There is no prediction to explain, or it was made too long ago. Classify the text first.")
    by_words = values[one.pieces] == _BY_WORDS
    yield {one.notice: progress_bar("Asking without each piece", None), one.reasons: ""} | one.buttons(True)
    spec = page.bench.spec_named(shown.model)
    yield from made_ready(page, one.notice, spec)

    def work() -> Generator[WhyLines | Contribution, None, None]:
        with page.bench.manager.lease(spec) as model:
            method = shown.method
            if shown.asked.head is not None:  # the model may have been loaded anew, without its heads
                method = shown.asked.method(page.bench.manager, spec, model, [])
            pieces = pieces_of(shown.example.text, model.tokenizer, by_words)
            asked = pieces[:MOST_PIECES]
            yield WhyLines(shown.prediction, asked, len(pieces))
            yield from leave_one_out(model, method, shown.example, asked)

    lines: WhyLines | None = None
    began = time.monotonic()
    for items in followed(work):
        for item in items:
            if isinstance(item, WhyLines):
                lines = item
            elif lines is not None:
                lines.add(item)
        words = f"Asking without each piece, {seconds_text(time.monotonic() - began)}"
        yield {one.notice: progress_bar(words, None)} | ({one.reasons: lines.text()} if lines and items else {})
    alone = lines is not None and not lines.count
    yield {
        one.notice: notice("plain", "The text is a single piece", "Without it nothing would be left.") if alone else ""
    }
