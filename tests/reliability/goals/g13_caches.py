"""G13: what is kept is never taken for something else: runs by all that decides them, prompts by their tokens."""

import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from typing import Any
from unittest import mock

from tests.evals.runs.toy_benchmark import MODEL
from tests.performance.batch_invariance import answer_alone, new_engine
from tests.reliability.goal import Goal, Mutant, Outcome
from tests.reliability.people import crowd_model
from workbench.engine.jobs import Decode, Sampling, Score
from workbench.engine.prefix import Prefix
from workbench.evals.runs.protocol import Protocol

CHUNK_TOKENS = 16
"""Of the engines, so that short prompts are kept as well."""
RECORD: dict[str, dict[str, Any]] = {
    "task": {"name": "riddles", "version": 1, "method": "choice", "settings": {"norm": True}, "metrics": ["acc"]},
    "data": {"origin": "hub", "name": "a/b", "split": "test", "revision": "abc", "sha256": "d" * 64, "rows": 10},
    "shots": {"count": 2, "seed": 1, "rows": [4, 7], "sha256": "e" * 64},
    "model": asdict(MODEL),
    "code": {"sha256": "f" * 64, "torch": "2.13", "python": "3.11"},
}


def check(size: int, seed: int) -> Outcome:
    """Every field of a run's record changed once; then so many prompts that begin like those before them."""
    rng, failures = random.Random(seed), list[str]()
    fields = [(part, name) for part, record in RECORD.items() for name in record]
    whole = _digest(RECORD, None)
    for part, name in fields:
        other = {**RECORD, part: {**RECORD[part], name: ["another"]}}
        failures += [f"the same run with another {part}.{name}"] if _digest(other, None) == whole else []
    failures += ["the same run with another limit"] if _digest(RECORD, 5) == whole else []
    model = crowd_model()
    keeping = new_engine(model, CHUNK_TOKENS, None)
    beginnings = [tuple(rng.randrange(2, 60) for _ in range(40)) for _ in range(3)]
    for number in range(size):
        job = _job(rng, rng.choice(beginnings))
        if answer_alone(keeping, job) != answer_alone(new_engine(model, CHUNK_TOKENS, None), job):
            failures.append(f"prompt {number}: another answer with what was kept")
    level = (
        f"each of {len(fields) + 1} fields makes another run; {size:,} prompts that begin like earlier ones: "
        "every answer the same to the bit as on an engine that keeps nothing"
    )
    return Outcome(level, {"fields": len(fields) + 1, "prompts": size}, tuple(failures))


def _digest(record: dict[str, dict[str, Any]], limit: int | None) -> str:
    return Protocol(**record, limit=limit).digest


def _job(rng: random.Random, beginning: tuple[int, ...]) -> Decode | Score:
    """One that begins like others, up to somewhere; a token of the beginning may be another."""
    kept = list(beginning[: rng.randint(17, 40)])
    if rng.random() < 0.5:
        kept[rng.randrange(len(kept))] = rng.randrange(2, 60)
    prompt = (*kept, *(rng.randrange(2, 60) for _ in range(rng.randint(1, 20))))
    shared = rng.choice((0, min(len(kept), 32)))
    if rng.random() < 0.3:
        return Score(prompt, ((5, 6), (7,)), shared=shared)
    return Decode(prompt, 6, sampling=Sampling(0.8), seed=rng.randrange(100), shared=shared)


def modelless() -> AbstractContextManager[object]:
    """A run's digest leaves out the model, as lm-evaluation-harness's cache does."""
    deciding = Protocol.deciding.fget
    assert deciding is not None
    return mock.patch.object(Protocol, "deciding", property(lambda self: {**deciding(self), "model": {}}))


@contextmanager
def alike() -> Iterator[None]:
    """A prompt counts as kept if it is long enough, whatever its tokens."""

    def common(prefix: Prefix, tokens: tuple[int, ...]) -> int:
        most = min(prefix._fed, len(tokens) - 1)
        return most - most % prefix._chunk_tokens

    with mock.patch.object(Prefix, "common", common):
        yield


GOAL = Goal(
    name="G13",
    promise="Nothing kept is taken for something else: runs go by all that decides them, prompts by their tokens",
    peer="lm-evaluation-harness: not keyed by the model (issues 4063, 2715)",
    unit="prompts",
    short=60,
    full=10_000,
    check=check,
    mutants=(
        Mutant("the model is left out of the key", modelless, 1),
        Mutant("a prompt is taken for another of its length", alike, 30),
    ),
)
