"""From rows to what a head learns from: token ids and a target, and which of them are never trained on."""

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import BadRequest


@dataclass(frozen=True)
class Example:
    """What the network reads at once, and what it should say."""

    tokens: tuple[int, ...]
    target: tuple[float, ...]
    """The number of the class; zeros and ones, one a label; the number to regress; or a span's first and last token."""


@dataclass(frozen=True)
class Split:
    """The examples to train on and those to validate with."""

    training: tuple[Example, ...]
    validation: tuple[Example, ...]
    facts: dict[str, Any]
    """For the card: the files and what became of their rows."""


def held_back(groups: Sequence[Hashable], share: float, seed: int) -> list[bool]:
    """For each row whether it validates: whole groups, in a seeded order, until their rows make up the share.

    Rows of one group (the same text, the same passage) are never on both sides. At least one row is on each side,
    unless the share is 0 or there is one group alone.
    """
    rows: dict[Hashable, list[int]] = {}
    for row, group in enumerate(groups):
        rows.setdefault(group, []).append(row)
    chosen = [False] * len(groups)
    wanted = round(share * len(groups)) if share else 0
    count = 0
    for number in np.random.default_rng((seed, 0)).permutation(len(rows))[:-1]:
        if share and (count == 0 or count < wanted):
            members = list(rows.values())[number]
            count += len(members)
            for row in members:
                chosen[row] = True
    return chosen


def file_facts(path: Path) -> dict[str, Any]:
    """What the card says of a data file: its name and the SHA-256 of its content.

    Raises:
        BadRequest: it can't be read.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadRequest(f"{path} can't be read: {error.strerror or error}. Give the path of a data file.") from error
    return {"file": path.name, "sha256": digest}
