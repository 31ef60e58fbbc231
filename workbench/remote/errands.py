"""Coroutines under way for callers in other threads."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from workbench.engine.handle import Handle
from workbench.engine.jobs import Result
from workbench.errors import Cancelled

Found = TypeVar("Found")
Work = Callable[[Handle[Result]], Coroutine[Any, Any, Result]]


class Errands:
    """A thread with an event loop in which all requests to one server wait.

    `_lock` protects `closed`: nothing begins once the loop is about to end.
    """

    def __init__(self, name: str):
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        """Touched in the loop alone."""
        self._lock, self.closed = threading.Lock(), False
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"remote {name}", daemon=True)
        self._thread.start()

    def begin(self, handle: Handle[Result], work: Work[Result]) -> None:
        """Starts what answers a handle; cancelling the handle ends it at once, with its connection.

        Raises:
            Cancelled: closed.
        """
        with self._lock:
            if self.closed:
                raise Cancelled("The model was unloaded. Choose a loaded model.")
            self._loop.call_soon_threadsafe(self._start, handle, work)

    def wait_for(self, doing: Coroutine[Any, Any, Found]) -> Found:
        """What a coroutine finds, for a caller with nothing else to do."""
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result()

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Ends everything under way with Cancelled, then does one thing more and ends the thread."""
        with self._lock:
            if self.closed:
                last.close()
                return
            self.closed = True
        self.wait_for(self._end_all(last))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _start(self, handle: Handle[Result], work: Work[Result]) -> None:
        task = self._loop.create_task(_answer(handle, work))
        self._tasks.add(task)

        def wake() -> None:
            with self._lock:
                if not self.closed:
                    self._loop.call_soon_threadsafe(task.cancel)

        def ended(_: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not handle.done:  # it was cancelled before it began
                handle.drop()

        task.add_done_callback(ended)
        handle.on_cancel = wake
        if handle.cancelled:  # before there was anybody to wake
            task.cancel()

    async def _end_all(self, last: Coroutine[Any, Any, None]) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await last


async def _answer(handle: Handle[Result], work: Work[Result]) -> None:
    """Does the work; whatever comes of it reaches the asker."""
    try:
        handle.finish(await work(handle))
    except asyncio.CancelledError:
        handle.drop()
        raise
    except Exception as error:
        handle.fail(error)


async def together(doing: Iterable[Coroutine[Any, Any, Found]]) -> list[Found]:
    """What several coroutines find; where one fails, the others are ended."""
    tasks = [asyncio.ensure_future(one) for one in doing]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
