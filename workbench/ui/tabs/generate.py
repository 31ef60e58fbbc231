"""The Generate tab: each side's continuation of a prompt streams out, and any token can be branched from."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from workbench.errors import BadRequest
from workbench.text.requests import Generate
from workbench.ui.bench import Page, Tab
from workbench.ui.components import QUIET, box, html
from workbench.ui.generate import generate_settings
from workbench.ui.generate.endpoints import generate_endpoint
from workbench.ui.generate.generate_columns import Asked, Column, Shown, column_view, emptied, write
from workbench.ui.generate.generate_settings import GenerateSettings, drawn_anew, settings_view
from workbench.ui.generate.prompts import PROMPTS
from workbench.ui.links.address import Kept
from workbench.ui.links.code_panels import generate_code
from workbench.ui.links.snippet_view import code_panel
from workbench.ui.parts import told
from workbench.ui.sides import blind_view
from workbench.ui.sides.asking_sides import side_columns, side_head
from workbench.ui.sides.blind import shuffled
from workbench.ui.sides.blind_view import Ballot, ballot_view
from workbench.ui.sides.sides import LETTERS, Sides
from workbench.ui.sides.sides_memory import check_together

Updates = dict[Any, Any]

_AFTER_BRANCH = 32
"""A branch close to the end may write at least this many tokens more."""
_KEYS = "<p class='keys'><kbd>Ctrl</kbd> <kbd>Enter</kbd> generates, <kbd>Esc</kbd> stops.</p>"


@dataclass(frozen=True)
class View:
    """The components of the tab that its events read and write."""

    prompt: gr.Textbox
    run: gr.Button
    stop: gr.Button
    blind: gr.Checkbox
    notice: gr.HTML
    heads: tuple[gr.HTML, ...]
    columns: tuple[Column, ...]
    ballot: Ballot
    settings: GenerateSettings
    shown: gr.State
    """What the columns show."""

    def asked(self, page: Page, values: Updates) -> Shown:
        """What the controls ask of every side; blind, in an order that nobody knows.

        Raises:
            BadRequest: a value out of its range, a model that is gone, or sides that have no room beside each other.
        """
        sides = page.sides.chosen(page.bench, values)
        prompt = values[self.prompt] or ""
        requests = self.settings.requests(prompt, len(sides), values)
        check_together(page.bench, sides)
        columns = [Asked(side, request) for side, request in zip(sides, requests, strict=True)]
        if len(sides) > 1 and values[self.blind]:
            return Shown(tuple(shuffled(columns)), prompt, blind=True)
        return Shown(tuple(columns), prompt)

    def branch(self, values: Updates, place: int, ids: Any) -> Shown:
        """What is shown, one column of it asked once more with other first tokens.

        Raises:
            BadRequest: the page does not know any more what it shows.
        """
        shown: Shown | None = values[self.shown]
        if shown is None or place >= len(shown.columns):
            raise BadRequest("This text was written too long ago to be branched. Generate a new one first.")
        asked = shown.columns[place]
        return shown.with_column(place, Asked(asked.side, branched(asked.request, ids)))

    def buttons(self, running: bool) -> Updates:
        """Generate and Stop: exactly one of them can be pressed."""
        return {self.run: gr.Button(interactive=not running), self.stop: gr.Button(interactive=running)}

    def notices(self) -> Updates:
        """Every notice, empty."""
        return {self.notice: ""} | {column.notice: "" for column in self.columns}

    def outputs(self) -> set[Any]:
        """Everything that a run writes to, besides the page's head."""
        parts = {part for column in self.columns for part in (column.notice, column.tokens, column.figures)}
        own = {self.notice, self.run, self.stop, self.settings.seed, self.shown}
        return own | parts | set(self.heads)


