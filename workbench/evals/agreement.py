"""How often several runs say the same of an example, right or wrong."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.errors import BadRequest
from workbench.evals.paired import Side, check_comparable
from workbench.json_values import json_value

Matrix = tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True)
class Agreement:
    """A row and a column for each run, in the order given."""

    names: tuple[str, ...]
    n: int
    """Examples that all runs share and at least one answered."""
    share: Matrix
    """Of equal answers."""
    kappa: Matrix
    """The share beyond chance (Cohen, 1960); None where both always say the same one thing, which chance explains."""


def agreement(sides: Sequence[Side]) -> Agreement:
    """How often each two of several runs answer alike, over the examples that all of them share.

    Raises:
        BadRequest: fewer than two runs, different tasks, or no example in common that has an answer.
    """
    check_comparable(sides)
    answers = [{(one.id, one.digest): _written(one.answer) for one in side.predictions} for side in sides]
    shared = [key for key in answers[0] if all(key in given for given in answers)]
    spoken = [key for key in shared if any(given[key] != _written(None) for given in answers)]
    if not spoken:
        raise BadRequest(
            "The runs have no answered example in common. Choose runs of the same task on the same data, of a kind "
            "that has answers."
        )
    columns = [[given[key] for key in spoken] for given in answers]
    return Agreement(
        names=tuple(side.name for side in sides),
        n=len(spoken),
        share=tuple(tuple(_share(a, b) for b in columns) for a in columns),
        kappa=tuple(tuple(cohens_kappa(a, b) for b in columns) for a in columns),
    )


def cohens_kappa(a: Sequence[str], b: Sequence[str]) -> float | None:
    """(observed - expected) / (1 - expected) share of equal answers; None where the expected one is 1."""
    given_a, given_b = Counter(a), Counter(b)
    by_chance = sum(count * given_b[answer] for answer, count in given_a.items())
    if by_chance == len(a) ** 2:
        return None
    expected = by_chance / len(a) ** 2
    return (_share(a, b) - expected) / (1 - expected)


def _share(a: Sequence[str], b: Sequence[str]) -> float:
    return sum(one == other for one, other in zip(a, b, strict=True)) / len(a)


def _written(answer: object) -> str:
    """Answers are compared as they are recorded."""
    return json.dumps(json_value(answer), sort_keys=True)
