"""The part of the Runs tab that shows examples: filters, a search, pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.evals.runs.run import Run
from workbench.ui.bench import Page
from workbench.ui.components import html
from workbench.ui.lens.run_lens import LOOK_JS, Sheet, connect_sheet, sheet_view
from workbench.ui.runs.example_browser import (
    FILTERS,
    Sought,
    filter_choices,
    judged_by,
    page_markup,
    pages,
    paired_examples,
    sought_examples,
)
from workbench.ui.runs.runs_view import run_metrics

Updates = dict[Any, Any]


@dataclass(frozen=True)
class Examples:
    """The components."""

    part: gr.Column
    kind: gr.Radio
    text: gr.Textbox
    other: gr.Dropdown
    """Which run is B, where there are more than two."""
    before: gr.Button
    page: gr.Number
    after: gr.Button
    shown: gr.HTML
    sheet: Sheet
    """Where an example's tokens are looked at."""

    def outputs(self) -> list[Any]:
        """What an update may change."""
        turned = [self.part, self.kind, self.text, self.other, self.before, self.page, self.after, self.shown]
        return [*turned, *self.sheet.outputs()]

    def opened(self, runs: Sequence[Run]) -> Updates:
        """The part for runs that were just opened; hidden without any."""
        if not runs:
            return {self.part: gr.Column(visible=False), self.shown: "", **self.sheet.closed()}
        others = [(letter, place) for place, letter in enumerate("BCDEFGHIJK"[: len(runs) - 1], start=1)]
        other = gr.Dropdown(others, value=1 if others else None, visible=len(others) > 1)
        fresh = {self.part: gr.Column(visible=True), self.text: "", self.other: other} | self.sheet.closed()
        return fresh | self.turned(runs, "all", "", 1, 1)

    def turned(self, runs: Sequence[Run], kind: str, text: str, other: int | None, page: float | None) -> Updates:
        """A page of the examples that fit."""
        if not runs:
            return {self.shown: ""}
        b = runs[other or 1] if len(runs) > 1 else None
        pairs, sought = (
            paired_examples(runs[0], b),
            Sought(kind, text, judged_by(run_metrics(runs[0]), runs[0].predictions)),
        )
        choices = filter_choices(pairs, sought, two=b is not None)
        if kind not in [key for _, key in choices]:
            kind, sought = "all", Sought("all", text, sought.metric)
        found = sought_examples(pairs, sought)
        at = int(min(max(1, page or 1), pages(len(found))))
        prefix = str(runs[0].record["shots"].get("prefix") or "")
        by_head = runs[0].record["model"].get("head") is not None
        return {
            self.kind: gr.Radio(choices, value=kind),
            self.page: gr.Number(value=at, label=f"Page, of {pages(len(found)):,}"),
            self.before: gr.Button(interactive=at > 1),
            self.after: gr.Button(interactive=at < pages(len(found))),
            self.shown: page_markup(found, at, sought, prefix, looks=not by_head),
        }


def examples_view() -> Examples:
    """Draws the part, to be called where it should stand."""
    with gr.Column(visible=False, elem_id="run-examples") as part:
        html("<h2 class='section'>Examples</h2>")
        kind = gr.Radio([(name, key) for key, (name, _) in FILTERS.items()], value="all", label="Show",
                        elem_id="example-kind")  # fmt: skip
        with gr.Row(elem_classes="example-tools"):
            text = gr.Textbox(label="Search", placeholder="in prompts, choices and answers, then Enter", min_width=200,
                              elem_id="example-search", scale=4)  # fmt: skip
            other = gr.Dropdown([], label="B is", visible=False, min_width=90, scale=1)
            page = gr.Number(1, label="Page", precision=0, min_width=90, scale=1, elem_id="example-page")
        shown = gr.HTML("", js_on_load=LOOK_JS, apply_default_css=False, elem_id="run-example-list")
        with gr.Row(elem_classes="actions"):
            before = gr.Button("Earlier", elem_id="example-before")
            after = gr.Button("Later", elem_id="example-after")
        sheet = sheet_view()
    return Examples(part, kind, text, other, before, page, after, shown, sheet)


def connect_examples(page: Page, examples: Examples, runs: gr.State) -> None:
    """The part's events; `runs` holds the opened ones."""
    connect_sheet(page, examples.sheet, examples.shown, runs, examples.other)
    quiet: dict[str, Any] = {"show_progress": "minimal", "show_progress_on": examples.shown}
    quiet |= {"api_visibility": "private", "trigger_mode": "always_last"}
    sought = [runs, examples.kind, examples.text, examples.other]
    outputs = examples.outputs()

    def anew(runs: Sequence[Run], kind: str, text: str, other: int | None) -> Updates:
        return examples.turned(runs, kind, text, other, 1)

    def turned(runs: Sequence[Run], kind: str, text: str, other: int | None, page: float | None) -> Updates:
        return examples.turned(runs, kind, text, other, page)

    def earlier(runs: Sequence[Run], kind: str, text: str, other: int | None, page: float | None) -> Updates:
        return examples.turned(runs, kind, text, other, (page or 1) - 1)

    def later(runs: Sequence[Run], kind: str, text: str, other: int | None, page: float | None) -> Updates:
        return examples.turned(runs, kind, text, other, (page or 1) + 1)

    gr.on([examples.kind.input, examples.text.submit, examples.other.input], anew, sought, outputs, **quiet)
    at = [*sought, examples.page]
    examples.page.submit(turned, at, outputs, **quiet)
    examples.before.click(earlier, at, outputs, **quiet)
    examples.after.click(later, at, outputs, **quiet)
