"""G1: streams that are written together are never lost, doubled or mixed."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from tests.engine.test_batch_invariance import _Seeded
from tests.reliability.goal import Goal, Mutant, Outcome
from tests.reliability.people import Given, answers_alone, ask_all, crowd_model, requests
from workbench.engine.engine import Engine
from workbench.engine.handle import Handle
from workbench.engine.jobs import Token
from workbench.engine.served import Following, Served

PEOPLE = 32


def check(size: int, seed: int) -> Outcome:
    """So many requests by 32 threads; each answer, and each streamed token, against the same request asked alone."""
    model = crowd_model()
    jobs = requests(model, size, seed)
    with Engine(model, max_rows=16) as engine:
        given = ask_all(engine, jobs, PEOPLE)
        left = [work for work in engine._scheduler.jobs if not work.done]
    alone = answers_alone(model, jobs)
    failures = [said for number in range(size) if (said := _wrong(number, given.get(number, []), alone[number]))]
    failures += [f"{len(left)} jobs are left in the engine"] if left else []
    tokens = sum(len(one[0].streamed) for one in given.values())
    counts = {"requests": size, "streams": PEOPLE, "tokens": tokens, "wrong": len(failures)}
    level = (
        f"{size:,} requests by {PEOPLE} streams: {len(failures)} lost, doubled, mixed or different from the same "
        f"request alone ({tokens:,} tokens, bit for bit)"
    )
    return Outcome(level, counts, tuple(failures))


def _wrong(number: int, given: Sequence[Given], alone: Any) -> str:
    """What is wrong with what came of a request; empty: nothing."""
    if len(given) != 1:
        return f"request {number}: {len(given)} answers"
    (one,) = given
    if one.error is not None:
        return f"request {number}: {one.error!r}"
    if one.streamed != list(one.result.tokens):
        return f"request {number}: {len(one.streamed)} tokens streamed, {len(one.result.tokens)} in the answer"
    return "" if one.result == alone else f"request {number}: another answer than alone"


def shared_generator() -> AbstractContextManager[object]:
    """All streams draw from one generator."""
    generator = torch.Generator()
    return mock.patch.object(torch, "Generator", return_value=_Seeded(generator))


def neighbours_row() -> AbstractContextManager[object]:
    """Each stream of a step is given its neighbour's logits."""
    decode: Callable[[Served, Sequence[Following]], Tensor] = Served.decode
    return mock.patch.object(Served, "decode", lambda served, streams: decode(served, streams).roll(1, 0))


def lost_tokens() -> AbstractContextManager[object]:
    """Tokens of one kind are lost on the way to the asker."""
    emit = Handle.emit

    def some(handle: Handle[Any], token: Token) -> None:
        if token.id % 20:
            emit(handle, token)

    return mock.patch.object(Handle, "emit", some)


GOAL = Goal(
    name="G1",
    promise="Streams that are written together are never lost, doubled or mixed; each is what it would be alone",
    peer="vLLM: one needle in 5 trials, reruns allowed; llama.cpp: the check of the content is switched off",
    unit="requests",
    short=160,
    full=5_000,
    check=check,
    mutants=(
        Mutant("one random generator for all", shared_generator, 40),
        Mutant("a stream is given its neighbour's row", neighbours_row, 40),
        Mutant("a token is lost on the way", lost_tokens, 40),
    ),
)
