"""Bodies of requests, counted while they come: a header that tells their length is believed only if it is too much."""

import asyncio
import time
from collections.abc import Callable

from starlette.types import Message, Receive

from workbench.guard.refusals import Refusal


class BodyRefused(Exception):
    """A body that is read no further."""

    def __init__(self, refusal: Refusal):
        super().__init__(refusal.message)
        self.refusal = refusal


class CountedBody:
    """A request's `receive` that ends once the body is too long or takes too long; `refusal` then tells why.

    Args:
        most: bytes that are taken.
        seconds: in which all of it must have come.
    """

    def __init__(self, receive: Receive, most: int, seconds: float, clock: Callable[[], float] = time.monotonic):
        self._receive, self._most, self._seconds, self._clock = receive, most, seconds, clock
        self._began: float | None = None
        self._bytes, self._whole = 0, False
        self.refusal: Refusal | None = None

    async def __call__(self) -> Message:
        """The next message.

        Raises:
            BodyRefused: there was too much, or it was too slow.
        """
        if self._whole:  # what comes now is the end of the connection, however late
            return await self._receive()
        if self.refusal is not None:
            raise BodyRefused(self.refusal)
        self._began = self._clock() if self._began is None else self._began
        try:
            # Not wait_for: it may begin a task, and who only looks whether there is a message would never see it.
            async with asyncio.timeout(max(0.0, self._began + self._seconds - self._clock())):
                message = await self._receive()
        except TimeoutError:
            self.refusal = Refusal(408, "The request did not come to its end in time. Send it again.")
            raise BodyRefused(self.refusal) from None
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
        if self._bytes > self._most:
            self.refusal = too_large(self._most)
            raise BodyRefused(self.refusal)
        return message


def too_large(most: int) -> Refusal:
    """What is said to a body beyond the limit."""
    shown = f"{most / 2**20:,.0f} MiB" if most >= 2**20 else f"{most:,} bytes"
    return Refusal(413, f"The request has more than {shown}, the most that is taken here. Send less.")


def declared_length(value: str | None) -> int | None:
    """The length that a header gives; None where it gives none."""
    return int(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 20 else None
