"""Work that takes long, in a thread of its own: a page hears of it ten times a second and can always leave it."""

import queue
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from workbench.ui.generate.streams import UPDATE_SECONDS

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class _Ended(Generic[Result]):
    result: Result | None


def followed(
    work: Callable[[], Generator[Item, None, Result]], stop: threading.Event | None = None
) -> Generator[list[Item], None, Result | None]:
    """Runs a generator in a thread; yields what it yielded, in order, every `UPDATE_SECONDS` (empty while it works).

    Returns what the work returned; None when it was stopped. Setting `stop` closes the work after the step it is in,
    and this generator ends once that is done; closing this generator sets `stop` too and does not wait.

    Raises:
        Exception: whatever the work raised.
    """
    stop = stop or threading.Event()
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_run, args=(work, stop, told), name="work behind a page", daemon=True).start()
    ended: _Ended[Result] | None = None
    try:
        while ended is None:
            items, ended = _within_one_update(told)
            if items or ended is None:
                yield items
        return ended.result
    finally:
        if ended is None:  # left early, however it was left
            stop.set()


def _run(work: Callable[[], Generator[Any, None, Any]], stop: threading.Event, told: queue.SimpleQueue[Any]) -> None:
    try:
        steps = work()
        while not stop.is_set():
            told.put(next(steps))
        steps.close()
        told.put(_Ended(None))
    except StopIteration as end:
        told.put(_Ended(end.value))
    except Exception as error:  # handed to the waiting generator, which raises it
        told.put(error)


def _within_one_update(told: queue.SimpleQueue[Any]) -> tuple[list[Any], _Ended[Any] | None]:
    """What came within one update's time, and the end if it was among it."""
    items: list[Any] = []
    until = time.monotonic() + UPDATE_SECONDS
    while (wait := until - time.monotonic()) > 0:
        try:
            item = told.get(timeout=wait)
        except queue.Empty:
            break
        if isinstance(item, _Ended):
            return items, item
        if isinstance(item, Exception):
            if not items:
                raise item
            told.put(item)  # first what came before it, so that nothing is lost
            break
        items.append(item)
    return items, None
