"""The address at work: what is written into it when a tab runs or opens, and a link that is opened."""

import json
from collections.abc import Mapping
from typing import Any

import gradio as gr

from workbench.ui.bench import Bench, Page
from workbench.ui.components import QUIET
from workbench.ui.links.address import TAB, Kept, Reading, read_link, read_parts
from workbench.ui.parts import error_notice, notice
from workbench.ui.sides.asking_sides import chosen_spec
from workbench.ui.sides.sides import Sides
from workbench.ui.sides.sides_bar import in_use

Updates = dict[Any, Any]

_PARTLY = "Not everything of this link could be taken over"


def connect(page: Page, head: gr.HTML, told: gr.HTML, containers: Mapping[str, gr.Tab]) -> None:
    """Connects the address; called when every tab is built.

    Args:
        head: the page's head; its events are a press of `link`, a `run` that begins, and a link to `open`.
        told: where it is said what of a link was ignored.
        containers: every tab by its name.
    """
    address, sides = page.address, page.sides
    picked = [part for side in sides.all for part in (side.model, side.precision)]
    all_kept = [address.kept.get(name) or Kept(name, {}) for name in containers]
    for kept in all_kept:
        own = [*picked, *kept.parts.values()]
        containers[kept.tab].select(None, own, None, js=_tells("opened", [kept]), **QUIET)
    everything = [*picked, *(part for kept in all_kept for part in kept.parts.values())]
    head.link(None, everything, None, js=_tells("link", all_kept), **QUIET)
    head.run(None, everything, None, js=_tells("ran", all_kept), **QUIET)

    def opened(values: Updates, event: gr.EventData) -> Updates:
        updates, words = link_opened(page, {kept.tab: kept for kept in all_kept}, values, event.state)
        return updates | {told: words}

    changed = [page.tabs, told, *in_use(sides, 1, dict.fromkeys(picked)), *everything[len(picked) :]]
    changed += [kept.inner for kept in all_kept if kept.inner is not None]
    step = head.open(opened, sides.inputs(), changed, **QUIET)
    for then, inputs, outputs in address.after:
        step = step.then(then, inputs, outputs, **QUIET)
    _connect_arrival(page)


def _connect_arrival(page: Page) -> None:
    """Lets the browser open the link that a visitor came by, once the lists of the page are up to date."""
    arrivals = [event.then for event in page.address.waited] or [page.blocks.load]
    for arrival in arrivals:
        arrival(None, None, None, js=f"() => window.workbench.arrived({len(arrivals)})", **QUIET)


def link_opened(page: Page, tabs: Mapping[str, Kept], values: Updates, state: Any) -> tuple[Updates, str]:
    """The page as a link has it, and a notice of what could not be taken from it.

    Args:
        values: of the sides, where the link says nothing of them.
    """
    bench, sides = page.bench, page.sides
    try:
        reading = read_link(state)
        updates, picked = _sides_opened(sides, bench, reading, values)
        name = reading.fields.pop(TAB, None)
        kept = tabs.get(name or "")
        if kept is None:
            reading = Reading({}, [*reading.ignored, "it names no tab of this page"])
        else:
            specs = {side.letter.lower(): chosen_spec(bench, side, picked) for side in sides.all}
            updates |= read_parts(kept, reading, bench, specs) | {page.tabs: gr.Tabs(selected=kept.tab)}
        words = reading.told()
    except Exception as error:  # a link may hold anything: the page stays as it is
        return {}, error_notice(error, "The link could not be opened")
    return updates, notice("plain", _PARTLY, f"Ignored: {words}.") if words else ""


def _sides_opened(sides: Sides, bench: Bench, reading: Reading, values: Updates) -> tuple[Updates, Updates]:
    """The sides of a link, and the values of their controls; as they are where it names none."""
    names = [side.letter.lower() for side in sides.all]
    if not any(name in reading.fields for name in names):
        return {}, values
    models, count, found = list(bench.specs()), 0, dict(values)
    for name, asked in zip(names, sides.all, strict=True):
        if name not in reading.fields:
            continue
        side, before = sides.all[count], len(reading.ignored)
        model = reading.take(name, asked.model, models)
        precision = reading.take(f"{name}.precision", asked.precision) or ""
        if len(reading.ignored) == before or not count:  # a side that is not there is left out; A always is
            found |= {side.model: model if model in models else models[0], side.precision: precision}
            count += 1
    return in_use(sides, count, found), found


def _tells(what: str, tabs: list[Kept]) -> str:
    """The browser's side of an event: address.js gets the tabs' layouts and the values of their controls."""
    layouts = json.dumps([kept.layout() for kept in tabs], ensure_ascii=True)
    return f"(...values) => window.workbench.{what}({layouts}, values)"
