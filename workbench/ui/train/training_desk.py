"""One training at a time: it takes the machine's memory and cores, and writes files."""

import threading

from workbench.errors import Busy


class TrainingDesk:
    """Where a training of this page server sits; `_lock` protects who does, and what stops it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._name = ""
        self._stop: threading.Event | None = None

    @property
    def is_taken(self) -> bool:
        """Whether a training is under way."""
        return self._stop is not None

    def take(self, name: str) -> threading.Event:
        """Seats a training; gives the event that stops it.

        Raises:
            Busy: another one is under way.
        """
        with self._lock:
            if self._stop is not None:
                raise Busy(
                    f"The head {self._name!r} is being trained at the moment, and there is room for one training. "
                    "Wait for its end, or stop it."
                )
            self._name, self._stop = name, threading.Event()
            return self._stop

    def leave(self) -> None:
        """The training is over, its thread included."""
        with self._lock:
            self._stop = None

    def stop(self) -> bool:
        """Asks the training to end after its step; False when there is none."""
        with self._lock:
            if self._stop is not None:
                self._stop.set()
            return self._stop is not None
