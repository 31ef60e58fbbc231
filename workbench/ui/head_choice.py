"""Which method answers: the bare language model, or one of the trained heads that fit the model; and a head's facts."""

from collections import Counter
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any, Literal

from workbench.errors import BadRequest, CannotLoad
from workbench.loading.heads import HeadCard
from workbench.manager import ModelSpec
from workbench.ui.bench import Bench
from workbench.ui.parts import chip

Kind = Literal["classify", "answer"]

LANGUAGE_MODEL = ""
"""The choice's value for the method that needs no head."""
METHOD_WORDS = "The bare model, or a head: a small part that was trained on top of it."
"""What the list of methods says of itself."""
_FACTS_SHOWN = 6
_FIGURE_WORDS = {"exact": "exact match", "f1": "F1", "macro_f1": "macro F1"}
_IN_PERCENT = {"accuracy": 100, "exact": 1, "f1": 1}
"""Figures that are shown in percent, by the last part of their names, and what makes percent of what cards hold."""
_DATA_SHOWN = ("file", "rows", "questions", "training", "validation_rows")
_FACT_CHARACTERS = 60
_FOLDERS_SHOWN = 3


def fitting_heads(bench: Bench, spec: ModelSpec, kind: Kind) -> dict[str, HeadCard]:
    """The trained heads of a kind that fit a model; none where its checkpoint can't be read yet.

    They stand under their names, and those that share a name under their versions: `use_head` takes both.
    """
    try:
        cards = [card for card in bench.manager.heads(spec) if card.kind == kind]
    except CannotLoad:  # picking a model must not fail: it is told when the model is asked
        return {}
    names = Counter(card.name for card in cards)
    return {card.name if names[card.name] == 1 else card.version: card for card in cards}


def method_choices(cards: Mapping[str, HeadCard]) -> list[tuple[str, str]]:
    """Label and value of every method, the language model first; heads that share a name show their folders."""
    return [
        ("Language model, no training", LANGUAGE_MODEL),
        *((f"Trained head: {card.name}{'' if value == card.name else _where(card)}", value)
          for value, card in cards.items()),
    ]  # fmt: skip


def picked_head(bench: Bench, spec: ModelSpec, kind: Kind, name: str | None, as_a: bool = False) -> HeadCard | None:
    """The card of a picked method; None for the language model.

    Args:
        as_a: it was picked for side A, whose settings another side shares.

    Raises:
        BadRequest: there is no such head (any more), or several share the name; the message lists those there are.
    """
    if not name:
        return None
    cards = fitting_heads(bench, spec, kind)
    if name not in cards:
        shared = any(card.name == name for card in cards.values())
        why = f"Several heads are called {name!r}." if shared else f"There is no head {name!r} for this model."
        there = f"There are: {', '.join(cards)}." if cards else "There is none yet: train one on the Train tab."
        own = " This side is asked as A: untick “As A” in its settings and pick its own method." if as_a else ""
        raise BadRequest(f"{why} {there}{own}")
    return cards[name]


def served_head(bench: Bench, spec: ModelSpec, kind: Kind, head: Any) -> str | None:
    """The head that an endpoint's caller means, as `use_head` takes it for this kind; None for the language model.

    On this machine alone it may be a folder; on a public address only a head listed here.

    Raises:
        BadRequest: it is no text, or a public page does not list it.
    """
    if head is not None and not isinstance(head, str):
        raise BadRequest(f"head is {head!r}; it must be a text.")
    if head is None or not head.strip():
        return None
    if bench.settings.serves_locally:
        return head.strip()
    picked_head(bench, spec, kind, head.strip())
    return head.strip()


def card_markup(card: HeadCard) -> str:
    """A head's facts: how and on what it was trained, and how well it did."""
    chips = "".join(chip(str(fact)) for fact in (card.method, card.precision, *card.labels[:_FACTS_SHOWN]) if fact)
    figures = "".join(_figure(name, value) for name, value in list(card.metrics.items())[:_FACTS_SHOWN])
    known = [(name, card.data.get(name)) for name in _DATA_SHOWN]
    data = ", ".join(_fact(name, value) for name, value in known if isinstance(value, str | int) and value != "")
    origin = f"Trained on the model {card.trunk_name}" + (f" with {data}." if data else ".")
    return (
        f'<div class="method-facts" role="group" aria-label="About this head"><p class="chips">{chips}</p>'
        f'<dl class="card-facts">{figures}</dl><p>{escape(origin)}</p></div>'
    )


def _where(card: HeadCard) -> str:
    """The end of its folder's path: the whole one is no visitor's business."""
    return "" if card.folder is None else f" ({Path(*card.folder.parts[-_FOLDERS_SHOWN:])})"


def _fact(name: str, value: Any) -> str:
    shown = f"{value:,}" if isinstance(value, int) else str(value)[:_FACT_CHARACTERS]
    return shown if name == "file" else f"{shown} {name.replace('_', ' ')}"


def _figure(name: str, value: Any) -> str:
    rows = next((rows for rows in ("validation", "test") if name.startswith(f"{rows}_")), "")
    figure = name.removeprefix(f"{rows}_")
    words = f"{rows} {_FIGURE_WORDS.get(figure, figure)}".strip().replace("_", " ")
    if not isinstance(value, int | float):
        shown = str(value)
    elif figure in _IN_PERCENT:
        shown = f"{value * _IN_PERCENT[figure]:.1f} %"
    else:
        shown = f"{value:.3g}"
    return f"<div><dt>{escape(words)}</dt><dd>{escape(shown)}</dd></div>"
