"""Notices a step that never ends, so that the engine can go on without the thread that computes it."""

import logging
import math
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

AnyWork = TypeVar("AnyWork")
LOOKS = 4
"""So many times within the longest time that a step may take."""

_log = logging.getLogger(__name__)


class Abandoned(BaseException):
    """Ends a thread that was given up, when it comes back after all; nothing it computed is wanted any more."""


@dataclass(frozen=True)
class _Step(Generic[AnyWork]):
    """A step under way."""

    works: Sequence[AnyWork]
    began: float


class Watch(Generic[AnyWork]):
    """Looks after the steps of an engine's threads. `_lock` protects the record of them; it is held for moments.

    Args:
        longest_seconds: of a step; infinite: nothing is watched.
        give_up: told of the thread that hangs and of what it computed, in the watching thread.
    """

    def __init__(self, longest_seconds: float, give_up: Callable[[threading.Thread, Sequence[AnyWork]], None]):
        self._longest_seconds, self._give_up = longest_seconds, give_up
        self._steps: dict[threading.Thread, _Step[AnyWork]] = {}
        self._lock, self._ended = threading.Lock(), threading.Event()
        if math.isfinite(longest_seconds):
            threading.Thread(target=self._look, name="engine watch", daemon=True).start()

    @contextmanager
    def over(self, works: Sequence[AnyWork]) -> Iterator[None]:
        """While the context lasts, the calling thread computes these.

        Raises:
            Abandoned: at the end, where it took too long.
        """
        me = threading.current_thread()
        with self._lock:
            self._steps[me] = _Step(works, time.monotonic())
        try:
            yield
        finally:
            with self._lock:
                mine = self._steps.pop(me, None)
            if mine is None:
                raise Abandoned

    def close(self) -> None:
        """Looks no more."""
        self._ended.set()

    def _look(self) -> None:
        while not self._ended.wait(self._longest_seconds / LOOKS):
            for thread, works in self._overdue():
                frames = sys._current_frames().get(thread.ident or 0)
                stack = "".join(traceback.format_stack(frames)) if frames is not None else "it has just ended\n"
                _log.error("a step took longer than %g s and is given up:\n%s", self._longest_seconds, stack)
                self._give_up(thread, works)

    def _overdue(self) -> list[tuple[threading.Thread, Sequence[AnyWork]]]:
        """Takes what took too long out of the record: from here on its thread is abandoned."""
        with self._lock:
            before = time.monotonic() - self._longest_seconds
            late = [thread for thread, step in self._steps.items() if step.began < before]
            return [(thread, self._steps.pop(thread).works) for thread in late]
