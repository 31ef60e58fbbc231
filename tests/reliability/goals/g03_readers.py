"""G3: who asks and never listens, or reads a byte now and then, holds neither the engine nor the memory."""

import json
import random
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import httpx

from tests.reliability.goal import Goal, Mutant, Outcome
from tests.reliability.served_here import Here, asked_text, served_here
from workbench.engine.handle import Handle
from workbench.errors import Cancelled
from workbench.ui.host import steady_queue

ABSENT_SECONDS = 15.0
"""After which nothing is computed for somebody who does not listen."""
TOKENS, STEP_SECONDS, NEIGHBOUR_TOKENS = 900, 0.03, 100
"""What is asked for lasts half a minute."""
RECEIVED_BYTES, PAUSE_SECONDS = 4096, 0.25
"""What lies in the receiving buffer of somebody slow, who takes one byte of it at a time."""
KINDS = ("absent", "slow on the page", "slow on the API")
TOGETHER = 12
PATIENCE_SECONDS = 30.0


def check(size: int, seed: int) -> Outcome:
    """So many who do not listen or hardly do, a few at a time, each time beside a neighbour who does."""
    found, rng, most, failures = 0.0, random.Random(seed), 0, list[str]()
    with served_here("local", TOKENS + 100, STEP_SECONDS) as here:
        expected = _neighbour(here)
        for first in range(0, size, TOGETHER):
            kinds = [KINDS[number % len(KINDS)] for number in range(first, min(size, first + TOGETHER))]
            rng.shuffle(kinds)
            seconds, unread, said = _one_evening(here, kinds, expected)
            found, most, failures = max(found, seconds), max(most, unread), [*failures, *said]
            if failures:
                break  # what goes on now would be in the way of those to come
    level = (
        f"{size:,} who did not listen or took a byte now and then: nothing was computed {found:.1f} s after the last "
        f"word was heard, at most {most} updates waited for anybody, and no neighbour's text was held up"
    )
    return Outcome(level, {"readers": size, "seconds": round(found, 1), "most_unread": most}, tuple(failures))


def _one_evening(here: Here, kinds: Sequence[str], expected: str) -> tuple[float, int, list[str]]:
    """The seconds until nothing is computed for who is absent, the most unread updates, and what was wrong."""
    failures: list[str] = []
    with ExitStack() as stack:
        for number, kind in enumerate(kinds):
            _come(here, kind, number, stack)
        absent = _handles(here, kinds.count("absent"))
        began, most, heard = time.monotonic(), 0, threading.Event()
        said: list[str] = []

        def neighbour() -> None:
            try:
                said.append(_neighbour(here))
            except httpx.HTTPError as error:
                said.append(repr(error))
            heard.set()

        threading.Thread(target=neighbour, daemon=True).start()
        while time.monotonic() - began < ABSENT_SECONDS and not (heard.is_set() and all(one.done for one in absent)):
            boxes = here.page._queue.pending_messages_per_session
            most = max([most, *(box.qsize() for box in list(boxes.values()))])
            time.sleep(0.05)
        seconds = time.monotonic() - began
        if not all(isinstance(one._error, Cancelled) for one in absent):
            failures.append(f"{seconds:.1f} s later a text is still written that nobody listens to")
        if not heard.wait(PATIENCE_SECONDS if not failures else 0) or said != [expected]:
            failures.append("a neighbour of slow readers did not get his text")
        if most > steady_queue.MOST_UNREAD:
            failures.append(f"{most} updates wait for one reader")
    if not here.at_rest(PATIENCE_SECONDS if not failures else 0):
        failures.append("the engine goes on though all have left")
    return seconds if absent else 0.0, most, failures


def _come(here: Here, kind: str, number: int, stack: ExitStack) -> None:
    """Somebody asks for a long text, and hardly reads it."""
    prompt = f"{kind} {number}"
    if kind == "slow on the API":
        body = {"model": here.name, "prompt": prompt, "max_tokens": TOKENS, "stream": True, "logprobs": 5}
        _read_slowly(here, "POST", "/v1/completions", body, stack)
        return
    with here.client() as client:
        asked = client.post("/gradio_api/call/generate", json=asked_text(prompt, TOKENS)).raise_for_status()
    if kind == "slow on the page":
        _read_slowly(here, "GET", f"/gradio_api/call/generate/{asked.json()['event_id']}", None, stack)


def _read_slowly(here: Here, method: str, path: str, body: Any, stack: ExitStack) -> None:
    """A byte now and then, until the end of the stack."""
    where, left = urlsplit(here.url), threading.Event()
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED_BYTES)
    connection.connect((where.hostname, where.port))
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: application/json\r\n"
    connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)

    def read() -> None:
        while not left.wait(PAUSE_SECONDS) and connection.recv(1):
            pass
        connection.close()

    threading.Thread(target=read, name="slow reader", daemon=True).start()
    stack.callback(left.set)


def _handles(here: Here, absent: int) -> list[Handle[Any]]:
    """Of those who never listen, once the engine has taken them up."""
    until = time.monotonic() + PATIENCE_SECONDS
    prefix = tuple(here.model.tokenizer.encode(KINDS[0]))
    while time.monotonic() < until:
        handles = [work.handle for work in here.model.engine._scheduler.jobs]
        found = [one for one in handles if getattr(one.job, "prompt", ())[: len(prefix)] == prefix]
        if len(found) == absent:
            return found
        time.sleep(0.02)
    raise AssertionError("the engine does not take up who never listens")


def _neighbour(here: Here) -> str:
    body = {"model": here.name, "prompt": "A neighbour", "max_tokens": NEIGHBOUR_TOKENS, "seed": 1}
    with here.client(1, PATIENCE_SECONDS) as client:
        return str(client.post("/v1/completions", json=body).raise_for_status().json()["choices"][0]["text"])


def nobody_looks() -> AbstractContextManager[object]:
    """Nobody looks whether anybody listens."""
    return mock.patch.object(steady_queue.Mailboxes, "listens", return_value=True)


@contextmanager
def waiting_for_readers() -> Iterator[None]:
    """The engine waits for who does not take what was sent."""
    boxes: list[steady_queue.Mailboxes] = []
    made, emit, over = steady_queue.Mailboxes.__init__, Handle.emit, threading.Event()

    def note(mailboxes: steady_queue.Mailboxes, *arguments: Any) -> None:
        made(mailboxes, *arguments)
        boxes.append(mailboxes)

    def wait(handle: Handle[Any], token: Any) -> None:
        while any(box.qsize() > 8 for one in boxes for box in list(one.values())) and not over.wait(0.01):
            pass
        emit(handle, token)

    with mock.patch.object(steady_queue.Mailboxes, "__init__", note), mock.patch.object(Handle, "emit", wait):
        until = threading.Timer(PATIENCE_SECONDS, over.set)
        until.start()
        try:
            yield
        finally:
            over.set()
            until.cancel()


GOAL = Goal(
    name="G3",
    promise="Who asks and never listens, or reads a byte now and then, holds neither the engine nor the memory",
    peer="none tests it; in Gradio a job that nobody listens to runs to its end",
    unit="readers",
    short=6,
    full=30,
    check=check,
    mutants=(
        Mutant("nobody looks whether anybody listens", nobody_looks, 1),
        Mutant("the engine waits for who does not read", waiting_for_readers, 1),
    ),
)
