"""The list of what may be asked for over HTTP: whatever is not on it does not exist."""

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["page", "join", "upload", "stream", "health", "api"]
"""What a request is counted as: joins begin work, streams stay open, health is asked by machines and never refused."""


@dataclass(frozen=True)
class Route:
    """A family of requests that are answered."""

    methods: tuple[str, ...]
    path: str
    """A regular expression for the whole decoded path."""
    kind: Kind = "page"


_READ = ("GET", "HEAD")
_NAME = r"[\w.-]{1,128}"
_ASSET = r"[\w@+~-][\w.@+~-]*(?:/[\w@+~-][\w.@+~-]*)*"
"""A path below a folder; no part of it is empty or begins with a dot."""

ROUTES = (
    Route(_READ, r"/healthz|/readyz", "health"),
    Route(("GET",), r"/v1/models(?:/.{1,1000})?", "api"),
    Route(("POST",), r"/v1/completions", "api"),
    Route(_READ, r"/"),
    Route(_READ, r"/config|/theme\.css|/favicon\.ico|/manifest\.json|/robots\.txt"),
    Route(_READ, rf"/(?:svelte|assets|static)/{_ASSET}"),
    Route(("GET",), r"/gradio_api/(?:info|app_id|user|startup-events|theme\.css|queue/status)/?"),
    Route(_READ, r"/gradio_api/file=/(?!/)[^\0]{1,4096}"),
    Route(("GET",), rf"/gradio_api/heartbeat/{_NAME}", "stream"),
    Route(("GET",), r"/gradio_api/queue/data", "stream"),
    Route(("GET",), rf"/gradio_api/call/(?:v2/)?{_NAME}/{_NAME}", "stream"),
    Route(("GET",), r"/gradio_api/upload_progress", "stream"),
    Route(("POST",), r"/gradio_api/queue/join/?", "join"),
    Route(("POST",), rf"/gradio_api/call/(?:v2/)?{_NAME}/?", "join"),
    Route(("POST",), r"/gradio_api/(?:cancel|reset)/?"),
    Route(("POST",), r"/gradio_api/upload/?", "upload"),
    Route(("POST",), r"/gradio_api/mcp/?", "join"),
    Route(("GET",), r"/gradio_api/mcp/?", "stream"),
    Route(("DELETE",), r"/gradio_api/mcp/?"),
)
"""Everything that a browser or a client of the page's endpoints asks for. Left out is what Gradio serves besides: a
proxy and a fetcher of other servers' files, direct calls beside the queue, links with saved states, recordings,
histories of all visitors' inputs, monitoring, editors."""

_COMPILED = tuple((route, re.compile(route.path, re.ASCII)) for route in ROUTES)


def route_of(method: str, path: str) -> Route | None:
    """The route of a request; None: there is none.

    A path that no method may ask for and one that only other methods may are told apart by nobody.
    """
    for route, pattern in _COMPILED:
        if method in route.methods and pattern.fullmatch(path):
            return route
    return None
