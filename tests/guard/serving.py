"""A small application behind the guard, asked without a network: what it hears, and what the caller gets."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from workbench.guard.clients import Traffic
from workbench.guard.guard import Guard, Rules
from workbench.profiles import LOCAL, Profile

JOIN, UPLOAD = "/gradio_api/queue/join", "/gradio_api/upload"
HERE = {"host": "127.0.0.1:7860"}


@dataclass
class Answer:
    """What a caller gets."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Page:
    """Reads a request's whole body and answers with its length; notes the paths it was asked for."""

    status: int = 200
    asked: list[str] = field(default_factory=list)
    swallows: bool = False
    """Whether it makes an answer of its own of a body that ends early."""
    hold: asyncio.Event | None = None
    """Until which no answer ends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(scope["path"])
        length, more = 0, True
        try:
            while more:
                message = await receive()
                length, more = length + len(message.get("body", b"")), message.get("more_body", False)
        except Exception:
            if not self.swallows:
                raise
            await self._say(send, 400, b"There was an error parsing the body")
            return
        if self.hold is not None:
            await self.hold.wait()
        await self._say(send, self.status, str(length).encode())

    async def _say(self, send: Send, status: int, body: bytes) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"x-own", b"1")]})
        await send({"type": "http.response.body", "body": body})


def guarded(page: Page, profile: Profile = LOCAL, hosts: Iterable[str] = (), proxies: int = 0) -> Guard:
    """The page behind a guard of its own."""
    return Guard(page, Rules(profile, tuple(hosts), proxies), Traffic(profile.traffic))


async def ask(
    guard: Guard,
    method: str = "GET",
    path: str = "/",
    headers: dict[str, str] | None = None,
    pieces: Iterable[bytes] = (b"",),
    peer: str = "127.0.0.1",
) -> Answer:
    """One request; its body comes in these pieces, each as large as it is."""
    left = list(pieces)

    async def receive() -> Message:
        if not left:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    answer = Answer()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert not answer.status, "two answers"
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    sent = {**HERE, **(headers or {})}
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "client": (peer, 50000),
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
    }
    await guard(scope, receive, send)
    return answer


def asked(guard: Guard, *arguments: Any, **named: Any) -> Answer:
    """The same for one request alone."""
    return asyncio.run(ask(guard, *arguments, **named))
