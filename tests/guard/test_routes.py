"""The list of routes: what a browser and a client ask for is on it, what Gradio serves besides is not."""

import pytest

from workbench.guard.routes import route_of

PASSED = [
    ("GET", "/", "page"), ("HEAD", "/", "page"), ("GET", "/config", "page"), ("GET", "/theme.css", "page"),
    ("GET", "/assets/index-a1_B2.js", "page"), ("GET", "/svelte/svelte.js", "page"), ("GET", "/favicon.ico", "page"),
    ("GET", "/static/fonts/Some-Font/Some-Font-Regular.woff2", "page"), ("GET", "/gradio_api/info", "page"),
    ("GET", "/gradio_api/startup-events", "page"), ("GET", "/gradio_api/file=/tmp/gradio/ab/table.csv", "page"),
    ("GET", "/gradio_api/heartbeat/a1b2", "stream"), ("GET", "/gradio_api/queue/data", "stream"),
    ("GET", "/gradio_api/call/generate/0af3", "stream"), ("GET", "/gradio_api/upload_progress", "stream"),
    ("POST", "/gradio_api/queue/join", "join"), ("POST", "/gradio_api/call/generate", "join"),
    ("POST", "/gradio_api/cancel", "page"), ("POST", "/gradio_api/reset", "page"),
    ("POST", "/gradio_api/upload", "upload"), ("GET", "/v1/models", "api"), ("GET", "/v1/models/me/mine:int8", "api"),
    ("POST", "/v1/completions", "api"), ("GET", "/healthz", "health"), ("GET", "/readyz", "health"),
]  # fmt: skip
HIDDEN = [
    ("POST", "/gradio_api/run/generate"), ("POST", "/gradio_api/api/generate"), ("POST", "/run/generate"),
    ("GET", "/gradio_api/proxy=https://a.hf.space/"), ("HEAD", "/gradio_api/proxy=https://a.hf.space/"),
    ("GET", "/gradio_api/deep_link"), ("POST", "/gradio_api/process_recording"), ("GET", "/monitoring"),
    ("GET", "/monitoring/summary"), ("GET", "/monitoring/key"), ("GET", "/gradio_api/openapi.json"),
    ("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/redoc"), ("GET", "/gradio_api/runs"),
    ("POST", "/gradio_api/run-history/connect"), ("GET", "/gradio_api/run-history/records"),
    ("POST", "/gradio_api/vibe-edit"), ("GET", "/gradio_api/vibe-code"), ("POST", "/gradio_api/stream/1"),
    ("POST", "/gradio_api/component_server"), ("GET", "/gradio_api/dev/reload"), ("GET", "/gradio_api/token"),
    ("POST", "/login"), ("GET", "/logout"), ("GET", "/gradio_api/login_check"), ("GET", "/gradio_api/mcp/sse"),
    ("GET", "/gradio_api/file=https://example.org/a"), ("GET", "/gradio_api/file=http://127.0.0.1/"),
    ("GET", "/gradio_api/file=//example.org/a"), ("GET", "/gradio_api/file=relative"), ("GET", "/gradio_api/file/a"),
    ("GET", "/gradio_api/custom_component/1/client/a/b.js"), ("GET", "/file=/etc/passwd"),
]  # fmt: skip
TRICKS = [
    ("GET", "/assets/../config.json"), ("GET", "/assets/..%2f"), ("GET", "/static//etc/passwd"), ("GET", "//"),
    ("GET", "/config\n"), ("GET", "/Config"), ("GET", "/gradio_api/file=/tmp/a\0b"), ("GET", ""),
    ("GET", "/\u212aonfig"),
    ("POST", "/"), ("PUT", "/gradio_api/upload"), ("DELETE", "/v1/models/demo"), ("PATCH", "/config"), ("GET", "/v1"),
    ("TRACE", "/"), ("CONNECT", "/"), ("get", "/"), ("GET", "/gradio_api/heartbeat/" + "a" * 129),
    ("GET", "/gradio_api/heartbeat/a/b"), ("GET", "/v1/models/" + "a" * 1001),
]  # fmt: skip


@pytest.mark.parametrize("method, path, kind", PASSED)
def test_what_browsers_and_clients_ask_for_passes(method: str, path: str, kind: str) -> None:
    route = route_of(method, path)
    assert route is not None and route.kind == kind


@pytest.mark.parametrize("method, path", HIDDEN)
def test_what_gradio_serves_besides_does_not(method: str, path: str) -> None:
    assert route_of(method, path) is None


@pytest.mark.parametrize("method, path", TRICKS)
def test_neither_do_tricks(method: str, path: str) -> None:
    assert route_of(method, path) is None
