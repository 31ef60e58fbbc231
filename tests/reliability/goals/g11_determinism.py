"""G11: the same question has the same answer, in any process and however often it is asked."""

import hashlib
import json
import os
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from unittest import mock

import torch

from tests.reliability.goal import Goal, Mutant, Outcome
from tests.reliability.people import ask_all, crowd_model, requests
from workbench.engine.engine import Engine

ROOT = Path(__file__).parents[3]
QUESTIONS, PEOPLE, REPEATS_A_PROCESS = 12, 6, 5


def check(size: int, seed: int) -> Outcome:
    """The same dozen questions so often in company, and a fifth as often in a process of its own."""
    digests = [answered(seed) for _ in range(size)]
    processes = max(1, size // REPEATS_A_PROCESS)
    digests += [_elsewhere(seed, place) for place in range(processes)]
    failures = [f"repeat {place}: other answers" for place, one in enumerate(digests) if one != digests[0]]
    failures += ["another seed has the same answers"] if answered(seed + 1) == digests[0] else []
    level = (
        f"{QUESTIONS} questions {size} times in company and in {processes} processes: the same to the bit every time"
    )
    return Outcome(level, {"repeats": size, "processes": processes}, tuple(failures))


def answered(seed: int) -> str:
    """A digest of what a crowd is given."""
    torch.set_num_threads(1)
    model = crowd_model()
    with Engine(model) as engine:
        given = ask_all(engine, requests(model, QUESTIONS, seed), PEOPLE)
    errors = [one.error for (one,) in given.values() if one.error is not None]
    assert not errors, repr(errors[0])
    answers = [given[number][0].result for number in range(QUESTIONS)]
    told = [repr((answer.tokens, answer.finish_reason, answer.stop_token)) for answer in answers]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _elsewhere(seed: int, place: int) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": str(place), "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-m", __spec__.name, str(seed)]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return ended.stdout.strip()


def unseeded() -> AbstractContextManager[object]:
    """A stream's generator begins anywhere."""

    class Anywhere:
        """Takes no seed."""

        def manual_seed(self, seed: int) -> torch.Generator:
            """A generator that begins somewhere."""
            generator = original()
            generator.seed()
            return generator

    original = torch.Generator
    return mock.patch.object(torch, "Generator", Anywhere)


GOAL = Goal(
    name="G11",
    promise="The same question with the same seed has the same answer in any process, under any load",
    peer="llama.cpp: 4 repeats at temperature 0",
    unit="repeats",
    short=5,
    full=100,
    check=check,
    mutants=(Mutant("generators begin anywhere", unseeded, 2),),
)

if __name__ == "__main__":
    print(answered(int(sys.argv[1])))