def build(page: Page, container: gr.Tab) -> None:
    """Fills the tab."""
    with gr.Row(elem_classes="workspace"):
        with gr.Column(scale=7, min_width=320):
            writing = _writing_column(page.sides)
            heads, columns = side_columns(page.sides, column_view)
            ballot = ballot_view(page.sides, heads, columns)
            code = code_panel("generate-code")
        with gr.Column(scale=3, min_width=300, elem_classes="settings"):
            settings = settings_view(page.sides)
    shown = gr.State(None, time_to_live=3600)
    view = View(**writing, heads=heads, columns=columns, ballot=ballot, settings=settings, shown=shown)
    _connect(page, view)
    generate_settings.connect(page.sides, settings)
    blind_view.connect(page, ballot, shown, view.blind)
    generate_code(page, code, view.prompt, settings)
    _keep(page, view)
    generate_endpoint(page.bench)


def _writing_column(sides: Sides) -> dict[str, Any]:
    first = next(iter(PROMPTS.values()))
    prompt = gr.Textbox(
        first, label="Prompt", lines=3, max_lines=12, elem_id="prompt", placeholder="Write the beginning of a text…"
    )
    examples = gr.Dataset(
        components=[gr.Textbox(visible=False)],
        samples=[[text] for text in PROMPTS.values()],
        sample_labels=list(PROMPTS),
        label="Examples",
        elem_id="examples",
    )
    examples.click(lambda sample: sample[0], examples, prompt, show_progress="hidden", api_visibility="private")
    with gr.Row(elem_classes="actions"):
        run = gr.Button("Generate", variant="primary", elem_id="run", elem_classes="key-run", scale=3)
        stop = gr.Button("Stop", interactive=False, elem_id="stop", elem_classes="key-stop", scale=1)
        blind = gr.Checkbox(
            False, label="Blind comparison", elem_id="blind", visible=False, min_width=160, container=False, scale=0
        )
    sides.follow(1, blind)
    html(_KEYS)
    message = box("generate-notice")
    return {"prompt": prompt, "run": run, "stop": stop, "blind": blind, "notice": message}


def _connect(page: Page, view: View) -> None:
    """The tab's events: a run, a branch, their Stop, and columns that leave."""
    inputs = {view.prompt, view.shown, view.blind} | view.settings.inputs() | page.sides.inputs()
    places = {column.tokens.elem_id: place for place, column in enumerate(view.columns)}

    def write_texts(values: Updates, event: gr.EventData) -> Iterator[Updates]:
        place = places.get(getattr(event.target, "elem_id", None))
        steps = _run(page, view, values) if place is None else _branch(page, view, values, place, event.ids)
        yield from told(steps, view.notice)
        yield view.buttons(False)

    # One event for all, so that there is one run at a time and one thing to stop.
    triggers = [view.run.click, *(column.tokens.submit for column in view.columns)]
    outputs = view.outputs() | {page.status}
    writes = gr.on(triggers, write_texts, inputs, list(outputs), concurrency_limit=None, **QUIET)
    # The vote has events of its own: what a step of a stream shows alone, the browser may lose to the next step.
    ballot = list(view.ballot.parts())
    gr.on(triggers, lambda: view.ballot.shown(None), None, ballot, queue=False, **QUIET)
    writes.then(view.ballot.shown, view.shown, ballot, **QUIET)
    stopped = [view.run, view.stop, *view.notices()]
    view.stop.click(lambda: view.notices() | view.buttons(False), None, stopped, cancels=[writes], **QUIET)

    _connect_moves(page, view, writes)


def _connect_moves(page: Page, view: View, writes: Any) -> None:
    """A side that is removed or swapped ends what is being written: a text stands with the model that wrote it."""
    columns = [part for column in view.columns for part in column.parts()]
    moved = [view.shown, *view.heads, *columns, *view.ballot.parts(), view.run, view.stop]
    inputs = {view.shown, *columns}
    page.sides.swap.click(lambda values: _swapped(view, values), inputs, moved, cancels=[writes], **QUIET)
    for button in page.sides.removes:
        button.click(lambda shown: _left(view, shown), view.shown, moved, cancels=[writes], **QUIET)


def _run(page: Page, view: View, values: Updates) -> Iterator[Updates]:
    """Asks every side."""
    shown = view.asked(page, values)
    heads = dict(zip(view.heads, shown.heads(), strict=False))
    yield view.notices() | view.buttons(True) | heads | {
        view.shown: shown, view.settings.seed: min(asked.request.seed or 0 for asked in shown.columns),
    }  # fmt: skip
    yield from _written(page, view, shown, range(len(shown.columns)))


