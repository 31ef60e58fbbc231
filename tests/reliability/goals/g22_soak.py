"""G22: people of all kinds for a long time: nothing fails but what is refused, and the last are served as the first."""

import json
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest import mock

import httpx

from tests.reliability.goal import Goal, Mutant, Outcome
from tests.reliability.people import together
from tests.reliability.served_here import PATIENCE_SECONDS, Here, asked_text, served_here
from workbench.gptj.model import GPTJModel

PEOPLE = 8
REFUSED = (429, 503)
TOKENS = 12
DRIFT = 1.5
"""How much slower the last third's median may be than the first's; others share the machine."""
LEAST_SAMPLES = 30
"""In each third, below which a median says nothing."""


@dataclass
class Seen:
    """What people met with; `lock` protects all of it."""

    counts: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    """Seconds to the first token of a text, in the order in which they came."""
    failures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def check(size: int, seed: int) -> Outcome:
    """So many seconds of texts, left texts, classifications, answers and benchmarks by people who never rest."""
    seen = Seen()
    with served_here() as here:
        until = time.monotonic() + size
        together([lambda number=number: _live(here, number, seed, until, seen) for number in range(PEOPLE)])  # type: ignore[misc]
        if not here.at_rest(PATIENCE_SECONDS):
            seen.failures.append("the engine goes on though all have left")
    third = len(seen.waits) // 3
    drift = 1.0
    if third >= LEAST_SAMPLES:
        drift = statistics.median(seen.waits[-third:]) / statistics.median(seen.waits[:third])
        seen.failures += [] if drift <= DRIFT else [f"the first token comes {drift:.1f} times as late as at first"]
    level = (
        f"{size:,} s of {PEOPLE} people: {seen.counts.total():,} requests, {len(seen.failures)} failed, "
        f"{seen.counts['refused']:,} refused in words; the first token came {drift:.2f} times as late at the end"
    )
    return Outcome(level, {**seen.counts, "drift": round(drift, 3)}, tuple(seen.failures))


def _live(here: Here, number: int, seed: int, until: float, seen: Seen) -> None:
    """One person's evening."""
    rng, ways = random.Random(seed * PEOPLE + number), (_reads, _leaves, _calls)
    visitor = number
    while time.monotonic() < until:
        visitor += PEOPLE  # a client's own limits are tried elsewhere
        way: Callable[..., str] = rng.choice(ways)
        with here.client(visitor) as client:
            try:
                said = way(here, client, rng, seen)
            except (httpx.HTTPError, ValueError) as error:
                said = repr(error)
        with seen.lock:
            seen.counts["refused" if said == "refused" else way.__name__.strip("_")] += 1
            seen.failures += [] if said in ("", "refused") else [f"{way.__name__.strip('_')}: {said}"[:200]]


def _reads(here: Here, client: httpx.Client, rng: random.Random, seen: Seen) -> str:
    """Reads a text to its end; gives what was wrong."""
    body = {"model": here.name, "prompt": f"Tale {rng.random()}", "max_tokens": TOKENS, "stream": True}
    began, first, last = time.monotonic(), 0.0, ""
    with client.stream("POST", "/v1/completions", json=body) as answer:
        if answer.status_code in REFUSED:
            return "refused"
        for line in answer.iter_lines():
            first, last = first or time.monotonic() - began, line or last
            if "error" in (json.loads(line[6:]) if line.startswith("data: {") else {}):
                return line
    with seen.lock:
        seen.waits.append(first)
    return "" if last == "data: [DONE]" else f"the stream ended with {last!r}"


def _leaves(here: Here, client: httpx.Client, rng: random.Random, seen: Seen) -> str:
    """Leaves a long text after its first words."""
    body = {"model": here.name, "prompt": "A long tale", "max_tokens": 200, "stream": True}
    with client.stream("POST", "/v1/completions", json=body) as answer:
        if answer.status_code in REFUSED:
            return "refused"
        return "" if next(answer.iter_lines()).startswith("data: ") else "no text"


def _calls(here: Here, client: httpx.Client, rng: random.Random, seen: Seen) -> str:
    """Asks one of the page's endpoints."""
    name, values = rng.choice(
        (
            ("generate", asked_text("The king", TOKENS)["data"]),
            ("classify", ["The king", "yes,no", "", "", "", "", {}]),
            ("answer", ["Who slept?", "The old king slept.", "", "", "", {}]),
            ("evaluate", ["winogrande", "", 2, 0, rng.randrange(3), "", "samples", ""]),
        )
    )
    asked = client.post(f"/gradio_api/call/{name}", json={"data": values})
    if asked.status_code in REFUSED:
        return "refused"
    told = client.get(f"/gradio_api/call/{name}/{asked.json()['event_id']}").text
    busy = "wait" in told and "event: error" in told
    return "refused" if busy else "" if "event: complete" in told else f"{name}: {told[-120:]}"


@contextmanager
def sometimes_broken() -> Iterator[None]:
    """One pass through the model in twenty fails."""
    forward, passes = GPTJModel.forward, iter(range(10**9))

    def failing(*arguments: object, **named: object) -> object:
        if next(passes) % 20 == 19:
            raise RuntimeError("a pass failed")
        return forward(*arguments, **named)  # type: ignore[arg-type]

    with mock.patch.object(GPTJModel, "forward", failing):
        yield


GOAL = Goal(
    name="G22",
    promise="After long mixed use nothing has failed but what was refused, and the last wait as the first did",
    peer="none tests it",
    unit="seconds",
    short=5,
    full=300,
    check=check,
    mutants=(Mutant("one pass through the model in twenty fails", sometimes_broken, 3),),
)
