"""Alone or in company: `python -m tests.performance.batch_invariance --cases 1000`, by hand; about 10 minutes.
`OMP_WAIT_POLICY=PASSIVE` before it helps much on busy cores.

The key promise of the engine: in float32 a stream's tokens and log-probabilities do not depend on who else is
decoding, bit for bit. Each case is a crowd of random jobs on a random tiny model: decodes of all kinds that join and
leave at random moments, some cancelled in the middle, with scoring and reading in between. Every answer of the crowd is
compared with the same job's answer alone. Prints one JSON document.
"""

import argparse
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from tests.gptj.tiny import tiny_causal
from workbench.engine.engine import Engine
from workbench.engine.jobs import Beams, Decode, Job, Read, Sampling, Score
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM

END = 1
"""The stop token of every case."""
SMALL_SHAPES = (
    GPTJConfig(vocab_size=61, n_positions=96, n_embd=32, n_layer=2, n_head=4, rotary_dim=4),
    GPTJConfig(vocab_size=97, n_positions=96, n_embd=27, n_layer=2, n_head=3, rotary_dim=6, n_inner=37),
    GPTJConfig(vocab_size=103, n_positions=96, n_embd=55, n_layer=1, n_head=5, rotary_dim=10, n_inner=101),
)
SHAPES = (
    *SMALL_SHAPES,
    GPTJConfig(vocab_size=301, n_positions=96, n_embd=96, n_layer=2, n_head=3, rotary_dim=8),
    GPTJConfig(vocab_size=211, n_positions=96, n_embd=39, n_layer=3, n_head=3, rotary_dim=12, n_inner=149),
    GPTJConfig(vocab_size=4099, n_positions=96, n_embd=192, n_layer=2, n_head=4, rotary_dim=32),
)


@dataclass(frozen=True)
class Guest:
    """One job of a crowd: when it joins, and when it is cancelled, in the engine's turns."""

    job: Job
    joins: int
    cancelled: int | None = None


def random_sampling(rng: random.Random) -> Sampling:
    """Any mix of settings; greedy now and then."""
    return Sampling(
        temperature=rng.choice([0.0, 0.7, 1.0, 1.5]),
        top_k=rng.choice([0, 0, 5, 20]),
        top_p=rng.choice([1.0, 0.9]),
        min_p=rng.choice([0.0, 0.05]),
        typical_p=rng.choice([1.0, 0.8]),
        repetition_penalty=rng.choice([1.0, 1.2]),
        presence_penalty=rng.choice([0.0, 0.5]),
        frequency_penalty=rng.choice([0.0, 0.3]),
    )


def random_tokens(rng: random.Random, config: GPTJConfig, longest: int) -> tuple[int, ...]:
    """One to `longest` ids."""
    return tuple(rng.randrange(config.vocab_size) for _ in range(rng.randint(1, longest)))


