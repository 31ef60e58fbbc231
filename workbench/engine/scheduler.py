"""Who computes next: pure Python, so that thousands of interleavings can be tested without a model.

One turn is at most one solo step (a prefill chunk, a scored continuation), taken round robin, and one row step of all
streams together. So a long prompt delays a running stream by one chunk at a time, and a newcomer waits for one step.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Generic, Protocol, TypeVar

from workbench.engine.handle import Handle
from workbench.errors import Busy, DeadlinePassed


class Work(Protocol):
    """A job under way."""

    handle: Handle
    slots: int
    """Rows it needs at most; 0: it never takes part in a row step."""
    apart: bool
    """Whether another thread may compute its solo steps while this one computes something else."""
    exclusive: bool
    """Whether nothing else may be computed during its solo steps."""
    done: bool

    @property
    def row_count(self) -> int:
        """Rows in the next row step; 0 asks for a solo step instead."""


AnyWork = TypeVar("AnyWork", bound=Work)


class Scheduler(Generic[AnyWork]):
    """Waiting, admitted and finished work. Not thread-safe: the engine calls it under its lock or from its thread.

    Args:
        max_rows: streams (or beams) decoding at a time, and as many jobs that take no rows.
        max_waiting: jobs waiting for admission before newcomers are refused.
        wait_seconds, run_seconds: how long a job may wait for admission, and how long it may take from then on.
        clock: in seconds, never set back.
    """

    def __init__(
        self,
        max_rows: int,
        max_waiting: int,
        wait_seconds: float = math.inf,
        run_seconds: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._max_rows, self._max_waiting = max_rows, max_waiting
        self._wait_seconds, self._run_seconds, self._clock = wait_seconds, run_seconds, clock
        self._since: dict[int, float] = {}
        """When each work, by id, began to wait, or to be computed."""
        self._waiting: deque[AnyWork] = deque()
        self._admitted: deque[AnyWork] = deque()
        self._busy: set[int] = set()
        """Work that a thread is computing now, by id: nobody else touches it."""

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._waiting and not self._admitted

    @property
    def jobs(self) -> Sequence[AnyWork]:
        """All work, admitted first."""
        return [*self._admitted, *self._waiting]

    def add(self, work: AnyWork) -> None:
        """Queues a job.

        Raises:
            Busy: too many are waiting.
        """
        if len(self._waiting) >= self._max_waiting:
            ahead = len(self._waiting)
            raise Busy(f"{ahead} requests are waiting already. Try again in a moment.", ahead)
        self._waiting.append(work)
        self._since[id(work)] = self._clock()

    def sweep(self) -> list[AnyWork]:
        """Forgets finished work and takes out what was cancelled, for the engine to drop; then admits who fits."""
        free = [work for work in self.jobs if id(work) not in self._busy]
        cancelled = [work for work in free if work.handle.cancelled and not work.done]
        gone = {id(work) for work in cancelled} | {id(work) for work in self._admitted if work.done}
        self._waiting = deque(work for work in self._waiting if id(work) not in gone)
        self._admitted = deque(work for work in self._admitted if id(work) not in gone)
        for left in gone:
            self._since.pop(left, None)
        self._admit()
        return cancelled

    def overdue(self) -> list[tuple[AnyWork, DeadlinePassed]]:
        """What has waited or been computed for too long, and why it is to be failed; nobody computes it now."""
        if math.isinf(min(self._wait_seconds, self._run_seconds)):
            return []
        now = self._clock()
        waited = [work for work in self._waiting if now - self._since[id(work)] > self._wait_seconds]
        ran = [work for work in self._admitted if now - self._since[id(work)] > self._run_seconds]
        late = [(work, f"waited for its turn for {self._wait_seconds:g} seconds. Try again later.") for work in waited]
        late += [(work, f"took {self._run_seconds:g} seconds. Make it shorter, or try again later.") for work in ran]
        return [
            (work, DeadlinePassed(f"The request was stopped: it {what}"))
            for work, what in late
            if not work.done and id(work) not in self._busy
        ]

    def remove(self, work: AnyWork) -> None:
        """Takes failed work out."""
        self._waiting = deque(other for other in self._waiting if other is not work)
        self._admitted = deque(other for other in self._admitted if other is not work)
        self._since.pop(id(work), None)

    def give_up(self) -> Sequence[AnyWork]:
        """Takes out all that is being computed, or where nothing is, all that waits."""
        works = [*(self._admitted or self._waiting)]
        for work in works:
            self.remove(work)
        return works

    def begin(self, work: AnyWork) -> None:
        """A thread starts to compute this work."""
        self._busy.add(id(work))

    def end(self, work: AnyWork) -> None:
        """It is done with its step."""
        self._busy.discard(id(work))

    def next_solo(self, kinds: Collection[bool] = (True, False)) -> AnyWork | None:
        """The work whose turn it is to compute alone; the others keep their order.

        Args:
            kinds: of work to choose from: that which may be computed apart (True), and the other (False).
        """
        for work in self._admitted:
            if work.row_count == 0 and work.apart in kinds and id(work) not in self._busy and not work.done:
                self._admitted.remove(work)
                self._admitted.append(work)
                return work
        return None

    def row_works(self) -> list[AnyWork]:
        """The work that takes part in the next row step."""
        return [work for work in self._admitted if work.row_count and not work.done]

    def _admit(self) -> None:
        """First come, first served; work that needs no rows does not wait for a free one, only for its own kind."""
        used = sum(work.slots for work in self._admitted)
        alone = sum(work.slots == 0 for work in self._admitted)
        still_waiting: deque[AnyWork] = deque()
        for work in self._waiting:
            # Nobody overtakes a stream that waits for rows, except work that takes none.
            blocked = any(other.slots for other in still_waiting)
            fits = used + work.slots <= self._max_rows or used == 0
            enters = fits and not blocked if work.slots else alone < self._max_rows
            if enters:
                self._admitted.append(work)
                self._since[id(work)] = self._clock()
                used += work.slots
                alone += work.slots == 0
            else:
                still_waiting.append(work)
        self._waiting = still_waiting
