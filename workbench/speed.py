"""How fast a model writes here, and how fast the machine's memory would let it."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil
import torch

from workbench.engine.jobs import Sampling
from workbench.engine.pace import KEPT_STEPS, Pace, PaceRecord
from workbench.errors import BadRequest
from workbench.kernels import bandwidth
from workbench.kernels.compiled import Kernels, kernels
from workbench.loading.control_groups import cores_of_groups, free_bytes_of_groups
from workbench.loading.devices import cpu_threads, single_device
from workbench.loading.loaded import LoadedModel
from workbench.loading.memory import MemoryPlan, size_text
from workbench.manager import ModelManager, ModelSpec
from workbench.text.requests import Generate

FRESH_SECONDS = 5.0
"""A probe so young is taken for now: pages that many people open at once measure once."""
MEASURED_TOKENS = 1 + 4 + KEPT_STEPS
"""The first comes with the prompt; of the steps that follow the record forgets the first few, which are slower."""
MEASURED = Generate(
    prompt="Once upon a time",
    max_new_tokens=MEASURED_TOKENS,
    min_new_tokens=MEASURED_TOKENS,
    sampling=Sampling(temperature=0.0),
    seed=0,
    lookup=False,
)
"""What a model writes to be measured: one text, a token a step."""


@dataclass(frozen=True)
class Speed:
    """What a model does beside what it could do at most."""

    read_bytes_per_token: int
    """Weights that a token must read, and one text's keys and values."""
    read_bytes_per_second: float | None
    """That the machine's memory gives; None: not measured, or not what limits the model."""
    alone: Pace | None
    """Of one text, a token a step; None: it has not written yet."""
    every: Pace | None
    """Of all texts and guesses lately."""

    @property
    def most_tokens_per_second(self) -> float | None:
        """Of one text, a token a step: the memory can't deliver the bytes of more."""
        return most_tokens_per_second(self.read_bytes_per_second, self.read_bytes_per_token)

    @property
    def tokens_per_second(self) -> float | None:
        """That one text grew by lately."""
        return None if self.alone is None else self.alone.tokens_per_second

    @property
    def share(self) -> float | None:
        """Of the limit that it reaches, 0..1 or a little more: the two were not measured in the same moment."""
        most, done = self.most_tokens_per_second, self.tokens_per_second
        return None if most is None or done is None else done / most


class MemorySpeed:
    """How fast the machine reads memory, measured only while nobody computes: it would slow both.

    `_lock` lets one measurement happen at a time.

    Args:
        is_quiet: whether nobody computes now.
    """

    def __init__(self, is_quiet: Callable[[], bool]):
        self._is_quiet = is_quiet
        self._lock = threading.Lock()
        self._taken_at = float("-inf")
        self.threads = cpu_threads()
        """That read."""
        self.last: float | None = None
        """Bytes a second; None: not measured yet."""

    def measured(self) -> float | None:
        """Bytes a second, now; where somebody computes or measures, or there is too little room, as they were last."""
        kernels()  # compiling them takes seconds, in which nobody else should find a measurement under way
        if self._lock.acquire(blocking=False):
            try:
                is_old = time.monotonic() - self._taken_at > FRESH_SECONDS
                if is_old and self._is_quiet() and _free_bytes() > 2 * bandwidth.PROBE_BYTES:
                    self._measure()
            finally:
                self._lock.release()
        return self.last

    def _measure(self) -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)  # a thread begins with the number that an engine set for itself
        try:
            self.last = bandwidth.read_bytes_per_second(self.threads)
        finally:
            torch.set_num_threads(before)
        self._taken_at = time.monotonic()


def speed_of(model: LoadedModel, record: PaceRecord | None, read_bytes_per_second: float | None) -> Speed | None:
    """A loaded model's speed; None of a model that can't write."""
    if not model.read_bytes:
        return None
    alone, every = (None, None) if record is None else (record.alone, record.every)
    cache = 0 if alone is None else round(alone.cache_bytes)
    return Speed(model.read_bytes + cache, read_bytes_per_second if model.is_on_cpu else None, alone, every)


def most_tokens_per_second(read_bytes_per_second: float | None, read_bytes_per_token: int | None) -> float | None:
    """One text's limit; None where either is not known."""
    return read_bytes_per_second / read_bytes_per_token if read_bytes_per_second and read_bytes_per_token else None


def probed() -> float | None:
    """Bytes a second that this machine reads, now; None where it has too little room to measure."""
    return MemorySpeed(lambda: True).measured()


