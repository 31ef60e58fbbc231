"""The guard: an ASGI application before the page's own, which asks of each request whether it may pass."""

import logging
from collections.abc import Collection
from dataclasses import dataclass

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.guard.bodies import BodyRefused, CountedBody, declared_length, too_large
from workbench.guard.clients import BUSY_SECONDS, Traffic, client_of
from workbench.guard.headers import security_headers, with_headers
from workbench.guard.origins import refused_origin
from workbench.guard.refusals import Refusal
from workbench.guard.routes import Route, route_of
from workbench.profiles import Profile
from workbench.settings import Settings

MULTIPART_BYTES = 2**16
"""That an upload may have around its file."""
_BUSY = (429, 503)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rules:
    """What the guard goes by."""

    profile: Profile
    hosts: Collection[str] = ()
    proxies: int = 0

    def largest_body(self, route: Route) -> int:
        """In bytes."""
        if route.kind == "upload":
            return self.profile.files.bytes + MULTIPART_BYTES
        return self.profile.traffic.json_bytes


def guard_before(settings: Settings, traffic: Traffic) -> Middleware:
    """The guard as Gradio's launch takes it, for what comes after it in the list and the page."""
    return Middleware(Guard, rules=rules_of(settings), traffic=traffic)


def rules_of(settings: Settings) -> Rules:
    """The rules that the settings ask for."""
    own = () if settings.host in ("", "0.0.0.0", "::") else (settings.host.strip("[]").lower(),)
    hosts = (*settings.hosts, *own) if settings.serves_locally else settings.hosts
    return Rules(settings.profile, hosts, settings.proxies)


class Guard:
    """Lets pass what is on the list, is not too much, and comes from where it may.

    Args:
        app: the application behind it.
        traffic: what is under way; who stops the server closes it.
    """

    def __init__(self, app: ASGIApp, rules: Rules, traffic: Traffic):
        self._app, self._rules, self._traffic = app, rules, traffic
        self._headers = security_headers(rules.profile.others)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; the server's own start and end pass as they are."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Answer(send, self._headers)
        headers, path = _named(scope), scope["path"]
        route = route_of(scope["method"], path)
        refusal = self._refusal(scope["method"], headers, route)
        if refusal is not None or route is None:
            await (refusal or _NOT_THERE).answer(answer, path)
            return
        peer = scope["client"][0] if scope.get("client") else None
        client = client_of(peer, headers.get("x-forwarded-for", ""), self._rules.proxies)
        if (refusal := self._traffic.enter(client, route.kind)) is not None:
            await refusal.answer(answer, path)
            return
        try:
            await self._passed(scope, receive, answer, self._rules.largest_body(route))
        finally:
            self._traffic.leave(client, route.kind)

    def _refusal(self, method: str, headers: dict[str, str], route: Route | None) -> Refusal | None:
        """What is known before anything is read."""
        refusal = refused_origin(method, headers, self._rules.hosts, not self._rules.profile.others)
        if refusal is not None or route is None:
            return refusal
        length, most = declared_length(headers.get("content-length")), self._rules.largest_body(route)
        return too_large(most) if length is not None and length > most else None

    async def _passed(self, scope: Scope, receive: Receive, answer: "_Answer", most: int) -> None:
        body = CountedBody(receive, most, self._rules.profile.traffic.body_seconds)
        answer.body = body
        try:
            await self._app(scope, body, answer)
        except BodyRefused as refused:
            if not answer.begun:
                answer.body = None
                await refused.refusal.answer(answer, scope["path"])
                return
            _log.info("a body was cut off while its answer was sent: %s", refused)
        if body.refusal is not None and not answer.begun:  # the application made an answer of its own of it
            answer.body = None
            await body.refusal.answer(answer, scope["path"])


_NOT_THERE = Refusal(404, "There is nothing here.")


class _Answer:
    """A request's `send`, which adds the headers; what an application says of a body that was cut off is not sent."""

    def __init__(self, send: Send, headers: list[tuple[bytes, bytes]]):
        self._send, self._headers = send, headers
        self.body: CountedBody | None = None
        self.begun = False
        """Whether anything was sent."""

    async def __call__(self, message: Message) -> None:
        if self.body is not None and self.body.refusal is not None and not self.begun:
            return
        if message["type"] == "http.response.start":
            self.begun = True
            retry = BUSY_SECONDS if message["status"] in _BUSY else None
            message = {**message, "headers": with_headers(message.get("headers", []), self._headers, retry)}
        await self._send(message)


def _named(scope: Scope) -> dict[str, str]:
    """The headers by their names; of those that stand there more than once the values are joined by commas."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]},{value}" if name in found else value
    return found
