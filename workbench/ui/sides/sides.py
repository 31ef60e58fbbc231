"""The sides of the page: up to three models that answer the same input beside each other, for every tab the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import gradio as gr

from workbench.manager import ModelSpec
from workbench.ui.spec_names import spec_name

LETTERS = ("A", "B", "C")
MOST_SIDES = len(LETTERS)


class SpecList(Protocol):
    """What knows the models that may be picked: a Bench."""

    def spec_named(self, name: str) -> ModelSpec:
        """The model behind a name on the page; BadRequest where there is no such model any more."""
        ...


@dataclass(frozen=True)
class Side:
    """One side's controls in the bar."""

    index: int
    letter: str
    model: gr.Dropdown
    precision: gr.Dropdown
    """Empty where the model's own stands."""


@dataclass(frozen=True)
class Chosen:
    """The model that a side stands for in one run."""

    index: int
    letter: str
    name: str
    """On the page; see `spec_name`."""
    spec: ModelSpec


@dataclass(frozen=True)
class Sides:
    """The bar of sides, as every tab sees it."""

    all: tuple[Side, ...]
    """MOST_SIDES of them; those beyond `count` are hidden."""
    count: gr.State
    """How many are in use, 1..MOST_SIDES."""
    add: gr.Button
    swap: gr.Button
    removes: tuple[gr.Button, ...]
    """Of B and C; pressing B's moves C to its place."""
    notice: gr.HTML
    """Where the bar tells that sides do not fit together."""
    fit: gr.Button
    """Takes the precisions in which they do."""
    followers: dict[int, list[Any]] = field(default_factory=dict)
    """The parts of tabs that are visible only while a side is in use, by its index."""

    def inputs(self) -> set[Any]:
        """What an event needs among its inputs for `chosen`."""
        return {self.count, *(part for side in self.all for part in (side.model, side.precision))}

    def chosen(self, bench: SpecList, values: Mapping[Any, Any]) -> list[Chosen]:
        """The sides in use, in order.

        Raises:
            BadRequest: a model is not on the list any more.
        """
        return [
            chosen_side(bench, side.index, values[side.model], values[side.precision])
            for side in self.all[: values[self.count]]
        ]

    def follow(self, index: int, part: Any) -> None:
        """Makes a part of a tab (a column, an inner tab) visible only while side `index` is in use."""
        self.followers.setdefault(index, []).append(part)


def swapped_side(side: Chosen) -> Chosen:
    """What a side was asked as, called as it is called once A and B have changed places."""
    index = {0: 1, 1: 0}.get(side.index, side.index)
    return replace(side, index=index, letter=LETTERS[index])


def chosen_side(bench: SpecList, index: int, name: str, precision: str | None) -> Chosen:
    """What the two controls of a side stand for; an empty precision is the named model's own.

    Raises:
        BadRequest: the model is not on the list any more.
    """
    spec = bench.spec_named(name)
    if precision:
        spec = replace(spec, precision=precision)
    return Chosen(index, LETTERS[index], spec_name(spec), spec)
