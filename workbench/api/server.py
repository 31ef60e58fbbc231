"""The API's routes, as an ASGI application that stands before the page."""

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from workbench.api.answers import Answer, Events, document, while_there
from workbench.api.asked import read_ask
from workbench.api.health import Probe
from workbench.api.models import Models
from workbench.api.refusals import Refused, refusal
from workbench.api.work import Room, Work
from workbench.manager import ModelManager
from workbench.settings import Settings

LARGEST_BODY_BYTES = 4 * 2**20
PATHS = ("/v1", "/healthz", "/readyz")


class ApiBefore:
    """Answers the API's paths itself and leaves all others to the application behind it."""

    def __init__(self, app: ASGIApp, api: ASGIApp):
        self._app, self._api = app, api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        path = scope.get("path", "")
        ours = scope["type"] == "http" and any(path == own or path.startswith(own + "/") for own in PATHS)
        await (self._api if ours else self._app)(scope, receive, send)


def build_api(settings: Settings, manager: ModelManager, why_dead: Callable[[], str] = lambda: "") -> Starlette:
    """The application of the API's paths.

    Args:
        why_dead: what of the server is dead though it answers; empty: nothing.
    """
    return Api(settings, manager, why_dead).application()


class Api:
    """What the routes share."""

    def __init__(self, settings: Settings, manager: ModelManager, why_dead: Callable[[], str] = lambda: ""):
        self._keys, self._manager, self._why_dead = settings.api_keys, manager, why_dead
        self._models, self.room = Models(settings, manager), Room()
        self._most_texts = settings.profile.requests.texts
        self._probe = Probe(manager, self._models.first())

    def application(self) -> Starlette:
        """The routes."""
        routes = [
            Route("/v1/models", self._answered(self._list), methods=["GET"]),
            Route("/v1/models/{name:path}", self._answered(self._model), methods=["GET"]),
            Route("/v1/completions", self._answered(self._completions), methods=["POST"]),
            Route("/healthz", self._healthy, methods=["GET"]),
            Route("/readyz", self._ready, methods=["GET"]),
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: _not_served})

    def _answered(self, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint for those who have a key; whatever it fails with becomes an answer."""

        async def endpoint(request: Request) -> Response:
            try:
                self._check_key(request)
                return await answer(request)
            except ClientDisconnect:
                return Response(status_code=499)  # nobody hears it
            except Exception as error:
                return _told(refusal(error))

        return endpoint

    async def _list(self, request: Request) -> Response:
        return document({"object": "list", "data": [self._models.card(name) for name in self._models.specs()]})

    async def _model(self, request: Request) -> Response:
        name = request.path_params["name"]
        self._models.named(name)
        return document(self._models.card(name))

    async def _ready(self, request: Request) -> Response:
        why = self._why_dead() or await asyncio.to_thread(self._probe.why_not_ready)
        return document({"status": why or "ready"}, 503 if why else 200)

    async def _healthy(self, request: Request) -> Response:
        why = self._why_dead()
        return document({"status": why or "ok"}, 503 if why else 200)

    async def _completions(self, request: Request) -> Response:
        ask = read_ask(await _json(request))
        if ask.texts > self._most_texts:
            told = (
                f"{ask.texts} texts are asked for at once; at most {self._most_texts} are written here. Ask for fewer."
            )
            raise Refused(400, told)
        work = Work(self._manager, self._models.named(ask.model), ask, self.room)
        answer = Answer(ask)
        try:
            if ask.stream:
                return Events(answer, work, await while_there(request, work.begun()))
            return document(answer.whole(await while_there(request, work.ended())))
        except BaseException:
            work.stop()
            raise

    def _check_key(self, request: Request) -> None:
        """Raises Refused (401) unless the caller has one of the keys, where there are any."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        sent = given.strip().encode() if scheme.lower() == "bearer" else b""
        if self._keys and not any(hmac.compare_digest(sent, key.encode()) for key in self._keys):
            told = "Incorrect API key provided. Send one of the server's keys as 'Authorization: Bearer KEY'."
            raise Refused(401, told, code="invalid_api_key")


async def _json(request: Request) -> Any:
    """The body's JSON document.

    Raises:
        Refused: 400, it is none; 413, it is too large.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_BODY_BYTES:
            raise Refused(413, f"The body has more than {LARGEST_BODY_BYTES >> 20} MiB. Send a shorter prompt.")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"We could not parse the JSON body of your request: {error}.") from error


async def _not_served(request: Request, error: Exception) -> Response:
    """A path or a method that there is not."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    allowed = error.headers if isinstance(error, HTTPException) else None
    where = f"{request.method} {request.url.path}"
    if status == 405:
        return _told(Refused(405, f"Not allowed: {where}."), allowed)
    return _told(Refused(status, f"Unknown request URL: {where}.", code="unknown_url"), allowed)


def _told(refused: Refused, headers: Any = None) -> Response:
    return document(refused.body, refused.status, {**refused.headers, **(headers or {})})
