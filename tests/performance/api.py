"""The API with many callers at once beside one: tokens a second, all callers together, and each caller's wait.

python -m tests.performance api [--callers 1,4,16] [--tokens 32]

Every caller asks again and again until all have asked as often; texts are sampled, so that none is guessed ahead, and
of a length of their own. The server has a process of its own.
"""

import argparse
import json
import multiprocessing
import socket
import statistics
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

import torch
import uvicorn

from tests.performance.report import Report, Table, as_number, between
from tests.performance.streams import counts
from tests.performance.turns import spread
from workbench.api.models import name_of
from workbench.api.server import build_api
from workbench.loading.spec import DEMO
from workbench.manager import ModelManager, ModelSpec
from workbench.settings import Settings

PROMPT = "Once upon a time there was a"
ASKED_EACH = 3
"""Requests of a caller in a round."""
HEADER = ("callers", "tokens/s", "p10-p90", "times one caller's", "first text after, s (median)", "whole answer, s")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This measurement's own options."""
    parser.add_argument("--callers", type=counts, default=(1, 4, 16))
    parser.add_argument("--tokens", type=int, default=32, help="of each answer, at most")
    parser.add_argument("--model", default=DEMO)
    parser.add_argument("--precision")


def run(options: argparse.Namespace) -> Report:
    """A row for each number of callers, measured in turn, round by round."""
    found: dict[int, list[dict[str, float]]] = {count: [] for count in options.callers}
    spec = ModelSpec(options.model, precision=options.precision)
    with serving(spec, options.threads) as url:
        for place in range(options.rounds + 1):  # the first round is for warming up
            for count, rounds in found.items():
                measured = _round(url, name_of(spec), count, options.tokens, place)
                rounds += [measured] if place else []
    rows, figures = [], {}
    one = [each["tokens_per_second"] for each in found[options.callers[0]]]
    for count, rounds in found.items():
        together = [each["tokens_per_second"] for each in rounds]
        pace, times = spread(together), spread(many / alone for many, alone in zip(together, one, strict=True))
        waits = [statistics.median(each[name] for each in rounds) for name in ("first_seconds", "whole_seconds")]
        shown = f"{as_number(times.median)}x ({between(times)})"
        rows.append((str(count), as_number(pace.median), between(pace), shown, *map(as_number, waits)))
        figures[str(count)] = {"tokens_per_second": asdict(pace), "times_first": asdict(times), "rounds": rounds}
    return Report([Table(f"{options.model} behind the API, {options.tokens} tokens", HEADER, tuple(rows))], figures)


@contextmanager
def serving(spec: ModelSpec, threads: int) -> Iterator[str]:
    """The address of a server in a process of its own."""
    processes = multiprocessing.get_context("spawn")
    ours, theirs = processes.Pipe()
    process = processes.Process(target=_serve, args=(spec, threads, theirs), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(spec: ModelSpec, threads: int, told: Connection) -> None:
    torch.set_num_threads(threads)
    settings = Settings(model=spec.checkpoint, precision=spec.precision)
    manager = ModelManager()
    manager.load(spec)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        told.send(listening.getsockname()[1])
        uvicorn.Server(uvicorn.Config(build_api(settings, manager), log_level="warning")).run([listening])


def _round(url: str, model: str, callers: int, tokens: int, seed: int) -> dict[str, float]:
    """What all callers together had of it."""
    began = time.perf_counter()
    with ThreadPoolExecutor(callers) as people:
        each = [people.submit(_caller, url, model, tokens, 1000 * seed + place) for place in range(callers)]
        answers = [answer for caller in each for answer in caller.result()]
    seconds = time.perf_counter() - began
    return {
        "tokens_per_second": sum(answer["tokens"] for answer in answers) / seconds,
        "first_seconds": statistics.median(answer["first_seconds"] for answer in answers),
        "whole_seconds": statistics.median(answer["whole_seconds"] for answer in answers),
    }


def _caller(url: str, model: str, tokens: int, seed: int) -> list[dict[str, float]]:
    return [_asked(url, model, tokens, seed * ASKED_EACH + place) for place in range(ASKED_EACH)]


def _asked(url: str, model: str, tokens: int, seed: int) -> dict[str, float]:
    """One streamed answer: its tokens, and seconds until its first text and its end."""
    body: dict[str, Any] = {"model": model, "prompt": PROMPT, "max_tokens": tokens, "seed": seed, "stream": True}
    body["stream_options"] = {"include_usage": True}
    began, first, usage = time.perf_counter(), None, {"completion_tokens": 0}
    request = urllib.request.Request(f"{url}/v1/completions", json.dumps(body).encode())
    with urllib.request.urlopen(request) as answer:
        for line in answer:
            if line.startswith(b"data: {"):
                first = first or time.perf_counter()
                usage = json.loads(line[len(b"data: ") :])["usage"] or usage
    ended = time.perf_counter()
    first = ended if first is None else first
    return {"tokens": usage["completion_tokens"], "first_seconds": first - began, "whole_seconds": ended - began}
