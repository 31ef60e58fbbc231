"""Looking into a benchmark's example: its choices token by token, asked anew of the models of the opened runs."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from workbench.errors import BadRequest
from workbench.evals.prediction import Prediction
from workbench.evals.runs.run import Run
from workbench.manager import ModelSpec
from workbench.ui.background import followed
from workbench.ui.bench import Bench, Page
from workbench.ui.components import QUIET, html
from workbench.ui.lens.lens import ScoredText, lens, score_lines, with_difference
from workbench.ui.lens.miss_asks import fitted, prediction_asks, right_place
from workbench.ui.lens.score_lens import ScoreAsk, scored_texts
from workbench.ui.parts import progress_bar, told
from workbench.ui.ready import made_ready
from workbench.ui.runs.run_words import model_text

Updates = dict[Any, Any]

LOOK_JS = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-look]");
  if (button) trigger("press", { name: button.dataset.look });
});
"""
"""In the list of examples: tells whose tokens shall be looked at."""
_HINT = "The tokens that were scored appear here."
_CANT = "These tokens can't be looked at"


@dataclass(frozen=True)
class Sheet:
    """What opens below the examples: a lens for each of the two runs that are compared."""

    part: gr.Column
    head: gr.HTML
    notice: gr.HTML
    close: gr.Button
    lenses: tuple[gr.HTML, gr.HTML]
    second: gr.Column
    """The second run's column."""

    def outputs(self) -> list[Any]:
        """What an update may change."""
        return [self.part, self.head, self.notice, *self.lenses, self.second]

    def closed(self) -> Updates:
        """Nothing is looked at."""
        return {self.part: gr.Column(visible=False), self.notice: "", **dict.fromkeys(self.lenses, "")}


@dataclass(frozen=True)
class Look:
    """One run's part in an example: what its model is asked."""

    run: Run
    letter: str
    """Empty where there is one run alone."""
    asks: Sequence[ScoreAsk]


def sheet_view() -> Sheet:
    """Draws the sheet, to be called below the list of examples."""
    with gr.Column(visible=False, elem_id="run-lens", elem_classes="lens-sheet") as part:
        with gr.Row(elem_classes="lens-sheet-head"):
            head = html(elem_id="run-lens-head")
            close = gr.Button("Close", elem_id="run-lens-close", elem_classes="key-stop", min_width=90, scale=0)
        notice = html(elem_classes="page-notice")
        with gr.Row(elem_classes="sides"):
            with gr.Column(elem_classes="side-column"):
                first = lens("run-lens-a", "Tokens", empty=_HINT)
            with gr.Column(elem_classes="side-column", visible=False) as second:
                other = lens("run-lens-b", "Tokens", empty=_HINT)
    return Sheet(part, head, notice, close, (first, other), second)


def connect_sheet(page: Page, sheet: Sheet, shown: gr.HTML, runs: gr.State, other: gr.Dropdown) -> None:
    """The sheet's events.

    Args:
        shown: the list of examples, whose buttons open it.
        runs: the opened ones.
        other: which of them is B.
    """

    def look(opened: Sequence[Run], place: int | None, event: gr.EventData) -> Iterator[Updates]:
        pair = [opened[0], *opened[place or 1 :][:1]] if opened else []
        yield from told(_looked(page, sheet, pair, str(event.name)), sheet.notice, _CANT)

    looks = shown.press(look, [runs, other], [*sheet.outputs(), page.status], concurrency_limit=None, **QUIET)
    sheet.close.click(sheet.closed, None, sheet.outputs(), cancels=[looks], **QUIET)


def looks_of(runs: Sequence[Run], row: str) -> tuple[Prediction, list[Look]]:
    """The example of a row of the data, and what each run's model is asked about it.

    Raises:
        BadRequest: it is not there, or its scores have no tokens.
    """
    found = [next((one for one in run.predictions if str(one.row) == row), None) for run in runs]
    if not found or found[0] is None:
        raise BadRequest("This example is not open any more. Open the run again.")
    letters = ["A", "B"] if len(runs) > 1 else [""]
    looks = [
        Look(run, letter, prediction_asks(run, one))
        for run, letter, one in zip(runs, letters, found, strict=True)
        if one is not None and one.digest == found[0].digest
    ]
    return found[0], looks


def run_spec(bench: Bench, run: Run) -> ModelSpec:
    """The model that a run was made with.

    Raises:
        BadRequest: others use the page too, and it is none of those that are served here.
    """
    model = run.record["model"]
    spec = ModelSpec(model["checkpoint"], model.get("revision"), model.get("precision"))
    served = {known.checkpoint for known in bench.specs().values()}
    if not bench.settings.serves_locally and spec.checkpoint not in served:
        raise BadRequest(
            f"The run's model {spec.checkpoint} is not served on this page. Look at its tokens on your own machine."
        )
    return spec


def _looked(page: Page, sheet: Sheet, runs: Sequence[Run], row: str) -> Iterator[Updates]:
    """Asks one model after the other, and shows at the end where they differ."""
    # All at once: a column that is shown inside one that has only just come may stay away.
    opened = {sheet.part: gr.Column(visible=True), sheet.second: gr.Column(visible=len(runs) > 1)}
    yield sheet.closed() | opened | {sheet.head: "", sheet.notice: progress_bar("Asking", None)}
    example, looks = looks_of(runs, row)
    yield {sheet.head: _head(example)}
    done: list[list[ScoredText]] = []
    for look, place in zip(looks, sheet.lenses, strict=False):
        done.append((yield from _scored(page, sheet, look, place)))
    if len(looks) > 1:
        (a, b), (texts_a, texts_b) = looks, done
        yield {
            sheet.lenses[0]: _value(a, with_difference(texts_a, texts_b), b.letter),
            sheet.lenses[1]: _value(b, with_difference(texts_b, texts_a), a.letter),
        }
    yield {sheet.notice: ""}


def _scored(page: Page, sheet: Sheet, look: Look, place: gr.HTML) -> Generator[Updates, None, list[ScoredText]]:
    """A run's texts as they are scored, by its model, which is loaded if need be."""
    spec = run_spec(page.bench, look.run)
    yield from made_ready(page, sheet.notice, spec)

    def work() -> Generator[list[ScoredText], None, None]:
        with page.bench.manager.lease(spec) as model:
            yield from scored_texts(model, fitted(model, look.asks))

    texts: list[ScoredText] = []
    for steps in followed(work):
        texts = steps[-1] if steps else texts
        words = f"{_name(look)}: {len(texts):,} of {len(look.asks):,} texts"
        yield {sheet.notice: progress_bar(words, len(texts) / len(look.asks))} | (
            {place: _value(look, texts)} if steps else {}
        )
    return texts


def _value(look: Look, texts: Sequence[ScoredText], other: str = "") -> str:
    return score_lines(_name(look), texts, look.letter, other, right_place(look.asks))


def _name(look: Look) -> str:
    name = model_text(look.run.record["model"])
    return f"{look.letter} · {name}" if look.letter else name


def _head(example: Prediction) -> str:
    return (
        f"<h3>Tokens of example {escape(example.id)}</h3><p class='keys'>Asked anew: the run kept the sums. Pick a "
        "text, then point at its tokens.</p>"
    )
