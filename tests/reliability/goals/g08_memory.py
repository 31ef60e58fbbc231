"""G8: what a model will need is known before it is loaded, and memory that runs out costs a request and no more."""

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from tests.reliability.goal import Goal, Mutant, Outcome
from tests.text.tiny import TOKENIZER, tiny_network, write_checkpoint
from workbench import manager as manager_module
from workbench.engine.jobs import Sampling
from workbench.errors import NotEnoughMemory, WorkbenchError
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.load import save_pretrained
from workbench.loading.memory import MemoryPlan
from workbench.manager import ModelManager, ModelSpec
from workbench.text.requests import Generate

ROOT = Path(__file__).parents[3]
WIDTHS, LAYERS, PRECISIONS = (256, 320, 384, 512), (2, 3, 4), ("float32", "bfloat16", "int8")
OFF = 0.05
"""How far a plan may be from what is taken."""
WHILE_LOADING, BESIDE_BYTES = 1.15, 32 * 2**20
"""Of the plan, and beside it, that a load may take at its peak."""
REFUSED_BYTES = 64 * 2**20
"""That a refusal may take."""
SQUEEZES, LARGEST_SQUEEZE_BYTES = 3, 16 * 2**20
"""Limits on the process's memory for each configuration, from nothing more than it has."""
MISSING = "GUARD_TAKEN_AWAY"
"""A variable of the environment: memory is measured in a process of its own."""
REQUEST = Generate("The unicorn", max_new_tokens=4, sampling=Sampling(0.0))


def check(size: int, seed: int) -> Outcome:
    """So many configurations are planned, loaded, refused and squeezed."""
    command = [sys.executable, "-m", __spec__.name, str(size), str(seed)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120 + 30 * size)
    if ended.returncode:
        said = ended.stderr.strip().splitlines()
        return Outcome("broken", {}, (f"status {ended.returncode}: {said[-1] if said else ''}",))
    found: dict[str, Any] = json.loads(ended.stdout)
    level = (
        f"{size:,} configurations: plans within {found['off']:.1%} of what was taken; {found['refused']} loads that "
        f"could not fit refused, at the cost of {found['refusal_bytes'] / 2**20:.1f} MiB at most; "
        f"{found['squeezed']} of {found['squeezes']} loads and requests ran out of memory, and the next was served"
    )
    return Outcome(level, {name: found[name] for name in found if name != "failures"}, tuple(found["failures"]))


def tried_here(size: int, seed: int) -> dict[str, Any]:
    """The same in this process."""
    rng, found = random.Random(seed), {"off": 0.0, "refused": 0, "refusal_bytes": 0, "squeezed": 0, "squeezes": 0}
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as home:
        small = ModelSpec(str(write_checkpoint(Path(home, "small"))))
        for precision in PRECISIONS:  # what comes once with the first load of its kind is not the model's
            _planned(replace(small, precision=precision), [])
        for number in range(size):
            spec = _checkpoint(Path(home, str(number)), rng)
            found["off"] = max(found["off"], _planned(spec, failures))
            cost = _refused(spec, small, failures)
            found["refused"], found["refusal_bytes"] = number + 1, max(found["refusal_bytes"], cost)
            for _ in range(SQUEEZES):
                found["squeezes"] += 1
                found["squeezed"] += _squeezed(spec, small, rng.randrange(LARGEST_SQUEEZE_BYTES), failures)
    return {**found, "failures": failures}


def _checkpoint(folder: Path, rng: random.Random) -> ModelSpec:
    """A random model of a random shape, on the disk."""
    width = rng.choice(WIDTHS)
    shape = GPTJConfig(
        vocab_size=tiny_network().config.vocab_size, n_positions=64, n_embd=width, n_layer=rng.choice(LAYERS),
        n_head=4, rotary_dim=16, bos_token_id=TOKENIZER.eos_id, eos_token_id=TOKENIZER.eos_id,
    )  # fmt: skip
    save_pretrained(GPTJForCausalLM(shape), folder)
    TOKENIZER.save(folder)
    return ModelSpec(str(folder), precision=rng.choice(PRECISIONS))


