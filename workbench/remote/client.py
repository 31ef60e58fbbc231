"""HTTP with a server of OpenAI's completions API: requests out, documents in, and what goes wrong in plain words.

httpx, because gradio brings it: its streams end the connection when they are closed, which is how a server learns that
nobody waits any more.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any

import httpx

from workbench.errors import BadRequest, Busy, RemoteFailure, WorkbenchError
from workbench.remote.address import RemoteName
from workbench.remote.documents import error_text, nonsense

CONNECT_SECONDS = 10.0
MOST_TRIES = 4
"""Of a request that the server has no room for."""
LONGEST_WAIT_SECONDS = 10.0
"""Before it is tried again."""
LARGEST_DOCUMENT_BYTES = 64 * 2**20
FULL = (429, 503)
NOT_TAKEN = (400, 404, 405, 413, 415, 422, 500, 501)
"""How servers answer a request with a field that they do not know."""


class NotTaken(BadRequest):
    """The server refuses a request as it is; another one may be served."""


class Client:
    """One server. Its coroutines belong into one event loop.

    Args:
        key: sent with each request as its bearer's; empty: none is.
        seconds: within which the server must go on answering.
    """

    def __init__(self, name: RemoteName, key: str, seconds: float):
        self._name, self._seconds = name, seconds
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.AsyncClient(
            base_url=name.base,
            headers=headers,
            timeout=httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds)),
            # A connection that is kept may be closed by the server just when it is used again, which ends a long run.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )

    async def close(self) -> None:
        """Ends the connections."""
        await self._http.aclose()

    async def models(self) -> list[dict[str, Any]]:
        """The models that the server lists; none where it lists none.

        Raises:
            RemoteFailure: it can't be reached, or answers nonsense.
        """
        try:
            document = await self._document("GET", "/models", None)
        except NotTaken:
            return []
        cards = document.get("data") if isinstance(document, dict) else None
        if not isinstance(cards, list):
            raise nonsense("a list of models that is none")
        return [card for card in cards if isinstance(card, dict) and isinstance(card.get("id"), str)]

    async def complete(self, body: dict[str, Any]) -> Any:
        """The document that answers a request for a completion.

        Raises:
            RemoteFailure: it can't be reached, is slow, or answers nonsense. NotTaken: it refuses the request.
            Busy: it has no room.
        """
        return await self._document("POST", "/completions", body)

    async def stream(self, body: dict[str, Any]) -> AsyncGenerator[Any, None]:
        """The documents of a streamed answer as they come; closing it closes the connection.

        Raises:
            RemoteFailure, NotTaken, Busy: as `complete`; also where the answer breaks off.
        """
        with self._plainly():
            async with self._answer("POST", "/completions", body | {"stream": True}) as answer:
                if "event-stream" not in answer.headers.get("content-type", ""):
                    yield _json(await self._body(answer))  # a server that can't stream
                    return
                async with aclosing(_lines(answer)) as lines:
                    while (line := await self._soon(anext(lines, None))) is not None:
                        if line.startswith("data:") and (text := line[5:].strip()) != "[DONE]":
                            yield _json(text.encode())

    async def _document(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        with self._plainly():
            async with self._answer(method, path, body) as answer:
                return _json(await self._body(answer))

    @asynccontextmanager
    async def _answer(self, method: str, path: str, body: dict[str, Any] | None) -> AsyncIterator[httpx.Response]:
        """An answer that is none of an error; where the server is full, asked for a few times."""
        for attempt in range(1, MOST_TRIES + 1):
            request = self._http.build_request(method, path, json=body)
            async with asyncio.timeout(self._seconds):
                answer = await self._http.send(request, stream=True)
            try:
                if answer.is_success:
                    yield answer
                    return
                error = self._refusal(answer, await self._body(answer))
            finally:
                await answer.aclose()
            if not isinstance(error, Busy) or attempt == MOST_TRIES:
                raise error
            await asyncio.sleep(_wait_seconds(answer, attempt))

    async def _body(self, answer: httpx.Response) -> bytes:
        """All of an answer."""
        body = bytearray()
        async with asyncio.timeout(self._seconds):
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > LARGEST_DOCUMENT_BYTES:
                    raise nonsense(f"more than {LARGEST_DOCUMENT_BYTES >> 20} MiB")
        return bytes(body)

    async def _soon(self, coming: Any) -> Any:
        async with asyncio.timeout(self._seconds):
            return await coming

    def _refusal(self, answer: httpx.Response, body: bytes) -> WorkbenchError:
        try:
            told = error_text(json.loads(body))
        except (ValueError, RecursionError):
            told = error_text(body[:1_000].decode("utf-8", "replace"))
        status, origin = answer.status_code, self._name.origin
        if status in (401, 403):
            return RemoteFailure(
                f"The server {origin} refuses the key, or wants one ({status}: {told}). Set WORKBENCH_REMOTE_KEYS to "
                f"{origin}=KEY."
            )
        if status in FULL:
            return Busy(f"The server {origin} has no room at the moment ({status}: {told}). Try again soon.")
        if status in NOT_TAKEN:
            return NotTaken(f"The server {origin} refuses the request ({status}): {told}")
        return RemoteFailure(f"The server {origin} failed ({status}): {told}")

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        """What httpx raises, as a person can use it."""
        origin = self._name.origin
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            told = str(error) or "no connection"
            raise RemoteFailure(
                f"The server {origin} can't be reached ({told}). Start it, or check its address."
            ) from error
        except (TimeoutError, httpx.TimeoutException) as error:
            raise RemoteFailure(
                f"The server {origin} sent nothing for {self._seconds:g} seconds, and the request was ended. Try again "
                "when it has less to do, or raise WORKBENCH_REMOTE_SECONDS."
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            told = str(error) or type(error).__name__
            raise RemoteFailure(
                f"The server {origin} broke off in the middle of an answer ({told}). Look whether it still runs."
            ) from error


async def _lines(answer: httpx.Response) -> AsyncGenerator[str, None]:
    """The lines of a body as they come."""
    held = bytearray()
    async for piece in answer.aiter_bytes():
        held += piece
        if len(held) > LARGEST_DOCUMENT_BYTES:
            raise nonsense("a line without an end")
        *whole, rest = held.split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace").rstrip("\r")
        held = bytearray(rest)
    if held:
        yield held.decode("utf-8", "replace").rstrip("\r")


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise nonsense(f"what is no JSON ({body[:40].decode('utf-8', 'replace')!r})") from error


def _wait_seconds(answer: httpx.Response, attempt: int) -> float:
    """As long as the server asks for, within reason."""
    asked = answer.headers.get("retry-after", "")
    return min(float(asked), LONGEST_WAIT_SECONDS) if asked.isdecimal() else min(2.0**attempt, LONGEST_WAIT_SECONDS)
