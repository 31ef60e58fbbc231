"""G10: in float32 no answer depends on who else is served; `tests/performance/batch_invariance.py` is how."""

from contextlib import AbstractContextManager
from unittest import mock

import torch

from tests.performance.batch_invariance import SHAPES, mismatches, models
from tests.reliability.goal import Goal, Mutant, Outcome
from tests.reliability.goals.g01_streams import neighbours_row, shared_generator
from workbench.gptj.cache import CacheRows


def check(size: int, seed: int) -> Outcome:
    """So many crowds of random jobs on random tiny models, with one thread and with two; each answer as alone."""
    crowds, wrong, compared, threads = models(SHAPES), [], 0, torch.get_num_threads()
    try:
        for case in range(size):
            torch.set_num_threads(1 + case % 2)
            found, pairs = mismatches(crowds[case // 2 % len(crowds)], seed * 1_000_000 + case)
            compared += pairs
            wrong += [f"case {case}: {found} of {pairs} answers differ"] if found else []
    finally:
        torch.set_num_threads(threads)
    level = (
        f"{compared:,} answers in {size:,} crowds of random jobs: {len(wrong)} crowds with one that differs by a bit"
    )
    return Outcome(level, {"crowds": size, "answers": compared}, tuple(wrong))


def same_places() -> AbstractContextManager[object]:
    """All rows of a step stand where the first does."""
    positions = CacheRows.positions

    def first(rows: CacheRows, tokens: int, device: torch.device) -> torch.Tensor:
        told = positions(rows, tokens, device)
        return told[:1].expand_as(told)

    return mock.patch.object(CacheRows, "positions", first)


GOAL = Goal(
    name="G10",
    promise="In float32 no answer depends on who else is served, on padding or on neighbours, bit for bit",
    peer="vLLM: bitwise in a beta mode on GPUs; broken at 44 streams (issue 51187)",
    unit="crowds",
    short=24,
    full=2_000,
    check=check,
    mutants=(
        Mutant("one random generator for all", shared_generator, 6),
        Mutant("a stream is given its neighbour's row", neighbours_row, 6),
        Mutant("all rows stand where the first does", same_places, 6),
    ),
)
