"""Trains a GPT-J from nothing on plain text: next-token prediction, resumable after a kill at any moment.

The recipe: Muon for the blocks' matrices and AdamW (Loshchilov and Hutter, 2019) for the rest, weight decay on
matrices only, warm-up then cosine decay, gradient clipping, bfloat16 where autocast finds it safe.
"""

import dataclasses
import functools
import json
import math
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from workbench.errors import BadRequest, NumericalFailure
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM
from workbench.training.batches import Windows
from workbench.training.optimizers import PRETRAINING_OPTIMIZERS, PretrainingOptimizer
from workbench.training.schedule import rate
from workbench.training.state import DAMAGED, LOG_FILE, STATE_FILE, damaged, read_state, trim_log, write_state

LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class PretrainSettings:
    """What decides the result of a training run."""

    steps: int = 3000
    batch_size: int = 8
    context: int = 512
    optimizer: str = "muon"
    learning_rate: float = 6e-3
    """The peak, after warm-up."""
    final_fraction: float = 0.05
    """The last learning rate, as a fraction of the peak."""
    warmup_steps: int = 100
    weight_decay: float = 0.1
    clip: float = 1.0
    """Largest norm of the gradient."""
    seed: int = 0
    validate_every: int = 250
    save_every: int = 100

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "context", "validate_every", "save_every"):
            if getattr(self, name) < 1:
                raise BadRequest(f"{name} must be at least 1; got {getattr(self, name)}")
        if self.optimizer not in PRETRAINING_OPTIMIZERS:
            raise BadRequest(f"optimizer must be one of {', '.join(PRETRAINING_OPTIMIZERS)}; got {self.optimizer!r}")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise BadRequest(f"seed must be from 0 to {LARGEST_SEED}; got {self.seed}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise BadRequest(f"learning_rate must be a number above 0; got {self.learning_rate}")

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        return rate(step, self.steps, self.warmup_steps, self.learning_rate, self.final_fraction)


@dataclass(frozen=True)
class HeldOut:
    """Text that is never trained on, for the curve that tells whether training helps."""

    tokens: np.ndarray
    """(N,)"""
    bytes: int
    """UTF-8 bytes of the text behind the tokens."""


@dataclass(frozen=True)
class TrainProgress:
    """Where a training run stands after a step."""

    step: int
    steps: int
    loss: float
    """Nats a token on this step's batch."""
    bits_per_byte: float | None
    """On the held-out text; None on steps that do not validate."""
    learning_rate: float
    tokens_per_second: float
    seconds: float
    """Spent training, all sittings together."""

    @property
    def seconds_left(self) -> float:
        """An estimate from the pace so far."""
        return self.seconds / self.step * (self.steps - self.step)


def pretrain(
    config: GPTJConfig,
    tokens: np.ndarray,
    held_out: HeldOut | None,
    settings: PretrainSettings,
    folder: Path,
    compiled: bool = False,
) -> Iterator[TrainProgress]:
    """Trains a GPT-J step by step as `pretrain_network` does; `trained_model` gives it after the last step."""
    make = functools.partial(GPTJForCausalLM, config)
    return pretrain_network(make, config.to_dict(), tokens, held_out, settings, folder, compiled)


def pretrain_network(
    make: Callable[[], nn.Module],
    shape: dict[str, Any],
    tokens: np.ndarray,
    held_out: HeldOut | None,
    settings: PretrainSettings,
    folder: Path,
    compiled: bool = False,
) -> Iterator[TrainProgress]:
    """Trains step by step, yielding after each; the state in `folder` lets the next call go on where this one ended.

    Closing the iterator stops the run and keeps its state. After the last step the weights are in the state file.

    Args:
        make: gives the network with random weights. Its blocks are `transformer.h`; called with token ids (B, T) it
            gives an output with `logits` (B, T, V).
        shape: what the network is, in JSON's terms: a run is continued by the same one only.
        compiled: by torch.compile, which is faster and needs a C++ compiler.

    Raises:
        BadRequest: the text is too short, or the folder holds a run with other settings or another text.
        BadCheckpoint: the state in the folder is damaged.
        NumericalFailure: the loss is not finite any more.
    """
    windows = Windows(tokens, settings.context, settings.batch_size, settings.seed)
    told = json.dumps([shape, dataclasses.asdict(settings), zlib.crc32(tokens.tobytes())], sort_keys=True)
    run = _Run(make, told, settings, folder, compiled)
    started = time.monotonic() - run.seconds
    try:
        while run.step < settings.steps:
            now_rate = settings.rate(run.step)
            began = time.monotonic()
            loss = run.train_step(windows.batch(run.step), now_rate)
            now = time.monotonic()
            run.seconds = now - started
            due = run.step % settings.validate_every == 0 or run.step == settings.steps
            score = bits_per_byte(run.model, held_out, settings.context) if due and held_out is not None else None
            progress = TrainProgress(
                run.step, settings.steps, loss, score, now_rate,
                settings.batch_size * settings.context / (now - began), run.seconds,
            )  # fmt: skip
            run.log(progress)
            if run.step % settings.save_every == 0 or run.step == settings.steps:
                run.save()
            yield progress
    finally:
        run.save()


def trained_model(config: GPTJConfig, folder: Path) -> GPTJForCausalLM:
    """The model of the run in a folder, in float32.

    Raises:
        BadCheckpoint: the state in the folder is damaged.
    """
    model = GPTJForCausalLM(config)
    state = read_state(folder)
    try:
        model.load_state_dict(state["model"])
    except DAMAGED as error:
        raise damaged(folder, error) from error
    return model.eval()


def bits_per_byte(model: nn.Module, held_out: HeldOut, context: int, batch_size: int = 16) -> float:
    """-log2 probability of the held-out text a UTF-8 byte, over windows that do not overlap."""
    was_training = model.training
    model.eval()
    tokens = torch.from_numpy(held_out.tokens.astype(np.int64))
    starts = range(0, len(tokens) - 1, context)
    nats = 0.0
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for first in range(0, len(starts), batch_size):
            rows = [tokens[start : start + context + 1] for start in starts[first : first + batch_size]]
            for group in _same_length(rows):
                logits = model(group[:, :-1], use_cache=False).logits
                targets = group[:, 1:].flatten()
                nats += torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), targets, reduction="sum").item()
    model.train(was_training)
    return nats / math.log(2) / held_out.bytes


