"""The key promise: in float32 an answer does not depend on who else is being served, bit for bit.

`tests.performance.batch_invariance` runs the same property over thousands of cases.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.engine.tiny import sampled
from tests.performance.batch_invariance import SMALL_SHAPES, answer_alone, mismatches, models, new_engine
from workbench.engine.engine import Engine
from workbench.gptj.model import GPTJForCausalLM

ROOT = Path(__file__).parents[2]
MODELS = models(SMALL_SHAPES)
NAMES = ["head width 8", "head width 9, odd MLP", "head width 11, odd MLP"]
by_shape = pytest.mark.parametrize("model", MODELS, ids=NAMES)


@by_shape
@pytest.mark.parametrize("seed", range(0, 20, 5))
def test_answers_in_company_are_those_alone(model: GPTJForCausalLM, seed: int) -> None:
    assert [mismatches(model, case)[0] for case in range(seed, seed + 5)] == [0] * 5


def test_so_they_are_with_one_thread_and_with_two_on_wider_models() -> None:
    # In a process of its own, whose threads sleep while they wait: spinning ones starve each other on busy cores.
    done = subprocess.run(
        [sys.executable, "-m", "tests.performance.batch_invariance", "--cases", "12"],
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}, cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    figures = json.loads(done.stdout)
    assert figures["mismatches"] == 0 and figures["answers_compared"] > 40


def test_answers_of_a_threaded_engine_are_those_alone() -> None:
    jobs = [sampled(seed, range(1, 3 + 4 * seed), 12, temperature=0.8) for seed in range(9)]
    with Engine(MODELS[0]) as engine:
        handles = [engine.submit(job) for job in jobs]
        together = [handle.result(timeout_seconds=60) for handle in handles]
    assert together == [answer_alone(new_engine(MODELS[0], 512, None), job) for job in jobs]


def test_steps_without_a_fixed_number_of_rows_would_break_the_promise() -> None:
    # The mutant: a matrix product's bits depend on its rows. Were there a machine where they do not, it would pass.
    if sum(mismatches(MODELS[0], case, row_block=0)[0] for case in range(10)) == 0:
        pytest.skip("this machine's matrix products do not depend on the number of rows")


def test_a_generator_shared_by_all_streams_would_break_the_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = torch.Generator()
    monkeypatch.setattr(torch, "Generator", lambda: _Seeded(shared))
    assert sum(mismatches(MODELS[0], case)[0] for case in range(5)) > 0


class _Seeded:
    """Gives everybody the same generator, whatever seed they ask for."""

    def __init__(self, shared: torch.Generator):
        self._shared = shared

    def manual_seed(self, seed: int) -> torch.Generator:
        return self._shared
