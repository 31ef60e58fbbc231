"""What of the page stands in its address, so that a link opens it again: what each tab keeps there, and how it is read.

A link's state stands behind the "#", which browsers never send to a server: tab=Generate&a=demo&prompt=Once&top_p=0.5.
What it does not name is at its default. The browser's side is address.js.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr

from workbench.errors import BadRequest
from workbench.manager import ModelSpec
from workbench.ui.links.address_values import default_of, value_of
from workbench.ui.sides.sides import SpecList

Known = Callable[[Any, ModelSpec], Collection[str]]
"""The values that a list may have now, given the Bench and the model of the control's side."""

TAB, PART, LEFT_OUT = "tab", "part", "left_out"
MOST_FIELDS = 200
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Kept:
    """What one tab keeps in the address."""

    tab: str
    parts: dict[str, Any]
    """The controls, by their names in a link. An uploaded file stands in no link, but it can name a run."""
    runs: tuple[gr.Button, ...] = ()
    """The buttons at whose press the address and the browser's history are written."""
    titles: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The parts of which the first that is not empty names a run in the history, by inner tab or kind; "" for all."""
    known: Mapping[str, Known] = field(default_factory=dict)
    inner: gr.Tabs | None = None
    """The tabs within the tab; which of them is open stands in a link too."""
    kind: str = ""
    """The part whose value is looked up in `titles`, where there are no inner tabs."""
    drawn: Mapping[str, str] = field(default_factory=dict)
    """The parts that a run sets itself where the tick beside each is set, by the names of both."""

    def layout(self) -> dict[str, Any]:
        """What the browser needs to write this tab's state."""
        return {
            "tab": self.tab, "names": list(self.parts), "defaults": [part.value for part in self.parts.values()],
            "titles": {key: list(names) for key, names in self.titles.items()}, "kind": self.kind,
            "runs": [button.elem_id for button in self.runs], "inner": self.inner.elem_id if self.inner else "",
            "drawn": dict(self.drawn),
        }  # fmt: skip

    def inner_names(self) -> list[str]:
        """The inner tabs; the first stands in no link."""
        return [str(tab.id) for tab in self.inner.children if isinstance(tab, gr.Tab)] if self.inner else []


@dataclass
class Address:
    """What the tabs want kept, gathered while the page is built."""

    kept: dict[str, Kept] = field(default_factory=dict)
    waited: list[Any] = field(default_factory=list)
    after: list[tuple[Any, ...]] = field(default_factory=list)

    def keeps(self, kept: Kept) -> None:
        """Puts a tab's controls into the address."""
        self.kept[kept.tab] = kept

    def waits_for(self, arrival: Any) -> None:
        """Applies a link only after this event of the page's load, which sets values too."""
        self.waited.append(arrival)

    def afterwards(self, step: Callable[..., Any], inputs: Any, outputs: Any) -> None:
        """Runs `step` after a link was applied: what follows from the values that it set."""
        self.after.append((step, inputs, outputs))


@dataclass
class Reading:
    """A link as it is read: its fields, and what of it was ignored."""

    fields: dict[str, str]
    ignored: list[str] = field(default_factory=list)

    def take(self, name: str, part: Any, known: Collection[str] | None = None) -> Any:
        """The value of a control, its default where the link has none, or none that the control can hold."""
        if name not in self.fields:
            return default_of(part)
        text = self.fields.pop(name)
        try:
            return value_of(part, text, known)
        except BadRequest as error:
            self.ignored.append(f"{_cut(name)} = {_cut(text)} {error}")
            return default_of(part)

    def told(self) -> str:
        """What was ignored, in words; empty where nothing was."""
        unknown = [f"{_cut(name)} is no setting of this page" for name in self.fields]
        return "; ".join([*self.ignored, *unknown])


def read_link(state: Any) -> Reading:
    """The fields of a link; of a name that stands there twice, the last."""
    if not isinstance(state, str):
        return Reading({}, ["it is no text"])
    try:
        return Reading(dict(parse_qsl(state, keep_blank_values=True, max_num_fields=MOST_FIELDS)))
    except ValueError:
        return Reading({}, [f"it has more than {MOST_FIELDS} fields"])


def read_parts(kept: Kept, reading: Reading, bench: SpecList, specs: Mapping[str, ModelSpec]) -> dict[Any, Any]:
    """Every control of a tab as a link has it.

    Args:
        specs: the models of the sides, by their letters as they stand before a name: "b.method" is B's.
    """
    left_out = reading.fields.pop(LEFT_OUT, "")
    values: dict[Any, Any] = {}
    if kept.inner is not None:
        values[kept.inner] = gr.Tabs(selected=_inner_opened(kept, reading))
    for name, part in kept.parts.items():
        if isinstance(part, gr.File):
            continue
        side = name.partition(".")[0] if "." in name else "a"
        known = kept.known[name](bench, specs[side]) if name in kept.known else None
        values[part] = "" if name == left_out else reading.take(name, part, known)
    if left_out:
        reading.ignored.append(f"{_cut(left_out)} was too long to be put into the link")
    return values


def _inner_opened(kept: Kept, reading: Reading) -> str:
    """The inner tab of a link, the first where it names none."""
    names = kept.inner_names()
    asked = reading.fields.pop(PART, names[0])
    if asked not in names:
        reading.ignored.append(f"{PART} = {_cut(asked)} is not on the list")
    return asked if asked in names else names[0]


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
