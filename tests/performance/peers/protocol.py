"""How an engine under test is asked: one JSON line in, one out, in a process of its own that sleeps in between.

Only the standard library is used: this file also runs in the environments of the peers.
"""

import ctypes
import json
import os
import random
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

Prompts = list[list[int]]
PROMPT_TOKENS = 50_000
"""Prompts are drawn from ids below this, which all engines know."""


@dataclass(frozen=True)
class Decoding:
    """What an engine saw while it decoded."""

    stamps: Sequence[Sequence[float]]
    """When each token of each stream came, on time.monotonic's clock in seconds."""
    resident_bytes: int | None = None
    """Of the process while all streams were held; None where the engine can't tell at that moment."""


class Engine(Protocol):
    """What a peer's script makes of its library."""

    facts: dict[str, Any]
    """weights_read_bytes: of the weights, for one step; kv_bytes_per_token, if known; versions."""

    def decode(self, prompts: Prompts, tokens: int) -> Decoding:
        """Continues all prompts together, greedily, until `tokens` steps were made by all of them at once."""
        ...


def serve(make: Any) -> None:
    """Answers requests until the input ends; `make()` loads the engine.

    What libraries print goes to standard error, so that only answers stand on standard output.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(found: dict[str, Any]) -> None:
        answers.write(json.dumps(found) + "\n")
        answers.flush()

    try:
        began = time.monotonic()
        engine: Engine = make()
        answer({**engine.facts, "load_seconds": time.monotonic() - began})
        for line in sys.stdin:
            answer(_answered(engine, json.loads(line)))
    except Exception as error:  # whatever it was, it belongs into the table
        traceback.print_exc()
        answer({"error": f"{type(error).__name__}: {error}"})


def _answered(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    """A request of `streams` prompts of `context` tokens each, continued by `tokens` steps (0: the prompt alone)."""
    asked = prompts(request["seed"], request.get("streams", 1), request["context"])
    began = time.monotonic()
    found = engine.decode(asked, request["tokens"])
    told = {"first_token_seconds": max(stamps[0] for stamps in found.stamps) - began}
    if request["tokens"]:
        told |= steady(found.stamps, request["tokens"])
    return {**told, "resident_bytes": found.resident_bytes}


def prompts(seed: int, streams: int, context: int) -> Prompts:
    """Random prompts, the same for all engines; no two begin alike."""
    draw = random.Random(seed)
    return [[draw.randrange(PROMPT_TOKENS) for _ in range(context)] for _ in range(streams)]


def steady(stamps: Sequence[Sequence[float]], steps: int) -> dict[str, Any]:
    """Tokens and seconds of so many steps, from when the last stream has its first token: all streams take part.

    Engines that begin streams one after the other, and those that begin them together, are measured alike.

    Raises:
        ValueError: a stream ended too early.
    """
    start = max(times[0] for times in stamps)
    last = next(times for times in stamps if times[0] == start)
    if len(last) <= steps:
        raise ValueError(f"a stream ended after {len(last) - 1} of {steps} steps")
    end = last[steps]
    counts = [sum(start < at <= end for at in times) for times in stamps]
    if min(counts) < steps - 1:  # one may fall beside the border
        raise ValueError(f"a stream ended after {min(counts)} of the {steps} steps that all were to make together")
    took = [after - before for before, after in pairwise(last[: steps + 1])]
    return {"seconds": end - start, "tokens": sum(counts), "step_seconds": took}


def resident_bytes() -> int:
    """Of this process, now, without what its allocator keeps of earlier requests (where that can be given back)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise OSError("this system does not tell a process's resident memory")
