"""G20: what is no number is told at once, and padding of any length never makes one."""

import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

import torch

from tests.engine.tiny import GREEDY, answer, quiet_engine, tiny_model
from tests.reliability.goal import Goal, Mutant, Outcome
from workbench.engine.jobs import Decode, Job, Read, Score
from workbench.errors import NumericalFailure
from workbench.gptj.model import GPTJForCausalLM

LONGEST_PAD = 512
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
TEXT = (5, 9, 2, 30)
JOBS: tuple[Job, ...] = (
    Decode(TEXT, 3, sampling=GREEDY),
    Score(TEXT, ((4, 5), (6,))),
    Read(TEXT),
)
NEAR = {torch.float32: 1e-4, torch.bfloat16: 0.3, torch.float16: 0.05}
"""How far logits may be from those without padding, of logits of order one."""


def check(size: int, seed: int) -> Outcome:
    """Half of the cases pad a text, half spoil one weight; the full form does all lengths and all weights."""
    rng, failures = random.Random(seed), list[str]()
    pads = [(length, dtype) for length in range(LONGEST_PAD + 1) for dtype in DTYPES]
    weights = [(name, value) for name, _ in tiny_model().named_parameters() for value in ("nan", "inf", "-inf")]
    if size < len(pads) + len(weights):
        pads, weights = rng.sample(pads, min(len(pads), size // 2)), rng.sample(weights, min(len(weights), size // 2))
    models = {dtype: tiny_model(n_positions=LONGEST_PAD + 8).to(dtype) for dtype in DTYPES}
    for length, dtype in pads:
        failures += _padded(models[dtype], length, dtype)
    for name, value in weights:
        failures += _spoilt(name, float(value))
    level = (
        f"{len(pads):,} paddings of 0 to {LONGEST_PAD} tokens in three types: all finite and equal to none; "
        f"{len(weights)} weights made NaN or infinite: told as such every time"
    )
    return Outcome(level, {"paddings": len(pads), "weights": len(weights)}, tuple(failures))


@torch.inference_mode()
def _padded(model: GPTJForCausalLM, length: int, dtype: torch.dtype) -> list[str]:
    """A text with padding before it, beside one without, in a batch."""
    neighbour = [7] * (length + len(TEXT))
    ids = torch.tensor([[0] * length + list(TEXT), neighbour])
    mask = torch.ones_like(ids)
    mask[0, :length] = 0
    logits = model(ids, attention_mask=mask).logits.float()
    if not bool(logits.isfinite().all()):
        return [f"{length} pads in {dtype}: a logit is no number"]
    alone = model(torch.tensor([TEXT])).logits.float()
    far = float((logits[0, length:] - alone[0]).abs().max())
    return [f"{length} pads in {dtype}: {far:g} away from none"] if far > NEAR[dtype] * 10 else []


def _spoilt(name: str, value: float) -> list[str]:
    """One value of a weight that every job uses is no number."""
    model = tiny_model()
    weight = model.get_parameter(name).data
    row = TEXT[-1] if name.endswith("wte.weight") else 4
    weight.view(len(weight), -1)[row, 0] = value
    found = []
    for job in JOBS:
        if name.startswith("lm_head") and isinstance(job, Read):
            continue
        try:
            told: Any = answer(quiet_engine(model), job)
        except NumericalFailure:
            continue
        except Exception as error:
            told = error
        found.append(f"{value} in {name}: {type(job).__name__} gave {str(told)[:80]}")
    return found


@contextmanager
def unlooked_at() -> Iterator[None]:
    """Nobody looks whether the numbers are numbers."""
    with (
        mock.patch("workbench.engine.served.check_finite"),
        mock.patch("workbench.engine.decoding.check_finite"),
        mock.patch("workbench.engine.scoring.check_finite"),
    ):
        yield


def swallowed() -> AbstractContextManager[object]:
    """Attention is taken as PyTorch's fused kernel gives it."""
    return mock.patch("workbench.gptj.attention.with_failures", lambda attended, queries, keys: attended)


GOAL = Goal(
    name="G20",
    promise="What is no number is told at that step and never served; padding of any length makes none",
    peer="none promises it; `probability tensor contains inf, nan` is an error that users of all of them report",
    unit="cases",
    short=60,
    full=1_800,
    check=check,
    mutants=(
        Mutant("nobody looks at the logits", unlooked_at, 20),
        Mutant("attention may swallow what is no number", swallowed, 60),
    ),
)