def _planned(spec: ModelSpec, failures: list[str]) -> float:
    """How far the plan was from the bytes of the loaded model; while it loaded the process held hardly more."""
    manager = ModelManager()
    try:
        plan, before = manager.plan(spec), _peak(reset=True)
        taken = manager.load(spec).memory_bytes
        most = _peak() - before
    finally:
        manager.close()
    if most > WHILE_LOADING * plan.weights_bytes + BESIDE_BYTES:
        failures.append(f"{spec.precision}: a load of {taken:,} bytes took up to {most:,}")
    off = abs(plan.weights_bytes - taken) / taken
    failures += [] if off <= OFF else [f"{spec.precision}: planned {plan.weights_bytes:,}, taken {taken:,} bytes"]
    return off


def _refused(spec: ModelSpec, small: ModelSpec, failures: list[str]) -> int:
    """What it costs to refuse a model for which there is no room, beside one that serves."""
    planner = ModelManager()
    room = planner.plan(small).total_bytes + planner.plan(spec).total_bytes // 2
    manager = ModelManager(budget_bytes=room)
    try:
        with manager.lease(small) as model:
            before = _peak(reset=True)
            try:
                manager.load(spec)
                failures.append(f"{spec.precision}: a model was loaded for which there is no room")
            except NotEnoughMemory:
                pass
            cost = _peak() - before
            failures += [] if cost <= REFUSED_BYTES else [f"a refusal took {cost:,} bytes"]
            failures += [] if model.generate(REQUEST).finish_reason else ["the model that serves does not go on"]
    finally:
        manager.close()
    return max(0, cost)


def _squeezed(spec: ModelSpec, small: ModelSpec, more: int, failures: list[str]) -> bool:
    """Whether a load or its request ran out of memory that ends so much beyond what is taken; the next is served."""
    manager = ModelManager()
    ran_out = False
    try:
        with manager.lease(small) as model:
            expected = model.generate(REQUEST).text
            resource.setrlimit(resource.RLIMIT_DATA, (_data_bytes() + more, resource.RLIM_INFINITY))
            try:
                with manager.lease(spec) as other:
                    other.generate(REQUEST)
            except WorkbenchError:
                ran_out = True
            except Exception as error:
                failures.append(f"what ran out of memory says {error!r}"[:200])
            finally:
                resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            failures += [] if model.generate(REQUEST).text == expected else ["the model beside it says other things"]
        with manager.lease(spec) as other:
            failures += [] if other.generate(REQUEST).finish_reason else ["the load is not served with more memory"]
    finally:
        manager.close()
    return ran_out


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


def _peak(reset: bool = False) -> int:
    """The most memory that this process had, in bytes."""
    if reset:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    return _status("VmHWM")


def _data_bytes() -> int:
    return _status("VmData")


def halved() -> AbstractContextManager[object]:
    """The plan forgets half of the weights."""
    plan_memory = manager_module.plan_memory

    def halving(*arguments: Any) -> MemoryPlan:
        plan = plan_memory(*arguments)
        return replace(plan, weights_bytes=plan.weights_bytes // 2)

    return mock.patch.object(manager_module, "plan_memory", halving)


def no_preflight() -> AbstractContextManager[object]:
    """Nobody looks whether there is room."""
    return mock.patch.object(ModelManager, "_make_room", return_value=[])


GUARDS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "the plan forgets half of the weights": halved,
    "nobody looks whether there is room": no_preflight,
}


def without(guard: str) -> Callable[[], AbstractContextManager[object]]:
    """Takes a guard away in the measured process."""
    return lambda: mock.patch.dict(os.environ, {MISSING: guard})


GOAL = Goal(
    name="G8",
    promise="What a model needs is known before it is loaded, and memory that runs out costs one request",
    peer="accelerate plans with the host's memory; transformers is killed while it loads",
    unit="configurations",
    short=3,
    full=20,
    check=check,
    mutants=tuple(Mutant(guard, without(guard), 1) for guard in GUARDS),
)

if __name__ == "__main__":
    with GUARDS[os.environ[MISSING]]() if MISSING in os.environ else nullcontext():
        print(json.dumps(tried_here(int(sys.argv[1]), int(sys.argv[2]))))
