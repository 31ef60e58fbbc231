"""Looks after the page's server: when its queue or its event loop is dead it says so, and ends the process.

Whoever started the process (a Space, Docker, systemd) then starts it anew. What was done of benchmarks is on the disk.
"""

import asyncio
import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from gradio import Blocks

DEAD = 70
"""The exit status, EX_SOFTWARE of sysexits.h."""
LOOK_SECONDS, BEAT_SECONDS = 1.0, 0.5
STUCK_SECONDS = 30.0
"""That an event may wait while there is room to run it."""
SILENT_SECONDS = 60.0
"""That the event loop may be held up."""
LEFT_SECONDS = 10.0
"""Between the end and the process's, in which the health check tells it."""
_log = logging.getLogger(__name__)


class Watchdog:
    """Watches one page.

    `why_dead` is set by its thread alone, and read by all; so is the time of the last beat by the event loop.
    """

    def __init__(self, page: Blocks, clock: Callable[[], float] = time.monotonic):
        self._page, self._clock = page, clock
        self._beat: float | None = None
        self._stuck_since: float | None = None
        self.why_dead = ""
        """Empty while all is well."""

    @asynccontextmanager
    async def beating(self, application: Any) -> AsyncIterator[None]:
        """The lifespan of the server, in whose event loop it beats."""
        task = asyncio.create_task(self._keep_beating())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            self._beat = None

    def start(self, leave: Callable[[int], object] = os._exit) -> None:
        """Watches from now on, in a thread."""
        threading.Thread(target=self._watch, args=(leave,), name="watchdog", daemon=True).start()

    def look(self) -> str:
        """What is dead now, if anything is."""
        now, queue = self._clock(), self._page._queue
        if self._page.is_running and queue.stopped:
            return "The page's queue has stopped."
        if self._beat is not None and now - self._beat > SILENT_SECONDS:
            return f"The server's event loop has not moved for {SILENT_SECONDS:.0f} seconds."
        if not self._could_run_more():
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = now
        elif now - self._stuck_since > STUCK_SECONDS:
            return f"Nothing that waits has been begun for {STUCK_SECONDS:.0f} seconds, though there is room."
        return ""

    def _could_run_more(self) -> bool:
        """Whether an event has waited for long though it need not."""
        queue, now = self._page._queue, time.monotonic()
        if None not in queue.active_jobs:
            return False
        return any(
            lane.queue
            and (lane.concurrency_limit is None or lane.current_concurrency < lane.concurrency_limit)
            and now - lane.queue[0].enqueue_time > STUCK_SECONDS
            for lane in list(queue.event_queue_per_concurrency_id.values())
        )

    def _watch(self, leave: Callable[[int], object]) -> None:
        while not self.why_dead:
            time.sleep(LOOK_SECONDS)
            self.why_dead = self.look()
        _log.critical("%s The process ends in %.0f seconds, to be started anew.", self.why_dead, LEFT_SECONDS)
        faulthandler.dump_traceback(file=sys.stderr)
        time.sleep(LEFT_SECONDS)
        if self._page.is_running:  # not while it is being stopped anyway
            leave(DEAD)

    async def _keep_beating(self) -> None:
        while True:
            self._beat = self._clock()
            await asyncio.sleep(BEAT_SECONDS)