def _branch(page: Page, view: View, values: Updates, place: int, ids: Any) -> Iterator[Updates]:
    """Asks one column again, for a text that begins with the tokens `ids`; the others stay as they are."""
    shown = view.branch(values, place, ids)
    yield view.notices() | view.buttons(True) | {view.shown: shown}
    yield from _written(page, view, shown, [place])


def _written(page: Page, view: View, shown: Shown, places: range | list[int]) -> Iterator[Updates]:
    """The growing texts, and what was shown when all had ended."""
    shown = yield from write(page, view.columns, shown, places)
    yield {view.shown: shown}


def _swapped(view: View, values: Updates) -> Updates:
    """What A and B wrote, in each other's place; nothing where only one of them wrote."""
    before: Shown | None = values[view.shown]
    if before is None or len(before.columns) < 2:
        return _emptied(view, 0) | {view.shown: None}
    shown, found = before.swapped(), [[values[part] for part in column.parts()] for column in view.columns]
    if not shown.by_lot:
        found[:2] = found[1::-1]
    notices, lenses, all_figures = zip(*found, strict=True)
    updates: Updates = {}
    told_by = zip(view.columns, notices, shown.lenses(lenses), all_figures, strict=False)
    for column, notice, lens, its_figures in told_by:
        updates |= {column.notice: notice, column.tokens: lens, column.figures: its_figures}
    return updates | dict(zip(view.heads, shown.heads(), strict=False)) | view.buttons(False) | {view.shown: shown}


def _left(view: View, shown: Shown | None) -> Updates:
    """A's text alone, now that a side is gone; not even that where the columns stand in an order by lot."""
    if shown is None or not shown.columns or shown.by_lot:
        return _emptied(view, 0) | {view.shown: None}
    return _emptied(view, 1) | {view.shown: Shown(shown.columns[:1], shown.prompt)}


def _emptied(view: View, first: int) -> Updates:
    """The columns from `first` on as nobody has written in them, and nothing to vote on."""
    updates = view.ballot.shown(None) | view.buttons(False)
    for letter, head, column in list(zip(LETTERS, view.heads, view.columns, strict=True))[first:]:
        updates |= {head: side_head(letter)} | emptied(column)
    return updates


def branched(request: Generate, sent: Any) -> Generate:
    """The request of a branch: the same again, beginning with the token ids that the browser sent.

    Beams can't be forced onto a path, so a branch of a beam search goes on with a single one.
    """
    ids = tuple(value for value in sent if isinstance(value, int)) if isinstance(sent, list) else ()
    length = max(request.max_new_tokens, len(ids) + _AFTER_BRANCH)
    return replace(request, forced=ids, num_beams=1, max_new_tokens=length)


def _keep(page: Page, view: View) -> None:
    """What of the tab stands in the page's address."""
    settings = view.settings
    parts: dict[str, Any] = {
        "prompt": view.prompt, "seed": settings.seed, "new_seed": settings.new_seed,
        "another_seed": settings.another_each,
    }  # fmt: skip
    for side, own in zip(page.sides.all, settings.sides.each, strict=True):
        before = f"{side.letter.lower()}." if side.index else ""
        if side.index:
            parts[f"{before}as_a"] = settings.sides.as_a[side.index - 1]
        parts |= {before + name: slider for name, slider in {"preset": own.preset, **own.knobs}.items()}
        parts |= {f"{before}stop": own.stop_texts, f"{before}banned": own.banned}
    page.address.keeps(Kept(TAB.name, parts, (view.run,), {"": ["prompt"]}, drawn={"seed": "new_seed"}))
    # A run chooses its new seed after its link was written; whoever opens the link draws by the same one.
    page.address.afterwards(drawn_anew, [settings.seed, settings.new_seed], settings.new_seed)
    settings.seed.change(
        None, [settings.seed, settings.new_seed], None, api_visibility="private", show_progress="hidden",
        js=f"(seed, fresh) => {{ if (fresh) window.workbench.chose('{TAB.name}', 'seed', seed); }}",
    )  # fmt: skip


TAB = Tab("Generate", build)
