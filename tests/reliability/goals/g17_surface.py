"""G17: only what is on the list answers, no body takes memory beyond its limit, and no other website gets through."""

import asyncio
import random
import string
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from tests.guard.serving import HERE, JOIN, UPLOAD, Page, ask, guarded
from tests.reliability.goal import Goal, Mutant, Outcome
from workbench.guard import guard as guard_module
from workbench.guard.bodies import CountedBody
from workbench.guard.guard import MULTIPART_BYTES
from workbench.guard.routes import route_of
from workbench.profiles import PUBLIC

PIECE = b"x" * 65_536
KNOWN = ("/", "/config", "/gradio_api/info", JOIN, UPLOAD, "/v1/models", "/healthz", "/assets/a.js")
FOREIGN = ("/gradio_api/run/generate", "/monitoring", "/gradio_api/proxy=http://a/", "/gradio_api/file=http://a/")
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "get")


def check(size: int, seed: int) -> Outcome:
    """So many requests made at random, a body bomb for each hundred of them, and every way of another website."""
    return asyncio.run(_tried(size, random.Random(seed)))


async def _tried(size: int, chance: random.Random) -> Outcome:
    failures: list[str] = []
    page = Page()
    guard = guarded(page)
    passed = 0
    for _ in range(size):
        method, path = chance.choice(METHODS), _path(chance)
        reached = len(page.asked)
        answer = await ask(guard, method, path)
        through = len(page.asked) > reached
        passed += through
        if through != (route_of(method, path) is not None) or (path in FOREIGN and through):
            failures.append(f"{method} {path!r} got through: {answer.status}")
        if not through and answer.status not in (403, 404):
            failures.append(f"{method} {path!r}: {answer.status}")
    bombs = max(2, size // 100)
    for number in range(bombs):
        failures += await _bombed((JOIN, UPLOAD)[number % 2])
    failures += await _from_elsewhere()
    counts = {"requests": size, "passed": passed, "bombs": bombs, "failures": len(failures)}
    level = f"{size:,} requests at random, {bombs:,} bombs and every foreign origin: {len(failures)} got through"
    return Outcome(level, counts, tuple(failures))


def _path(chance: random.Random) -> str:
    """A path that there is, one that is hidden, or one of them with something changed."""
    path = chance.choice((*KNOWN, *FOREIGN))
    for _ in range(chance.choice((0, 0, 1, 2))):
        place = chance.randrange(len(path) + 1)
        path = path[:place] + chance.choice((*string.printable, "..", "//", "%2e", "\u2024")) + path[place:]
    return path


async def _bombed(path: str) -> list[str]:
    """A body of 1 GB that says nothing of its length; the page must hear no more of it than is taken."""
    heard = 0

    class Counting(Page):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            nonlocal heard
            while True:
                heard += len((await receive()).get("body", b""))

    most = PUBLIC.traffic.json_bytes if path == JOIN else PUBLIC.files.bytes + MULTIPART_BYTES
    pieces = [PIECE] * (2**30 // len(PIECE))
    answer = await asyncio.wait_for(ask(guarded(Counting(), PUBLIC), "POST", path, pieces=pieces), 60)
    wrong = [] if heard <= most else [f"{path}: {heard:,} bytes of a bomb were heard"]
    return wrong + ([] if answer.status == 413 else [f"{path}: a bomb is answered {answer.status}"])


async def _from_elsewhere() -> list[str]:
    """What another website in the owner's browser can send."""
    tricks = [
        {"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"},
        {"host": "evil.example"}, {"host": "127.0.0.1.evil.example", "origin": "http://127.0.0.1.evil.example"},
    ]  # fmt: skip
    found = []
    for path in (JOIN, UPLOAD, "/v1/completions"):
        for headers in tricks:
            page = Page()
            await ask(guarded(page), "POST", path, {**HERE, **headers})
            found += [f"{path} with {headers} got through"] if page.asked else []
    return found


def uncounted() -> AbstractContextManager[object]:
    """Bodies are not counted."""

    async def receive(body: CountedBody) -> Any:
        message = await body._receive()
        if message["type"] == "http.disconnect":
            raise TimeoutError("all of a bomb was heard")
        return message

    return mock.patch.object(CountedBody, "__call__", receive)


def any_origin() -> AbstractContextManager[object]:
    """Nobody looks at Host and Origin."""
    return mock.patch.object(guard_module, "refused_origin", return_value=None)


def any_route() -> AbstractContextManager[object]:
    """Everything is on the list."""
    return mock.patch.object(guard_module, "route_of", return_value=route_of("GET", "/"))


GOAL = Goal(
    name="G17",
    promise="Only listed routes answer, no body takes memory beyond its limit, no other website gets through",
    peer="vLLM's guide asks for an allow-list behind a proxy; Gradio takes text fields of any size",
    unit="requests",
    short=1_000,
    full=20_000,
    check=check,
    mutants=(
        Mutant("bodies are not counted", uncounted, size=10),
        Mutant("Host and Origin are not looked at", any_origin, size=10),
        Mutant("everything is on the list", any_route, size=200),
    ),
)
