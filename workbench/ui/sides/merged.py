"""Several streams at once, each in a thread of its own: the page hears of all of them in one update."""

import contextvars
import queue
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from typing import TypeVar

from workbench.ui.generate.streams import UPDATE_SECONDS

Item = TypeVar("Item")


class _Ended:
    """What a thread tells last."""


def merged(streams: Sequence[Iterator[Item]]) -> Generator[dict[int, Item | Exception], None, None]:
    """Runs every stream; yields the newest item of each that has a new one, at most once each `UPDATE_SECONDS`.

    An item that a newer one overtakes is never seen, so each must tell all that those before it told. While nothing
    comes an empty dictionary is yielded, so that the page can always leave. A stream that raises gives its exception
    as its last item, and the others go on. Closing this generator closes every stream after the step it is in and
    does not wait for it.
    """
    told: queue.SimpleQueue[tuple[int, Item | Exception | _Ended]] = queue.SimpleQueue()
    stop = threading.Event()
    for index, stream in enumerate(streams):
        # In a copy of the caller's context: Gradio keeps there which event it is that a stream makes its updates for.
        run = contextvars.copy_context().run
        arguments = (_run, index, stream, told, stop)
        threading.Thread(target=run, args=arguments, name=f"side {index}", daemon=True).start()
    running, shown_at = len(streams), -UPDATE_SECONDS
    try:
        while running:
            items, ended = _newest(told, shown_at + UPDATE_SECONDS, running)
            running -= ended
            shown_at = time.monotonic()
            if items or running:
                yield items
    finally:
        stop.set()


def _run(
    index: int,
    stream: Iterator[Item],
    told: "queue.SimpleQueue[tuple[int, Item | Exception | _Ended]]",
    stop: threading.Event,
) -> None:
    """One stream's thread."""
    try:
        while not stop.is_set():
            told.put((index, next(stream)))
    except StopIteration:
        pass
    except Exception as error:  # handed on: whoever shows the stream tells it
        told.put((index, error))
    finally:
        if isinstance(stream, Generator):
            stream.close()
        told.put((index, _Ended()))


def _newest(
    told: "queue.SimpleQueue[tuple[int, Item | Exception | _Ended]]", until: float, running: int
) -> tuple[dict[int, Item | Exception], int]:
    """The newest of what comes until then, and how many streams ended; after a pause, the first that comes."""
    items: dict[int, Item | Exception] = {}
    ended, wait = 0, UPDATE_SECONDS
    while wait > 0 and ended < running:
        try:
            index, item = told.get(timeout=wait)
        except queue.Empty:
            break
        if isinstance(item, _Ended):
            ended += 1
        else:
            items[index] = item
        wait = until - time.monotonic()
    return items, ended
