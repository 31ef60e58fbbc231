"""What the code panels of the tabs show: each side's question as the controls ask it now."""

from pathlib import Path
from typing import Any

import gradio as gr

from workbench.errors import BadRequest
from workbench.evaluating import Evaluation
from workbench.manager import ModelSpec
from workbench.ui.answer.answer_request import build_question
from workbench.ui.answer.answer_settings import Ask
from workbench.ui.bench import Page
from workbench.ui.benchmark.benchmark_form import FILE
from workbench.ui.benchmark.benchmark_form import Form as TaskForm
from workbench.ui.classify.class_form import Form
from workbench.ui.generate.generate_settings import GenerateSettings
from workbench.ui.links.snippet_view import connect_panel
from workbench.ui.links.snippets import Snippet
from workbench.ui.links.snippets_asking import AskedSpan, answer_snippets, classify_snippets, generate_snippets
from workbench.ui.links.snippets_benchmark import HUB, AskedTasks, benchmark_snippets
from workbench.ui.links.snippets_precision import precision_snippets
from workbench.ui.precision.precision_form import Form as PrecisionForm
from workbench.ui.sides.asking_sides import SideSettings

Updates = dict[Any, Any]


def generate_code(page: Page, panel: gr.HTML, prompt: gr.Textbox, settings: GenerateSettings) -> None:
    """The panel of the Generate tab; its seed is the one that stands there, also where each text gets a new one."""

    def made(values: Updates, url: str) -> list[Snippet]:
        sides = page.sides.chosen(page.bench, values)
        seed = max(0, int(values[settings.seed] or 0))
        settled = values | {settings.new_seed: False, settings.seed: seed}
        requests = settings.requests(values[prompt] or "", len(sides), settled)
        return generate_snippets([(side.spec, one) for side, one in zip(sides, requests, strict=True)], url)

    connect_panel(panel, {prompt} | settings.inputs() | page.sides.inputs(), made)


def classify_code(page: Page, panel: gr.HTML, text: gr.Textbox, settings: SideSettings[Form]) -> None:
    """The panel of the Classify tab."""

    def made(values: Updates, url: str) -> list[Snippet]:
        sides = page.sides.chosen(page.bench, values)
        asked = [(side.spec, settings.of(side.index, values).asked(values)) for side in sides]
        if not (values[text] or "").strip():
            raise BadRequest("The text is empty: write one, and its code appears here.")
        return classify_snippets(asked, values[text], url)

    connect_panel(panel, {text} | settings.inputs() | page.sides.inputs(), made)


def answer_code(
    page: Page, panel: gr.HTML, question: gr.Textbox, context: gr.Textbox, settings: SideSettings[Ask]
) -> None:
    """The panel of the Answer tab."""

    def asked(ask: Ask, values: Updates) -> AskedSpan:
        request = build_question(values[question] or "", values[context] or "", None, ask.settings(values))
        return AskedSpan(request, values[ask.method] or None, values[ask.threshold])

    def made(values: Updates, url: str) -> list[Snippet]:
        sides = page.sides.chosen(page.bench, values)
        return answer_snippets([(side.spec, asked(settings.of(side.index, values), values)) for side in sides], url)

    connect_panel(panel, {question, context} | settings.inputs() | page.sides.inputs(), made)


def benchmark_code(page: Page, panel: gr.HTML, form: TaskForm) -> None:
    """The panel of the Benchmark tab; a file of the visitor's own is named as it was on their machine."""

    def made(values: Updates, url: str) -> list[Snippet]:
        files = {}
        if values[form.data] == FILE:
            name = Path(next(iter(values[form.file] or ()), "rows.jsonl")).name
            files = {task.name: Path(name) for task in form.chosen(values)}
        return benchmark_snippets(_alike(form.evaluations(values, page.bench, files)), url)

    connect_panel(panel, form.inputs(), made)


def precision_code(page: Page, panel: gr.HTML, form: PrecisionForm) -> None:
    """The panel of the Precision tab."""

    def made(values: Updates, _: str) -> list[Snippet]:
        return precision_snippets(form.spec(page.bench, values), form.asked(page.bench, values))

    connect_panel(panel, form.inputs(), made)


def _alike(evaluations: list[Evaluation]) -> list[tuple[ModelSpec, AskedTasks]]:
    """The tasks that a model is asked in the same way, together."""
    groups: dict[str, list[Evaluation]] = {}
    for one in evaluations:
        groups.setdefault(repr((one.spec, one.data, one.head)), []).append(one)
    return [
        (first.spec, AskedTasks(tuple(one.task.name for one in group), first.options, _rows(first), first.head))
        for group in groups.values()
        for first in group[:1]
    ]


def _rows(evaluation: Evaluation) -> str:
    return HUB if evaluation.data is None else str(evaluation.data)
