"""The votes of blind comparisons: a line of JSON each, appended to one file, and what they come to."""

import json
import os
import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import NotSaved
from workbench.json_values import json_value

VOTES = "votes.jsonl"
TIE, BAD = "tie", "bad"
LARGEST_BYTES = 64 * 2**20
"""A file that has grown so far takes no more votes: on a public address anybody can vote."""


@dataclass(frozen=True)
class Contender:
    """One of the texts that were compared."""

    name: str
    """What the votes are counted for; no other text of the vote has the same."""
    checkpoint: str
    revision: str | None
    precision: str | None
    settings: dict[str, Any]
    """By their names in Generate."""
    text: str


@dataclass(frozen=True)
class Vote:
    """One comparison and what was said of it."""

    time: str
    """In UTC, as ISO 8601 writes it."""
    prompt: str
    contenders: tuple[Contender, ...]
    """From left to right as they stood."""
    choice: str
    """The place of the better one, from "0" on the left; "tie" or "bad" where there is none."""

    @property
    def winner(self) -> str | None:
        """The better one's name."""
        return self.contenders[int(self.choice)].name if self.choice.isdecimal() else None


@dataclass
class Tally:
    """What the votes on the same contenders come to."""

    names: tuple[str, ...]
    """In the order of the alphabet."""
    wins: Counter[str] = field(default_factory=Counter)
    """By name."""
    ties: int = 0
    bad: int = 0
    """Votes against all."""

    @property
    def votes(self) -> int:
        """How many there are."""
        return self.wins.total() + self.ties + self.bad


class VoteStore:
    """The file of votes. `_lock` lets one vote be written at a time."""

    def __init__(self, folder: Path):
        self.path = folder / VOTES
        self._lock = threading.Lock()

    def append(self, vote: Vote) -> None:
        """One more line, which has reached the disk when this returns.

        Raises:
            NotSaved: the file can't be written, or is too large already.
        """
        line = (json.dumps(json_value(asdict(vote)), ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
        try:
            with self._lock:
                self._append(line)
        except OSError as error:
            reason = error.strerror or error
            raise NotSaved(f"The vote could not be kept: {self.path} can't be written ({reason}).") from error

    def _append(self, line: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a+b") as file:
            size = file.seek(0, os.SEEK_END)
            if size + len(line) > LARGEST_BYTES:
                raise NotSaved(f"The vote was not kept: {self.path} is full. Move it elsewhere to begin a new one.")
            if size:
                file.seek(size - 1)
                if file.read(1) != b"\n":  # a crash cut off the last line: it stays a line of its own
                    line = b"\n" + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> list[Vote]:
        """All votes, in the order they came; lines that are none are passed over."""
        try:
            lines = self.path.read_bytes().splitlines()
        except OSError:
            return []
        votes = []
        for line in lines:
            with suppress(ValueError, TypeError, KeyError):
                votes.append(_vote(json.loads(line)))
        return votes


def tallies(votes: Iterable[Vote]) -> list[Tally]:
    """The votes by who was compared, those with the most votes first."""
    found: dict[tuple[str, ...], Tally] = {}
    for vote in votes:
        names = tuple(sorted(contender.name for contender in vote.contenders))
        tally = found.setdefault(names, Tally(names))
        tally.ties += vote.choice == TIE
        tally.bad += vote.choice == BAD
        if vote.winner is not None:
            tally.wins[vote.winner] += 1
    return sorted(found.values(), key=lambda tally: -tally.votes)


def _vote(record: Any) -> Vote:
    """A line's vote; ValueError, TypeError or KeyError where it is none."""
    contenders = tuple(Contender(**contender) for contender in record["contenders"])
    vote = Vote(**record | {"contenders": contenders})
    texts = (vote.time, vote.prompt, vote.choice, *(one.name for one in contenders), *(one.text for one in contenders))
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a text is something else")
    if vote.choice not in (TIE, BAD, *map(str, range(len(contenders)))):
        raise ValueError("a choice that nobody could make")
    return vote
