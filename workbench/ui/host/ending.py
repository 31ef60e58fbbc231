"""How the server ends when it is asked to: nobody new comes in, what runs has a moment, and nothing is lost."""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Protocol

from gradio import Blocks

from workbench.ui.bench import Bench

GRACE_SECONDS = 4.0
"""For what is being written or computed."""
SENT_SECONDS = 0.5
"""For the last words to reach their readers."""
CLOSING_SECONDS = 1.5
"""After which streams that are still open are not waited for."""
AT_MOST_SECONDS = 8.0
"""From the signal to the end, whatever happens: Docker kills after ten, and a busy machine is late."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Door(Protocol):
    """What lets requests in."""

    def close(self) -> None:
        """From now on nobody is let in."""


def wait_for_the_end() -> None:
    """Returns once the process is asked to end; a second request ends it at once."""
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        for one in _SIGNALS:
            signal.signal(one, signal.SIG_DFL)
        asked.set()

    for one in _SIGNALS:
        signal.signal(one, ask)
    while not asked.wait(1.0):  # a wait without an end would not hear of a signal everywhere
        pass


def end(page: Blocks, bench: Bench, door: Door) -> None:
    """Ends the server within `AT_MOST_SECONDS`.

    Benchmarks end after the example at hand and can be resumed; a training keeps its best head so far.
    """
    _later(AT_MOST_SECONDS, lambda: os._exit(0))
    door.close()
    bench.desk.stop_all()
    bench.training.stop()
    until = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < until and not _at_rest(bench):
        time.sleep(0.05)
    bench.manager.close()  # what still runs is told that it was stopped
    time.sleep(SENT_SECONDS)
    _later(CLOSING_SECONDS, lambda: setattr(page.server, "force_exit", True))
    page.close(verbose=False)


def _later(seconds: float, work: Callable[[], object]) -> None:
    """Calls it after so long, unless the process has ended."""
    timer = threading.Timer(seconds, work)
    timer.daemon = True
    timer.start()


def _at_rest(bench: Bench) -> bool:
    leased = any(model.leases for model in bench.manager.loaded())
    return not (leased or bench.desk.busy or bench.training.is_taken)
