"""The threads of an engine: each does its part until the engine closes, or the thread is given up."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

import torch

from workbench.engine.watch import Abandoned

Part = Callable[[], bool]
"""Works for as long as there is something to do, and gives whether there may be more; False ends the thread."""

START_TRIES, START_PAUSE_SECONDS = 50, 0.1
"""To start a thread while memory is short; then the old one goes on, and tries again after its next part."""

_log = logging.getLogger(__name__)


class Crew:
    """Starts a thread for each part, and another in place of one that is given up. Call it under the engine's lock.

    Args:
        parts: of the work, one a thread.
        cpu_threads: that a pass uses; None leaves PyTorch's own number.
        failed: told of an error that no job is to blame for; the thread goes on.
    """

    def __init__(self, parts: Sequence[Part], cpu_threads: int | None, failed: Callable[[BaseException], None]):
        self._parts, self._cpu_threads, self._failed = list(parts), cpu_threads, failed
        self.threads: list[threading.Thread] = []
        """By place: the thread that does each part."""
        self._spoiled: set[threading.Thread] = set()
        for place in range(len(self._parts)):
            self.threads.append(self._thread(place))
        for thread in self.threads:
            thread.start()

    def replace(self, thread: threading.Thread) -> int:
        """Starts another for this one's part, and gives its place."""
        place = self.threads.index(thread)
        self.threads[place] = self._thread(place)
        try:
            self.threads[place].start()
        except RuntimeError:  # no memory for its stack
            self.threads[place] = thread
            raise
        return place

    def spoil(self) -> None:
        """Lets another thread take the calling one's place as soon as what it does is done."""
        self._spoiled.add(threading.current_thread())

    def join(self) -> None:
        """Waits for all threads to end; of those that were given up, for their successors. Not under the lock."""
        while alive := [thread for thread in self.threads if thread.is_alive()]:
            alive[0].join(1)

    def _thread(self, place: int) -> threading.Thread:
        return threading.Thread(target=self._run, args=(self._parts[place],), name="engine", daemon=True)

    @torch.inference_mode()
    def _run(self, part: Part) -> None:
        if self._cpu_threads is not None:
            torch.set_num_threads(self._cpu_threads)
        while True:
            try:
                if not part():
                    return
            except Abandoned:
                return
            except BaseException as error:  # whatever it was, the engine must go on
                _log.exception("the engine failed between two steps")
                self._failed(error)
            if self._succeeded():
                return

    def _succeeded(self) -> bool:
        """Whether another thread does what the calling one did; one that is spoiled waits a while for its successor."""
        me, tries = threading.current_thread(), 0
        while me in self._spoiled and tries < START_TRIES:
            try:
                self.replace(me)
            except RuntimeError:  # memory is still short
                tries += 1
                time.sleep(START_PAUSE_SECONDS)
            else:
                self._spoiled.discard(me)
                return True
        return False
