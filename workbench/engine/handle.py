"""The handle between whoever asked and the engine that answers."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Generic

from workbench.engine.jobs import Job, Result, Token
from workbench.errors import Cancelled


def _nobody() -> None:
    """Who computes looks at `cancelled` by itself."""


@dataclass
class Handle(Generic[Result]):
    """The asker's end of a job: iterate it for tokens as they come, ask for its result, or cancel it.

    The engine's thread writes, one asker reads; the queue and the event are what they share.
    """

    job: Job
    _events: "queue.SimpleQueue[Token | None]" = field(default_factory=queue.SimpleQueue)
    _done: threading.Event = field(default_factory=threading.Event)
    _result: Result | None = None
    _error: BaseException | None = None
    cancelled: bool = False
    ended_at: float = 0.0
    """When the job ended, on time.monotonic's clock in seconds; 0.0: it has not."""
    on_cancel: Callable[[], None] = _nobody
    """Wakes who computes, where it would not see in time that the job is cancelled."""

    def __iter__(self) -> Iterator[Token]:
        """Tokens as they are decoded; raises what the job failed with."""
        return (token for token in self.events(None) if token is not None)

    def events(self, heartbeat_seconds: float | None) -> Iterator[Token | None]:
        """As iterating, with a None whenever so much time passes without a token, so that a waiting asker can leave."""
        while True:
            try:
                token = self._events.get(timeout=heartbeat_seconds)
            except queue.Empty:
                yield None
                continue
            if token is None:
                break
            yield token
        self._events.put(None)  # whoever iterates again must not wait for ever
        if self._error is not None:
            raise self._error

    def result(self, timeout_seconds: float | None = None) -> Result:
        """Waits for the end and gives the result, or raises what the job failed with."""
        if not self._done.wait(timeout_seconds):
            raise TimeoutError(f"no result within {timeout_seconds} s")
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    @property
    def done(self) -> bool:
        """Whether the job has ended, well or not."""
        return self._done.is_set()

    def cancel(self) -> None:
        """Asks the engine to drop the job; it leaves on the engine's next step."""
        self.cancelled = True
        self.on_cancel()

    def emit(self, token: Token) -> None:
        """For the engine: hands a token to the asker, stamped now, so that a slow asker does not slow the clock."""
        self._events.put(replace(token, emitted_at=time.monotonic()))

    def finish(self, result: Result) -> None:
        """For the engine: the job's end."""
        self._result = result
        self._end()

    def fail(self, error: BaseException) -> None:
        """For the engine: the job's end, with an error."""
        self._error = error
        self._end()

    def drop(self) -> None:
        """For the engine: the end of a cancelled job."""
        self.fail(Cancelled("The request was stopped before it was done."))

    def _end(self) -> None:
        self.ended_at = time.monotonic()
        self._done.set()
        self._events.put(None)
