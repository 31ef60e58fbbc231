"""Blind comparisons: who stands where is drawn by lot, and a vote says which text was better."""

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TypeVar

from workbench.errors import BadRequest
from workbench.ui.generate.generate_columns import Asked, Shown
from workbench.ui.sides.votes import BAD, TIE, Contender, Vote

Item = TypeVar("Item")


def shuffled(items: Sequence[Item]) -> list[Item]:
    """The same in an order that nobody can foresee."""
    order = list(items)
    secrets.SystemRandom().shuffle(order)
    return order


def vote_on(shown: Shown, choice: str) -> Vote:
    """The vote on what is shown; see `Vote` for the choice.

    Raises:
        BadRequest: there is nothing to vote on, or no such column.
    """
    if not shown.blind or not shown.ended:
        raise BadRequest("There is nothing to vote on. Tick Blind comparison and generate with two sides first.")
    names = contender_names(shown)
    if choice not in (TIE, BAD, *map(str, range(len(names)))):
        raise BadRequest(f"There is no column {choice!r}. Open the page again.")
    contenders = tuple(_contender(name, asked) for name, asked in zip(names, shown.columns, strict=True))
    return Vote(datetime.now(UTC).isoformat(timespec="seconds"), shown.prompt, contenders, choice)


def _contender(name: str, asked: Asked) -> Contender:
    spec, settings = asked.side.spec, asdict(asked.request)
    del settings["prompt"]
    return Contender(name, spec.checkpoint, spec.revision, spec.precision, settings, asked.text or "")


def contender_names(shown: Shown) -> list[str]:
    """A name for each column: its model's, with the side's letter where two sides ask the same model."""
    names = [asked.side.name for asked in shown.columns]
    return [
        f"{name} ({asked.side.letter})" if names.count(name) > 1 else name
        for name, asked in zip(names, shown.columns, strict=True)
    ]