def _same_length(rows: list[Tensor]) -> Iterator[Tensor]:
    """Stacks of rows of one length; only the text's last window is shorter."""
    for length in sorted({len(row) for row in rows}, reverse=True):
        yield torch.stack([row for row in rows if len(row) == length])


class _Run:
    """A model, its optimizer and where they stand, in memory and on disk."""

    def __init__(
        self, make: Callable[[], nn.Module], told: str, settings: PretrainSettings, folder: Path, compiled: bool
    ):
        self.folder, self.settings, self.step, self.seconds = folder, settings, 0, 0.0
        self._saved_step: int | None = None
        self._told = told
        """Shape, settings and text: what the state on disk must tell too."""
        self._whole = True
        """Whether model, optimizer and step belong together; not while the optimizer writes."""
        torch.manual_seed(settings.seed)
        self.model = make().train()
        blocks = self.model.get_submodule("transformer.h")
        self.optimizer = PretrainingOptimizer(settings.optimizer, self.model, blocks, settings.weight_decay)
        self._loss: Callable[[Tensor], Tensor] = torch.compile(self._plain_loss) if compiled else self._plain_loss
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / STATE_FILE).exists():
            self._resume()
        trim_log(folder, self.step)

    def train_step(self, batch: Tensor, learning_rate: float) -> float:
        """One optimizer step over (B, T + 1) token ids; gives the loss in nats a token."""
        loss = self._loss(batch)
        if not torch.isfinite(loss):
            raise NumericalFailure(
                f"The loss of step {self.step + 1} is {loss.item()}. Choose a smaller learning rate than "
                f"{self.settings.learning_rate:g} and a new folder."
            )
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self._whole = False
        self.optimizer.step(learning_rate)
        self.step += 1
        self._whole = True
        return loss.item()

    def _plain_loss(self, batch: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = self.model(batch[:, :-1], use_cache=False).logits
        return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), batch[:, 1:].flatten())

    def log(self, progress: TrainProgress) -> None:
        """Appends a line for every tenth step and every validation to the log of the run."""
        if progress.bits_per_byte is not None or progress.step % 10 == 0:
            with open(self.folder / LOG_FILE, "a", encoding="utf-8") as log:
                log.write(json.dumps(dataclasses.asdict(progress)) + "\n")

    def save(self) -> None:
        """Writes the state in place of the old one: never half-written.

        An interruption in the middle of the optimizer's step leaves the state of the last save; a step that is
        saved already is not written again.
        """
        if not self._whole or self._saved_step == self.step:
            return
        state = {
            "names": self._told,
            "step": self.step,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        write_state(self.folder, state)
        self._saved_step = self.step

    def _resume(self) -> None:
        state = read_state(self.folder)
        if state.get("names") != self._told:
            raise BadRequest(
                f"{self.folder} holds a training run with other settings or another text. "
                "Continue it with the same ones, or choose another folder."
            )
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.seconds = int(state["step"]), float(state["seconds"])
        except DAMAGED as error:
            raise damaged(self.folder, error) from error
        self._saved_step = self.step
