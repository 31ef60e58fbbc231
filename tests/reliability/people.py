"""Many people at once: threads that ask an engine, each noting what it was given."""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.engine.tiny import tiny_model
from tests.performance.batch_invariance import answer_alone, random_decode
from workbench.engine.engine import Engine
from workbench.engine.jobs import Decode
from workbench.gptj.model import GPTJForCausalLM

PATIENCE_SECONDS = 120.0
"""For one answer: a machine that others use as well must not make a promise look broken."""
CONTEXT_TOKENS = 96


def crowd_model(seed: int = 0) -> GPTJForCausalLM:
    """The model that people ask."""
    return tiny_model(seed, n_positions=CONTEXT_TOKENS)


def requests(model: GPTJForCausalLM, count: int, seed: int) -> list[Decode]:
    """So many different requests: each prompt begins with its own number."""
    rng, base = random.Random(seed), model.config.vocab_size - 2
    asked = []
    for number in range(count):
        nonce = tuple(2 + number // base**place % base for place in range(3))
        job = random_decode(rng, model.config)
        asked.append(replace(job, prompt=nonce + job.prompt))
    return asked


def answers_alone(model: GPTJForCausalLM, jobs: Sequence[Decode]) -> list[Any]:
    """What each would be given by an engine with nobody else, one after the other."""
    return [answer_alone(Engine(model, threaded=False), job) for job in jobs]


@dataclass
class Given:
    """What somebody was given for a request."""

    streamed: list[Any]
    result: Any = None
    error: BaseException | None = None


def ask_all(engine: Engine, jobs: Sequence[Decode], people: int) -> dict[int, list[Given]]:
    """Everybody takes the next request until none is left; what was given, by the request's number."""
    given: dict[int, list[Given]] = {}
    left, lock = iter(range(len(jobs))), threading.Lock()

    def person() -> None:
        while True:
            with lock:
                number = next(left, None)
            if number is None:
                return
            one = _asked(engine, jobs[number])
            with lock:
                given.setdefault(number, []).append(one)

    together([person] * people)
    return given


def _asked(engine: Engine, job: Decode) -> Given:
    given = Given([])
    try:
        handle = engine.submit(job)
        given.streamed.extend(handle)
        given.result = handle.result(PATIENCE_SECONDS)
    except Exception as error:  # whatever it was is what the person was given
        given.error = error
    return given


def together(works: Sequence[Callable[[], object]]) -> None:
    """Runs all at the same time, each in a thread, and waits for them.

    Raises:
        TimeoutError: one does not end.
    """
    threads = [threading.Thread(target=work, name="person", daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS + 20 * len(threads) + 600)
    if any(thread.is_alive() for thread in threads):
        raise TimeoutError("somebody still waits for an answer")
