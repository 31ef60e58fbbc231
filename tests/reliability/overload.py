"""Ten times as many callers over HTTP as the model serves or lets wait, each a visitor of his own."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.reliability.served_here import Here, served_here, visitor_headers, visitors_client
from workbench.profiles import PUBLIC

CALLERS = 180
"""At a time: as many connections as a public server keeps, less those of who only looks."""
TOKENS, STEP_SECONDS, SEEDS = 8, 0.005, 4
LOOKS_SECONDS = 5.0
"""In which the page must come; on a machine of one's own it is a tenth of a second."""


@dataclass
class Found:
    """What callers were told."""

    counts: Counter[str] = field(default_factory=Counter)
    longest_line: int = 0
    slowest_look: float = 0.0
    failures: list[str] = field(default_factory=list)


def overloaded(size: int) -> Found:
    """So many requests, all at the same time as far as connections go; and somebody who opens the page meanwhile."""
    found = Found()
    with served_here("public", step_seconds=STEP_SECONDS) as here:
        asyncio.run(_flooded(here, size, found))
    if found.longest_line > PUBLIC.serving.waiting:
        found.failures.append(f"{found.longest_line} waited, and there is room for {PUBLIC.serving.waiting}")
    if found.slowest_look > LOOKS_SECONDS:
        found.failures.append(f"the page took {found.slowest_look:.1f} s")
    if not found.counts["refused"]:
        found.failures.append("nobody was refused: that was no overload")
    return found


async def _flooded(here: Here, size: int, found: Found) -> None:
    async with visitors_client(here, CALLERS) as client:
        expected = [await _asked(client, here, seed, size + seed) for seed in range(SEEDS)]
        texts = [_text(answer) for answer in expected]
        over = asyncio.Event()
        looking = asyncio.create_task(_look(here, found, over))
        room = asyncio.Semaphore(CALLERS)

        async def call(number: int) -> None:
            async with room:
                try:
                    _judge(await _asked(client, here, number % SEEDS, number), texts[number % SEEDS], found)
                except httpx.HTTPError as error:
                    found.failures.append(f"a caller's connection broke: {error!r}")

        await asyncio.gather(*(call(number) for number in range(size)))
        over.set()
        await looking


async def _asked(client: httpx.AsyncClient, here: Here, seed: int, visitor: int) -> httpx.Response:
    body = {"model": here.name, "prompt": "The king", "max_tokens": TOKENS, "seed": seed}
    return await client.post("/v1/completions", json=body, headers=visitor_headers(visitor))


def _text(answer: httpx.Response) -> Any:
    return answer.json()["choices"][0]["text"]


def _judge(answer: httpx.Response, expected: str, found: Found) -> None:
    """Whether somebody was served, or refused with a time and a reason."""
    if answer.status_code == 200:
        found.counts["served"] += 1
        found.failures += [] if _text(answer) == expected else ["another text than alone"]
        return
    found.counts["refused"] += 1
    honest = answer.status_code in (429, 503) and answer.headers.get("retry-after", "").isdigit()
    if not honest or not answer.json()["error"]["message"]:
        found.failures.append(f"refused with {answer.status_code} and {answer.text[:80]!r}")


async def _look(here: Here, found: Found, over: asyncio.Event) -> None:
    """Opens the page again and again."""
    async with visitors_client(here, 1) as client:
        while not over.is_set():
            began = time.monotonic()
            answer = await client.get("/", headers=visitor_headers(2**24 - 1))
            found.slowest_look = max(found.slowest_look, time.monotonic() - began)
            found.longest_line = max(found.longest_line, here.waiting)
            found.failures += [] if answer.status_code == 200 else [f"the page answers {answer.status_code}"]
            await asyncio.sleep(0.1)
