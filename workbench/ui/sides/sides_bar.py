"""The bar under the page's head in which the sides are picked, added, removed and swapped."""

from typing import Any

import gradio as gr

from workbench.errors import BadRequest
from workbench.loading.precision import precisions
from workbench.ui.bench import Bench, Page
from workbench.ui.components import QUIET, box
from workbench.ui.parts import notice
from workbench.ui.sides.sides import LETTERS, MOST_SIDES, Side, Sides
from workbench.ui.sides.sides_memory import Shortage, shortage_of
from workbench.ui.spec_names import spec_name

Updates = dict[Any, Any]


def sides_bar(bench: Bench) -> Sides:
    """Builds the bar, with one side in use."""
    names = list(bench.specs())
    choices = [("As stored", ""), *((name, name) for name in precisions())]
    followers: dict[int, list[Any]] = {}
    removes = []
    sides = []
    with gr.Row(elem_id="sides"):
        for index, letter in enumerate(LETTERS):
            with gr.Row(visible=index == 0, elem_classes=["side-pick", f"pick-{letter.lower()}"]) as place:
                model = gr.Dropdown(
                    names, value=names[0], label=_label("Model", index, 1), elem_id=f"side-{letter.lower()}-model",
                    scale=3, min_width=150,
                )  # fmt: skip
                precision = gr.Dropdown(
                    choices, value="", label=_label("Precision", index, 1), elem_id=f"side-{letter.lower()}-precision",
                    scale=2, min_width=110,
                )  # fmt: skip
                if index:
                    removes.append(
                        gr.Button("Remove", elem_id=f"remove-{letter.lower()}", elem_classes="side-remove", size="sm")
                    )
                    followers[index] = [place]
            sides.append(Side(index, letter, model, precision))
        with gr.Row(elem_id="sides-actions"):
            add = gr.Button("Add a side", elem_id="add-side", size="sm", scale=0, min_width=120)
            swap = gr.Button("Swap A and B", elem_id="swap-sides", size="sm", scale=0, min_width=140, visible=False)
    told = box("sides-notice")
    fit = gr.Button("Take what fits", elem_id="sides-fit", size="sm", visible=False)
    return Sides(tuple(sides), gr.State(1), add, swap, tuple(removes), told, fit, followers)


def connect(page: Page) -> None:
    """The bar's events; called when every tab has said what follows which side."""
    sides, bench = page.sides, page.bench
    picked = [part for side in sides.all for part in (side.model, side.precision)]
    shown = [sides.count, *picked, sides.add, sides.swap, *_followers(sides)]

    def added(values: Updates) -> Updates:
        count = min(MOST_SIDES, values[sides.count] + 1)
        new, last = sides.all[count - 1], sides.all[count - 2]
        copied = {new.model: values[last.model], new.precision: values[last.precision]}
        return in_use(sides, count, values | copied)

    sides.add.click(added, sides.inputs(), shown, **QUIET)
    for place, button in enumerate(sides.removes, start=1):

        def removed(values: Updates, index: int = place) -> Updates:
            return in_use(sides, values[sides.count] - 1, moved_down(sides, values, index))

        moved_first(button).then(removed, sides.inputs(), shown, **QUIET)
    a, b = sides.all[:2]
    pair = [a.model, a.precision, b.model, b.precision]
    moved_first(sides.swap).then(lambda *now: (*now[2:], *now[:2]), pair, pair, **QUIET)

    _connect_memory(page)

    def lists(values: Updates) -> Updates:
        return {side.model: _models(bench, values[side.model]) for side in sides.all}

    models = [side.model for side in sides.all]
    page.tabs.select(lists, set(models), models, **QUIET)
    page.address.waits_for(page.blocks.load(lists, set(models), models, **QUIET))


def moved_first(button: gr.Button) -> Any:
    """A press after which tabs have moved their settings: a side with another model keeps the method that it finds."""
    return button.click(lambda: None, None, None, show_progress="hidden", api_visibility="private")


def _connect_memory(page: Page) -> None:
    """Tells at once when the sides in use have no room beside each other, and takes the precisions that have."""
    sides = page.sides
    changes = gr.State(())

    def look(values: Updates) -> Updates:
        shortage = shortage_in(page, values)
        fits = shortage.changes if shortage else ()
        words = " and ".join(f"{precision} for {LETTERS[index]}" for index, precision in fits)
        told = notice("bad", "These sides do not fit in memory together", shortage.text) if shortage else ""
        return {
            sides.notice: told,
            sides.fit: gr.Button(f"Take {words}" if fits else "Take what fits", visible=bool(fits)),
            changes: fits,
        }

    precisions_of = [side.precision for side in sides.all]
    moved = [sides.count.change, *(part.change for side in sides.all for part in (side.model, side.precision))]
    gr.on(moved, look, sides.inputs(), [sides.notice, sides.fit, changes], trigger_mode="always_last", **QUIET)

    def taken(fits: tuple[tuple[int, str], ...]) -> Updates:
        return {precisions_of[index]: precision for index, precision in fits}

    sides.fit.click(taken, changes, precisions_of, **QUIET)


def shortage_in(page: Page, values: Updates) -> Shortage | None:
    """What the sides of the bar lack beside each other."""
    try:
        return shortage_of(page.bench, page.sides.chosen(page.bench, values))
    except BadRequest:  # a model that is gone is told when it is asked
        return None


def in_use(sides: Sides, count: int, values: Updates) -> Updates:
    """The page with `count` sides, each at its model and precision from `values`."""
    count = max(1, min(MOST_SIDES, count))
    # gr.update, not the classes themselves: this is asked while the page is built too, for what it updates.
    updates: Updates = {sides.count: count}
    for side in sides.all:
        updates[side.model] = gr.update(value=values[side.model], label=_label("Model", side.index, count))
        updates[side.precision] = gr.update(value=values[side.precision], label=_label("Precision", side.index, count))
        for part in sides.followers.get(side.index, ()):
            updates[part] = gr.update(visible=side.index < count)
    updates[sides.add] = gr.update(visible=count < MOST_SIDES)
    updates[sides.swap] = gr.update(visible=count > 1)
    return updates


def moved_down(sides: Sides, values: Updates, index: int) -> Updates:
    """The values once side `index` is gone: those after it each move one place to the left."""
    moved = dict(values)
    for here, after in zip(sides.all[index:], sides.all[index + 1 :], strict=False):
        moved[here.model], moved[here.precision] = values[after.model], values[after.precision]
    return moved


def _followers(sides: Sides) -> list[Any]:
    return [part for parts in sides.followers.values() for part in parts]


def _label(what: str, index: int, count: int) -> str:
    """A control's label; a page with one side needs no letter."""
    return f"{what} {LETTERS[index]}" if count > 1 or index else what


def _models(bench: Bench, picked: str) -> Any:
    """The list of models as it is now, keeping what was picked while it is still there."""
    names = list(bench.specs())
    return gr.Dropdown(names, value=picked if picked in names else spec_name(bench.first_spec()))
