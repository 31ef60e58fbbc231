"""Turning a model's pace into the page's: at most ten updates a second, and work that reports while it runs."""

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator

from workbench.loading.load import LoadProgress
from workbench.manager import LoadedModel, ModelManager, ModelSpec
from workbench.text.language_model import LanguageModel
from workbench.text.requests import Generate, Generated

UPDATE_SECONDS = 0.1


def paced(
    model: LanguageModel, request: Generate, clock: Callable[[], float] = time.monotonic
) -> Generator[Generated, None, None]:
    """The model's snapshots, at most one each `UPDATE_SECONDS` besides the first and the last.

    Closing this generator closes the model's stream, which frees its slot in the engine.
    """
    stream = model.stream(request)
    shown_at = -UPDATE_SECONDS
    try:
        for snapshot in stream:
            if snapshot.finish_reason is not None or clock() - shown_at >= UPDATE_SECONDS:
                shown_at = clock()
                yield snapshot
    finally:
        stream.close()


def load_steps(manager: ModelManager, spec: ModelSpec) -> Iterator[LoadProgress | LoadedModel | None]:
    """Loads a model in a thread of its own; yields the latest progress (None while it waits) and, last, the model.

    Closing this generator leaves the load running: a half-loaded model is of use to nobody, a loaded one is.

    Raises:
        Exception: whatever the load raised.
    """
    steps: queue.SimpleQueue[LoadProgress | LoadedModel | Exception] = queue.SimpleQueue()
    threading.Thread(target=_load, args=(manager, spec, steps), name=f"load {spec.checkpoint}", daemon=True).start()
    latest: LoadProgress | LoadedModel | None = None
    while not isinstance(latest, LoadedModel):
        latest = _newest(steps, latest)
        yield latest


def _load(manager: ModelManager, spec: ModelSpec, steps: queue.SimpleQueue) -> None:
    try:
        steps.put(manager.load(spec, steps.put))
    except Exception as error:  # handed to the waiting generator, which raises it
        steps.put(error)


def _newest(steps: queue.SimpleQueue, latest: LoadProgress | None) -> LoadProgress | LoadedModel | None:
    """The last step that came within one update's time."""
    until = time.monotonic() + UPDATE_SECONDS
    while (wait := until - time.monotonic()) > 0:
        try:
            step = steps.get(timeout=wait)
        except queue.Empty:
            break
        if isinstance(step, Exception):
            raise step
        latest = step
        if isinstance(step, LoadedModel):
            break
    return latest
