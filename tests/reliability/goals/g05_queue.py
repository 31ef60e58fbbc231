"""G5: the page's queue never dies, and a flood of sessions costs nobody who waits the answer."""

import asyncio
import json
import threading
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

import gradio as gr
import httpx

from tests.reliability.goal import Goal, Mutant, Outcome
from tests.ui.serving import behind_the_guard
from workbench.ui.host import steady_queue

WAITING, MAILBOXES = 20, 50
"""People who wait, and sessions that the queue keeps: far fewer than come."""
AT_A_TIME = 16
PATIENCE_SECONDS = 120.0
SLOW, QUICK = 0, 1
"""The page's functions."""


def check(size: int, seed: int) -> Outcome:
    """So many sessions join and never listen while 20 people wait for their turn; then the turns come."""
    release = threading.Event()
    with gr.Blocks(analytics_enabled=False) as page:
        button = gr.Button("Run")
        button.click(lambda: release.wait(PATIENCE_SECONDS) and None, None, None, concurrency_limit=1)
        button.click(lambda: None, None, None, concurrency_limit=None)
    page.queue(max_size=None, status_update_rate=2.0)
    steady_queue.steady(page, MAILBOXES)
    url = behind_the_guard(page)
    try:
        victims = asyncio.run(_flooded(url, size, release))
        stopped = page._queue.stopped
    finally:
        release.set()
        page.close(verbose=False)
    failures = [f"{victims} of {WAITING} who waited got no answer"] if victims else []
    failures += ["the queue has stopped"] if stopped else []
    level = f"{size:,} sessions while {WAITING} people waited: {victims} victims, the queue goes on"
    return Outcome(level, {"sessions": size, "waiting": WAITING, "victims": victims}, tuple(failures))


async def _flooded(url: str, size: int, release: threading.Event) -> int:
    """How many of those who waited got no answer."""
    limits = httpx.Limits(max_connections=WAITING + AT_A_TIME + 4)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_SECONDS, trust_env=False, limits=limits) as client:
        waiting = [asyncio.create_task(_answered(client, f"waiting{number}")) for number in range(WAITING)]
        await asyncio.sleep(0.5)
        room = asyncio.Semaphore(AT_A_TIME)

        async def come(number: int) -> None:
            async with room:
                await _join(client, f"passing{number}", QUICK)

        await asyncio.gather(*(come(number) for number in range(size)))
        release.set()
        return WAITING - sum(await asyncio.gather(*waiting))


async def _join(client: httpx.AsyncClient, session: str, function: int) -> int:
    body = {"data": [], "fn_index": function, "session_hash": session, "trigger_id": None}
    return (await client.post("/gradio_api/queue/join", json=body)).status_code


async def _answered(client: httpx.AsyncClient, session: str) -> bool:
    """Whether somebody who joins and listens gets the end of what was asked for."""
    try:
        if await _join(client, session, SLOW) != 200:
            return False
        async with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as events:
            async for line in events.aiter_lines():
                told: dict[str, Any] = json.loads(line[5:]) if line.startswith("data:") else {}
                if told.get("msg") == "process_completed":
                    return bool(told["success"])
    except httpx.HTTPError:
        pass
    return False


def own_queue() -> AbstractContextManager[object]:
    """Gradio's queue as it comes, with the same number of sessions."""

    def made(page: gr.Blocks, most: int) -> None:
        page._queue.pending_messages_per_session.max_size = most

    return mock.patch.object(steady_queue, "steady", made)


GOAL = Goal(
    name="G5",
    promise="The page's queue never dies, and a flood of sessions takes no answer from who waits",
    peer="Gradio 6.31: about 2,300 sessions by anybody stop the queue for all, until a restart",
    unit="sessions",
    short=200,
    full=10_000,
    check=check,
    mutants=(Mutant("Gradio's queue as it comes", own_queue),),
)
