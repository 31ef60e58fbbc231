"""The texts of one request under way: threads write them, the answer's coroutine reads them."""

import asyncio
import threading
from contextlib import closing

from workbench.api.asked import Ask
from workbench.api.choices import Part, written
from workbench.api.refusals import Refused
from workbench.manager import ModelManager, ModelSpec
from workbench.text.language_model import LanguageModel


class Room:
    """How many texts may be under way at a time, for all callers together; its lock protects the count."""

    def __init__(self, most: int = 256):
        self._most, self._lock = most, threading.Lock()
        self.taken = 0
        """Texts under way now."""

    def take(self, texts: int) -> None:
        """Takes room.

        Raises:
            Refused: 429, there is none at the moment.
        """
        with self._lock:
            if self.taken + texts > self._most:
                told = f"{self.taken} texts are being written, and there is room for {self._most}. Try again soon."
                raise Refused(429, told, code="rate_limit_exceeded")
            self.taken += texts

    def leave(self, texts: int) -> None:
        """Gives it back."""
        with self._lock:
            self.taken -= texts


class Work:
    """The texts of one request, under way from the beginning; call `stop` when nobody reads them any more.

    Raises:
        Refused: 429, there is no room.
    """

    def __init__(self, manager: ModelManager, spec: ModelSpec, ask: Ask, room: Room):
        self._manager, self._spec, self._ask, self._room = manager, spec, ask, room
        self._stopped = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._parts: asyncio.Queue[Part | Exception | None] = asyncio.Queue()
        room.take(ask.texts)
        try:
            threading.Thread(target=self._run, name="completion", daemon=True).start()
        except BaseException:
            room.leave(ask.texts)
            raise

    def stop(self) -> None:
        """Whatever is still being written ends on the engine's next step."""
        self._stopped.set()

    async def next_part(self) -> Part | None:
        """The next part of any text; None once all have ended.

        Raises:
            Exception: what a text failed with, or the model's load.
        """
        part = await self._parts.get()
        if isinstance(part, Exception):
            raise part
        return part

    async def begun(self) -> list[Part]:
        """The first parts, until there is one of every text: what can't be served has said so by then."""
        parts: list[Part] = []
        while len({part.index for part in parts}) < self._ask.texts and (part := await self.next_part()) is not None:
            parts.append(part)
        return parts

    async def ended(self) -> list[Part]:
        """All texts, each as its last part, in their order."""
        last: dict[int, Part] = {}
        while (part := await self.next_part()) is not None:
            last[part.index] = part
        return [last[index] for index in sorted(last)]

    def _run(self) -> None:
        """Holds the model while its texts are written."""
        try:
            with self._manager.lease(self._spec) as model:
                self._write_all(model)
        except Exception as error:  # handed to the coroutine, which raises it
            self._tell(error)
        finally:
            self._room.leave(self._ask.texts)
            self._tell(None)

    def _write_all(self, model: LanguageModel) -> None:
        """Writes each text in a thread of its own, and waits for all of them."""
        begun: list[threading.Thread] = []
        try:
            for index in range(self._ask.texts):
                thread = threading.Thread(target=self._write, args=(model, index), name="completion text", daemon=True)
                thread.start()
                begun.append(thread)
        except BaseException:  # no further thread: those that run must not outlive the lease
            self.stop()
            raise
        finally:
            for thread in begun:
                thread.join()

    def _write(self, model: LanguageModel, index: int) -> None:
        try:
            if self._stopped.is_set():  # while the model was loaded
                return
            with closing(written(model, self._ask, index)) as parts:
                for part in parts:
                    if self._stopped.is_set():
                        return
                    if part is not None:
                        self._tell(part)
        except Exception as error:  # handed to the coroutine, which raises it
            self._tell(error)

    def _tell(self, part: Part | Exception | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._parts.put_nowait, part)
        except RuntimeError:  # the server has ended, and its loop with it
            self.stop()
