"""The shape that every promise of the reliability suite has: what is promised, how it is tried, what breaks it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

SHOWN_FAILURES = 10
"""Of a check; the others are counted."""


@dataclass(frozen=True)
class Outcome:
    """What a check found."""

    level: str
    """What was reached, one sentence with its figures."""
    counts: Mapping[str, float | str] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    """What broke the promise; empty: it held."""


@dataclass(frozen=True)
class Mutant:
    """One guard taken away: the check must notice, or it could not fail."""

    name: str
    patch: Callable[[], AbstractContextManager[object]]
    """While the context lasts, the guard is gone."""
    size: int | None = None
    """How much must be tried to see it; None: as much as in the short form."""


@dataclass(frozen=True)
class Goal:
    """A promise and how it is kept to."""

    name: str
    """As reliability.md numbers it: "G1"."""
    promise: str
    peer: str
    """What the strongest peer promises or tests."""
    unit: str
    """What `size` counts."""
    short: int
    """Size for every landing."""
    full: int
    """Size of the full form."""
    check: Callable[[int, int], Outcome]
    """Tries so much, from this seed."""
    mutants: tuple[Mutant, ...] = ()


def tried(goal: Goal, size: int, seed: int = 0) -> Outcome:
    """The check's outcome; an assertion that fails or a wait without end is a failure like any other."""
    try:
        found = goal.check(size, seed)
    except (AssertionError, TimeoutError) as error:
        return Outcome("broken", {}, (f"{type(error).__name__}: {error}",))
    more = len(found.failures) - SHOWN_FAILURES
    if more <= 0:
        return found
    return Outcome(found.level, found.counts, (*found.failures[:SHOWN_FAILURES], f"and {more} more"))


def caught(goal: Goal, mutant: Mutant, seed: int = 0) -> tuple[str, ...]:
    """What the check says with the guard taken away; empty: nothing, and the check is worth nothing."""
    with mutant.patch():
        return tried(goal, goal.short if mutant.size is None else mutant.size, seed).failures