def random_decode(rng: random.Random, config: GPTJConfig) -> Decode:
    """A stream of up to 24 tokens after up to 40, rarely a beam search."""
    tokens = rng.randint(1, 24)
    beams = rng.choice([1] * 9 + [rng.randint(2, 4)])
    return Decode(
        prompt=random_tokens(rng, config, 40),
        max_new_tokens=tokens,
        min_new_tokens=rng.choice([0, tokens // 2]),
        sampling=Sampling(0.0) if beams > 1 else random_sampling(rng),
        beams=Beams(beams),
        seed=rng.randrange(2**31),
        stop_tokens=frozenset({END}),
        banned=frozenset(rng.sample(range(2, config.vocab_size), rng.choice([0, 3]))),
        forced=() if beams > 1 or rng.random() < 0.8 else random_tokens(rng, config, min(3, tokens)),
        alternatives=rng.choice([0, 3]),
    )


def random_crowd(rng: random.Random, config: GPTJConfig) -> list[Guest]:
    """Two to nine streams, some of them cancelled, and up to three other jobs."""
    crowd = [Guest(random_decode(rng, config), rng.randint(0, 20)) for _ in range(rng.randint(2, 9))]
    for index in range(1, len(crowd)):
        if rng.random() < 0.2:
            crowd[index] = replace(crowd[index], cancelled=crowd[index].joins + rng.randint(0, 8))
    for _ in range(rng.randint(0, 3)):
        tails = tuple(random_tokens(rng, config, 20) for _ in range(rng.randint(1, 3)))
        score = Score(random_tokens(rng, config, 40), tails, alternatives=2)
        job = rng.choice([score, Read(random_tokens(rng, config, 40))])
        crowd.append(Guest(job, rng.randint(0, 20)))
    return crowd


def new_engine(model: GPTJForCausalLM, chunk_tokens: int, row_block: int | None) -> Engine:
    """An engine that computes in the caller's thread; `row_block` None keeps the engine's own."""
    engine = Engine(model, threaded=False)
    block = engine.served.row_block if row_block is None else row_block
    engine.served = replace(engine.served, chunk_tokens=chunk_tokens, row_block=block)
    return engine


def answer_alone(engine: Engine, job: Job) -> Any:
    """The job's answer from an engine with nobody else."""
    handle = engine.submit(job)
    engine.run_until_idle()
    return handle.result()


@torch.inference_mode()
def answers_in_company(engine: Engine, crowd: Sequence[Guest]) -> list[Any]:
    """Every guest's answer; None for those cancelled."""
    handles: dict[int, Any] = {}
    last = max(max(guest.joins, guest.cancelled or 0) for guest in crowd)
    for turn in range(last + 1):
        for index, guest in enumerate(crowd):
            if guest.joins == turn:
                handles[index] = engine.submit(guest.job)
            if guest.cancelled == turn:
                handles[index].cancel()
        engine._turn()
    engine.run_until_idle()
    return [None if guest.cancelled is not None else handles[i].result() for i, guest in enumerate(crowd)]


def same(first: Any, second: Any) -> bool:
    """Equal bit for bit: decoded and scored answers, or tensors."""
    return torch.equal(first, second) if isinstance(first, torch.Tensor) else bool(first == second)


def mismatches(model: GPTJForCausalLM, seed: int, row_block: int | None = None) -> tuple[int, int]:
    """How many answers of one case differ from those alone, and how many were compared."""
    rng = random.Random(seed)
    crowd = random_crowd(rng, model.config)
    chunk_tokens = rng.choice([16, 512])
    together = answers_in_company(new_engine(model, chunk_tokens, row_block), crowd)
    pairs = [
        (answer, answer_alone(new_engine(model, chunk_tokens, row_block), guest.job))
        for guest, answer in zip(crowd, together, strict=True)
        if answer is not None
    ]
    return sum(not same(answer, alone) for answer, alone in pairs), len(pairs)


def models(shapes: Sequence[GPTJConfig]) -> list[GPTJForCausalLM]:
    """A random model of each shape."""
    return [tiny_causal(seed, shape) for seed, shape in enumerate(shapes)]


def main() -> None:
    """Runs the cases, turning through shapes and numbers of threads, and prints the count of mismatches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--row-block", type=int, help="rows of a decoding step; 0 breaks the promise on purpose")
    options = parser.parse_args()
    crowd_models = models(SHAPES)
    wrong_cases = wrong = compared = 0
    began = time.monotonic()
    for case in range(options.cases):
        torch.set_num_threads(1 + case % 2)
        model = crowd_models[case // 2 % len(crowd_models)]
        found, pairs = mismatches(model, options.first_seed + case, options.row_block)
        wrong_cases, wrong, compared = wrong_cases + bool(found), wrong + found, compared + pairs
    figures = {
        "cases": options.cases,
        "answers_compared": compared,
        "mismatches": wrong,
        "cases_with_a_mismatch": wrong_cases,
        "seconds": round(time.monotonic() - began, 1),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
