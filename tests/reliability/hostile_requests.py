"""Texts of any kind, sent over HTTP to every endpoint in the place of every value that may be a text."""

import asyncio
import contextlib
import io
import json
import random
from collections.abc import Sequence
from typing import Any

import httpx

from tests.reliability.served_here import Here, asked_text, served_here, visitor_headers, visitors_client

AT_A_TIME = 8
CALLS: dict[str, list[Any]] = {
    "generate": asked_text("The king", 2)["data"],
    "classify": ["The king", "yes,no", "", "", "", "", {}],
    "answer": ["Who slept?", "The old king slept.", "", "", "", {}],
    "evaluate": ["winogrande", "", 1, 0, 0, "", "samples", ""],
    "plan": ["", "", 1, None],
    "runs": [""],
    "compare": ["a,b", ""],
    "precision": ["float32", "The king", "", "", 2],
    "train": ["classify", "file", "name", "", "probe", {}],
    "load": ["", ""],
    "unload": ["", ""],
}
COMPLETION: dict[str, Any] = {"prompt": "The king", "max_tokens": 2, "stop": None, "user": None, "suffix": None}


def tried_over_http(texts: Sequence[str], seed: int) -> tuple[int, list[str]]:
    """How many requests were answered or refused in words, and what was wrong with others."""
    rng, log = random.Random(seed), io.StringIO()
    with contextlib.redirect_stderr(log), served_here("public") as here:
        said = asyncio.run(_all(here, texts, rng))
    wrong = [one for one in said if one]
    if "Traceback" in log.getvalue():
        wrong.append(f"a traceback: {log.getvalue().strip().splitlines()[-1][:200]}")
    return len(said), wrong


async def _all(here: Here, texts: Sequence[str], rng: random.Random) -> list[str]:
    room = asyncio.Semaphore(AT_A_TIME)
    async with visitors_client(here, AT_A_TIME) as client:

        async def one(number: int, text: str, name: str) -> str:
            async with room:
                headers = visitor_headers(number) | {"content-type": "application/json"}
                try:
                    if name == "completion":
                        said = await _completed(client, headers, _completion(here, text, rng))
                    else:
                        said = await _called(client, headers, name, _values(name, text, rng))
                except (httpx.HTTPError, ValueError) as error:
                    said = repr(error)
                return said and f"{name} with {ascii(text)[:60]}: {said}"[:300]

        names = [*CALLS, "completion"]
        return await asyncio.gather(
            *(one(number, text, names[number % len(names)]) for number, text in enumerate(texts))
        )


def _values(name: str, text: str, rng: random.Random) -> list[Any]:
    """The endpoint's values, one of which is the text."""
    values = list(CALLS[name])
    values[rng.choice([place for place, value in enumerate(values) if isinstance(value, str)])] = text
    return values


def _completion(here: Here, text: str, rng: random.Random) -> dict[str, Any]:
    place = rng.choice(("prompt", "stop", "user", "suffix", "model"))
    return {"model": here.name, **COMPLETION, "stream": rng.random() < 0.5, place: text}


async def _called(client: httpx.AsyncClient, headers: dict[str, str], name: str, values: list[Any]) -> str:
    """What was wrong with an endpoint's answer; empty: nothing."""
    content = json.dumps({"data": values})  # in ASCII: half a surrogate pair too can be sent
    asked = await client.post(f"/gradio_api/call/{name}", content=content, headers=headers)
    if asked.status_code != 200:
        return f"status {asked.status_code}"
    last = ""
    async with client.stream("GET", f"/gradio_api/call/{name}/{asked.json()['event_id']}", headers=headers) as events:
        async for line in events.aiter_lines():
            if line.startswith("event: "):
                last = line[7:]
            elif line.startswith("data: "):
                json.loads(line[6:])
    return "" if last in ("complete", "error") else f"its stream ended with {last!r}"


async def _completed(client: httpx.AsyncClient, headers: dict[str, str], body: dict[str, Any]) -> str:
    answer = await client.post("/v1/completions", content=json.dumps(body), headers=headers)
    if answer.status_code >= 500:
        return f"status {answer.status_code}"
    if answer.headers["content-type"].startswith("text/event-stream"):
        lines = [line for line in answer.text.split("\n\n") if line]
        for line in lines[:-1]:
            json.loads(line.removeprefix("data: "))
        return "" if lines[-1] == "data: [DONE]" else f"its stream ended with {lines[-1][:60]!r}"
    answer.json()
    return ""
