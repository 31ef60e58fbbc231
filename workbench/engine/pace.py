"""How fast an engine has been writing, from its recent decoding steps."""

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a record of steps needs no torch
    from workbench.gptj.cache import KVCache

KEPT_STEPS = 16


@dataclass(frozen=True)
class Step:
    """One decoding step."""

    seconds: float
    """From gathering the rows to the last token drawn."""
    streams: int
    rows: int
    """Tokens computed, guesses included."""
    tokens: int
    """Tokens that the texts grew by."""
    cache_bytes: int
    """Keys and values that it read."""
    accepted: int = 0
    """Guesses that came true."""


@dataclass(frozen=True)
class Pace:
    """What some steps come to."""

    steps: int
    tokens_per_second: float
    """Of all streams together."""
    streams: float
    """That wrote at a time, on average."""
    cache_bytes: float
    """Keys and values that a step read, on average."""
    accepted: int = 0
    """Guesses that came true, of all steps."""


class PaceRecord:
    """An engine's latest steps.

    The engine's thread notes them, and anybody reads them. `_lock` protects both lists; it is held to note or to copy
    a step, never during one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alone: deque[Step] = deque(maxlen=KEPT_STEPS)
        self._every: deque[Step] = deque(maxlen=KEPT_STEPS)
        self.lone_steps = 0
        """Steps so far that drew one token of one stream."""

    def note(self, step: Step) -> None:
        """One more step."""
        with self._lock:
            self._every.append(step)
            if step.rows == 1:
                self._alone.append(step)
                self.lone_steps += 1

    @property
    def alone(self) -> Pace | None:
        """Of the latest steps that drew one token of one stream: what reading the weights allows, without guesses."""
        steps = self._copied(self._alone)
        return _pace(steps, len(steps))

    @property
    def every(self) -> Pace | None:
        """Of the latest steps, with all their streams and the guesses that came true."""
        steps = self._copied(self._every)
        return _pace(steps, sum(step.tokens for step in steps))

    def _copied(self, kept: deque[Step]) -> list[Step]:
        with self._lock:
            return list(kept)


def read_bytes(caches: "Iterable[KVCache]") -> int:
    """What a step read of these caches; ask before they are trimmed to what came of it."""
    return sum(len(cache) * (cache[0][0].nbytes + cache[0][1].nbytes) for cache in caches)


def _pace(steps: Sequence[Step], tokens: int) -> Pace | None:
    if not steps:
        return None
    return Pace(
        steps=len(steps),
        tokens_per_second=tokens / sum(step.seconds for step in steps),
        streams=sum(step.streams for step in steps) / len(steps),
        cache_bytes=sum(step.cache_bytes for step in steps) / len(steps),
        accepted=sum(step.accepted for step in steps),
    )
