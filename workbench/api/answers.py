"""The documents of an answer, and how a stream of them is sent."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from workbench.api.asked import Ask
from workbench.api.choices import Part, choice_of
from workbench.api.refusals import refusal
from workbench.api.work import Work

Found = TypeVar("Found")


class Answer:
    """What all documents of one answer have in common, and the usage."""

    def __init__(self, ask: Ask):
        self._ask = ask
        self._id, self._created = f"cmpl-{secrets.token_hex(12)}", int(time.time())
        self._last: dict[int, Part] = {}
        self._reach: dict[int, int] = {}
        """Where each choice's next token begins, in characters."""

    def whole(self, parts: list[Part]) -> dict[str, Any]:
        """The one document of an answer that is not streamed."""
        self._last = {part.index: part for part in parts}
        return self._document([choice_of(part, self._ask) for part in parts], usage=self._usage())

    def chunk(self, part: Part) -> dict[str, Any] | None:
        """A document of a stream; None where a part has nothing to tell."""
        self._last[part.index] = part
        if not part.text and not part.tokens and part.finish_reason is None:
            return None
        reach = self._reach.get(part.index, 0)
        self._reach[part.index] = reach + sum(len(token.text) for token in part.tokens)
        no_usage = {"usage": None} if self._ask.include_usage else {}
        return self._document([choice_of(part, self._ask, reach)], **no_usage)

    def last_chunk(self) -> dict[str, Any] | None:
        """What a stream ends with: the usage, where it is asked for."""
        return self._document([], usage=self._usage()) if self._ask.include_usage else None

    def _document(self, choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        head = {"id": self._id, "object": "text_completion", "created": self._created, "model": self._ask.model}
        return head | {"choices": choices} | more

    def _usage(self) -> dict[str, int]:
        """Tokens read (each prompt once) and written."""
        prompts = sum(part.prompt_tokens for index, part in self._last.items() if index % self._ask.n == 0)
        written = sum(part.completion_tokens for part in self._last.values())
        return {"prompt_tokens": prompts, "completion_tokens": written, "total_tokens": prompts + written}


class Events(StreamingResponse):
    """Server-sent events, a chunk a part; whatever ends them, a caller who left too, ends the work."""

    def __init__(self, answer: Answer, work: Work, begun: list[Part]):
        self._answer, self._work, self._begun = answer, work, begun
        super().__init__(self._events(), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends them."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._work.stop()

    async def _events(self) -> AsyncIterator[str]:
        try:
            async with aclosing(self._parts()) as parts:
                async for part in parts:
                    if (chunk := self._answer.chunk(part)) is not None:
                        yield _event(chunk)
            if (chunk := self._answer.last_chunk()) is not None:
                yield _event(chunk)
        except Exception as error:  # the status is sent already
            yield _event(refusal(error).body)
        yield "data: [DONE]\n\n"

    async def _parts(self) -> AsyncGenerator[Part, None]:
        for part in self._begun:
            yield part
        while (coming := await self._work.next_part()) is not None:
            yield coming


async def while_there(request: Request, doing: Coroutine[Any, Any, Found]) -> Found:
    """What a coroutine finds while the caller waits for it.

    Raises:
        ClientDisconnect: the caller left before.
    """
    found, left = asyncio.ensure_future(doing), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({found, left}, return_when=asyncio.FIRST_COMPLETED)
        if not found.done():
            raise ClientDisconnect
        return found.result()
    finally:
        found.cancel()
        left.cancel()
        await asyncio.gather(found, left, return_exceptions=True)


def document(content: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer; in ASCII, so that no text, half a surrogate pair neither, can't be sent."""
    body = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return Response(body, status, headers, media_type="application/json")


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, separators=(',', ':'), allow_nan=False)}\n\n"
