"""G21: what somebody asked reaches nobody else, is in no log, and leaves the disk in time."""

import asyncio
import contextlib
import io
import json
import logging
import os
import random
import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import httpx

from tests.reliability.goal import Goal, Mutant, Outcome
from tests.reliability.served_here import Here, asked_text, served_here, visitor_headers, visitors_client
from workbench.api.answers import Answer
from workbench.profiles import PUBLIC
from workbench.ui import web
from workbench.ui.host import temporary

NONCE = re.compile(rb"nonce[0-9a-f]{16}")
AT_A_TIME = 8
PAGE = ("/config", "/gradio_api/info")
"""What is the same for all, and large: one visitor in eight reads it."""


def check(size: int, seed: int) -> Outcome:
    """So many visitors, each with a word of his own in all that he sends, some at a time."""
    rng, log = random.Random(seed), io.StringIO()
    heard = logging.StreamHandler(log)
    logging.getLogger().addHandler(heard)
    try:
        with contextlib.redirect_stderr(log), contextlib.redirect_stdout(log), served_here() as here:
            folder = here.home / "temporary"
            failures = asyncio.run(_visited(here, [f"nonce{rng.getrandbits(64):016x}" for _ in range(size)]))
            uploads = len(_names(here.home, folder))
            temporary.sweep(folder, PUBLIC.disk, time.time() + PUBLIC.disk.seconds + 1)
            left = _names(here.home)
    finally:
        logging.getLogger().removeHandler(heard)
    failures += [f"{name} on the disk" for name in left]
    failures += [] if uploads == size else [f"{uploads} of {size} uploads reached the disk"]
    said = NONCE.findall(log.getvalue().encode())
    failures += [f"{len(said)} words of visitors in the log"] if said else []
    level = (
        f"{size:,} visitors, {AT_A_TIME} at a time: none was told another's word, none is in the log, and none on the "
        f"disk {PUBLIC.disk.seconds / 3600:g} h later"
    )
    counts = {"visitors": size, "foreign": len(failures), "in_log": len(said), "left_on_disk": len(left)}
    return Outcome(level, counts, tuple(failures))


async def _visited(here: Here, nonces: list[str]) -> list[str]:
    """Words that reached somebody else, and visitors who were not served."""
    room = asyncio.Semaphore(AT_A_TIME)
    async with visitors_client(here, AT_A_TIME) as client:

        async def visit(number: int, nonce: str) -> list[str]:
            async with room:
                found: set[bytes] = set()
                async for said in _answers(client, here, number, nonce):
                    found |= set(NONCE.findall(said))
            foreign = found - {nonce.encode()}
            missing = [] if nonce.encode() in found else [f"visitor {number} was not answered"]
            return missing + [f"visitor {number} was told {word.decode()}" for word in foreign]

        found = await asyncio.gather(*(visit(*one) for one in enumerate(nonces)))
    return [wrong for each in found for wrong in each]


async def _answers(client: httpx.AsyncClient, here: Here, number: int, nonce: str) -> Any:
    """All that a visitor is told, whatever he asks for."""
    headers = visitor_headers(number)
    echoed = {"model": here.name, "prompt": f"The {nonce}", "max_tokens": 2, "echo": True, "user": nonce}
    for path, body in (
        ("/v1/completions", echoed),
        ("/v1/completions", {**echoed, "stream": True}),
        ("/v1/completions", {"model": nonce, "prompt": nonce}),
        ("/gradio_api/queue/join", {"data": [nonce], "fn_index": nonce, "session_hash": "x"}),
    ):
        yield (await client.post(path, json=body, headers=headers)).content
    for name, values in (
        ("generate", asked_text(f"The {nonce}", 3)["data"]),
        ("generate", [nonce]),
        ("classify", [f"The {nonce}", f"yes,{nonce}", "", "", "", "", {}]),
        ("answer", ["Who?", f"It was {nonce}.", nonce, "", "", {}]),
        ("runs", [nonce]),
    ):
        asked = await client.post(f"/gradio_api/call/{name}", json={"data": values}, headers=headers)
        path = f"/gradio_api/call/{name}/{json.loads(asked.content)['event_id']}"
        yield (await client.get(path, headers=headers)).content
    file = {"files": (f"{nonce}.csv", f"text\n{nonce}\n".encode())}
    yield (await client.post("/gradio_api/upload", files=file, headers=headers)).content
    for path in ("/v1/models", *(PAGE if number % 8 == 0 else ())):
        yield (await client.get(path, headers=headers)).content


def _names(home: Path, below: Path | None = None) -> list[str]:
    """Visitors' words in the names and the contents of files."""
    found: set[bytes] = set()
    for path in (below or home).rglob("*"):
        found |= set(NONCE.findall(os.fsencode(path)))
        if path.is_file() and path.suffix != ".safetensors":
            found |= set(NONCE.findall(path.read_bytes()))
    return sorted(word.decode() for word in found)


@contextmanager
def last_answer() -> Iterator[None]:
    """Answers are kept in one place for all."""
    kept: list[Any] = []
    whole = Answer.whole

    def shared(answer: Answer, parts: Any) -> Any:
        kept.append(whole(answer, parts))
        return kept[max(0, len(kept) - 2)]

    with mock.patch.object(Answer, "whole", shared):
        yield


def loud() -> AbstractContextManager[object]:
    """Gradio reads what is sent in its own way, and prints it."""
    return mock.patch.object(web, "read_quietly")


def no_janitor() -> AbstractContextManager[object]:
    """Nobody sweeps."""
    return mock.patch.object(temporary, "sweep", return_value=0)


GOAL = Goal(
    name="G21",
    promise="What somebody asked reaches nobody else, stands in no log, and leaves the disk in time",
    peer="none tests it; Gradio prints what it can't read, prompts among it",
    unit="visitors",
    short=8,
    full=200,
    check=check,
    mutants=(
        Mutant("answers are kept in one place for all", last_answer, 4),
        Mutant("Gradio prints what it can't read", loud, 4),
        Mutant("nobody sweeps", no_janitor, 4),
    ),
)