def measure(manager: ModelManager, spec: ModelSpec) -> float | None:
    """Tokens a second of one text, loading the model if need be; None: others wrote at the same time.

    Raises:
        BadRequest: the model can't write; known before it is loaded. CannotLoad: it can't be loaded.
    """
    if not manager.plan(spec).read_bytes_per_token:
        raise BadRequest(
            f"{spec.checkpoint} has no language-model head, so it writes nothing that could be measured. Plan it "
            "without a measurement, or choose a checkpoint with a language-model head."
        )
    with manager.lease(spec) as model:
        record = model.engine.pace
        before = record.lone_steps
        model.generate(MEASURED)
        return record.alone.tokens_per_second if wrote_alone(record, before) and record.alone else None


def wrote_alone(record: PaceRecord, lone_steps_before: int) -> bool:
    """Whether a measurement filled the record: beside another text no step is its own."""
    return record.lone_steps - lone_steps_before >= KEPT_STEPS


def computes_on_cpu(spec: ModelSpec) -> bool:
    """Whether a model that is asked for so will be computed by the CPU alone, from memory."""
    device = single_device(spec.device_map)
    return device is not None and device.type == "cpu"


def limit_facts(plan: MemoryPlan, spec: ModelSpec, memory: float | None) -> dict[str, Any]:
    """A planned model's limit as plain data; None where a GPU will compute.

    Args:
        memory: bytes a second.
    """
    reads = plan.read_bytes_per_token.get(plan.precision) if computes_on_cpu(spec) else None
    return {"most_tokens_per_second": most_tokens_per_second(memory, reads), "context": plan.context}


def machine_facts(spec: ModelSpec) -> dict[str, Any]:
    """What this machine's CPU and memory do, measured now, as plain data; None where a GPU will compute."""
    if not computes_on_cpu(spec):
        return {"read_bytes_per_second": None, "threads": None, "kernels": None}
    memory, found = probed(), kernels()
    told = {"instructions": found.instructions, "note": found.note}
    return {"read_bytes_per_second": memory, "threads": cpu_threads(), "kernels": told}


def limit_text(facts: dict[str, Any]) -> str:
    """What the machine reads, what a model could do with it, and what it does; the facts are those of the two above."""
    memory, most, done = (
        facts.get(name) for name in ("read_bytes_per_second", "most_tokens_per_second", "tokens_per_second")
    )
    said = [] if memory is None else [f"this machine reads {rate_text(memory)} from memory"]
    full = f"with {facts['context']:,} tokens in its context"
    said += [] if most is None else [f"this model can do at most {tokens_text(most)} tokens/s {full}"]
    said += [] if done is None else [f"this model does {tokens_text(done)} tokens/s with a short text"]
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def rate_text(bytes_per_second: float) -> str:
    """43.1 GB/s."""
    return f"{bytes_per_second / 1e9:.1f} GB/s"


def tokens_text(count: float) -> str:
    """Two or three digits are enough: 0.87, 9.1, 1,640."""
    return f"{float(f'{count:.3g}'):,.0f}" if count >= 100 else f"{count:.1f}" if count >= 1 else f"{count:.2f}"


def kernels_text(found: Kernels) -> str:
    """What computes int8 and int4 here, and what stands in the way of more; one or two sentences."""
    if found.library is None:
        return f"On the CPU, int8 and int4 are computed by PyTorch here, which is slower. {found.note}"
    lacking = {
        "AVX2": " This processor has no AVX-512 VNNI, which computes prompts and many texts at once faster.",
        "plain C": " This processor has neither AVX2 nor AVX-512, which are several times as fast.",
    }
    slower = next((told for name, told in lacking.items() if found.instructions.startswith(name)), "")
    note = f" {found.note}" if found.note else ""
    compiled = f"kernels that were compiled for this processor ({found.instructions})"
    return f"On the CPU, int8 and int4 are computed by {compiled}.{slower}{note}"


def far_below_limit(found: Kernels) -> tuple[str, ...]:
    """The precisions that a CPU computes more slowly than wider ones, though it reads fewer bytes."""
    return ("nf4",) if found.library is not None else ("int8", "int4", "nf4")


def limits_text() -> str:
    """What a container leaves of the machine where it is less than all; empty where nothing is held back."""
    said = []
    cores = os.cpu_count() or 1
    if (used := min([cores, *cores_of_groups()])) < cores:
        said.append(f"This container may use {used} of the machine's {cores} cores.")
    elif cores == 1:
        said.append("This machine has one core.")
    free = int(psutil.virtual_memory().available)
    if (left := min([free, *free_bytes_of_groups()])) < free:
        said.append(
            f"This container's memory limit leaves {size_text(left)}, where the machine has {size_text(free)} free."
        )
    return " ".join(said)


def _free_bytes() -> int:
    return min([int(psutil.virtual_memory().available), *free_bytes_of_groups()])
