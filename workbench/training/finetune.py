"""The one loop of fine-tuning: for a head over a frozen trunk or over cached features, with LoRA, or for everything.

What a step does is a function of the seed and the step alone, so a run that was killed ends as one that was not.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from workbench.errors import BadRequest, NumericalFailure
from workbench.training.distribution import Processes
from workbench.training.examples import Example, Split
from workbench.training.network import Batch, HeadNetwork, padded, padded_width, seeded
from workbench.training.objectives import Objective, better
from workbench.training.optimizers import optimizer
from workbench.training.outcome import Result
from workbench.training.progress import FineTuneProgress, Pace
from workbench.training.schedule import WARM_UP, Batches, rate
from workbench.training.state import (
    BEST_FILE,
    DAMAGED,
    LOG_FILE,
    STATE_FILE,
    damaged,
    read_state,
    shards_folder,
    trim_log,
    write_state,
)  # fmt: skip
from workbench.training.validation import validate

CLIP = 1.0
"""The largest norm of the gradient."""

Cached = Callable[[bool, Batch], Tensor]
"""Gives the features (B, T, C) of a batch, of the rows that validate (True) or of those to train on."""


@dataclass(frozen=True)
class FineTuneSettings:
    """What decides the result of the loop."""

    epochs: float
    batch_size: int
    accumulate: int
    learning_rate: float
    linear: bool
    weight_decay: float
    optimizer: str
    validate_every: float
    """In epochs."""
    patience: int
    seed: int
    bfloat16: bool
    """Whether the trunk's float32 weights compute in bfloat16."""


def worst_batch_tokens(examples: Sequence[Example], settings: FineTuneSettings) -> int:
    """The most tokens, padding included, of any batch of the first epoch."""
    lengths = tuple(len(example.tokens) for example in examples)
    most = 0
    for rows in Batches(lengths, settings.batch_size * settings.accumulate, settings.seed).epoch(0):
        for start in range(0, len(rows), settings.batch_size):
            batch = rows[start : start + settings.batch_size]
            most = max(most, len(batch) * padded_width(max(lengths[row] for row in batch)))
    return most


class FineTune:
    """A network, its optimizer and where they stand, in memory and on disk.

    Args:
        names: what the run is, as a text: another one can't be gone on from.
        folder: of the state, the best weights and the log; the first process alone writes there.
        cached: where the features are known.

    Raises:
        BadRequest: the folder holds a run with other settings or other data.
        BadCheckpoint: the state in the folder is damaged.
    """

    def __init__(self, network: HeadNetwork, split: Split, settings: FineTuneSettings, processes: Processes,
                 folder: Path, names: str, cached: Cached | None = None):  # fmt: skip
        self.objective: Objective = network.objective
        self.split, self.settings, self.processes, self.folder = split, settings, processes, folder
        self.step, self.seconds, self.waited = 0, 0.0, 0
        """`waited`: validations since the best one."""
        self.best: dict[str, float] | None = None
        self._names, self._cached, self._plain = names, cached, network
        self._batches = Batches(tuple(len(example.tokens) for example in split.training),
                                settings.batch_size * settings.accumulate, settings.seed)  # fmt: skip
        self._dealt: tuple[int, list[list[int]]] | None = None
        per_epoch = self._batches.steps_per_epoch
        self.steps = max(1, math.ceil(settings.epochs * per_epoch))
        self._validate_steps = max(1, round(settings.validate_every * per_epoch))
        self._whole, self._in_shards = True, processes.sharded or processes.zero
        self._saved_step: int | None = None
        network.learn(True)
        made = optimizer(settings.optimizer, network, settings.weight_decay)
        self.network, self.optimizer = processes.prepare(network, made, settings.batch_size, CLIP)
        folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    def run(self, save_every: int, spent: float) -> Iterator[FineTuneProgress]:
        """Trains to the last step, or until patience ends; closing the iterator keeps the state.

        Args:
            spent: seconds before the loop, in this sitting.
        """
        pace = Pace("training", self.steps, self.seconds + spent, self.step)
        try:
            while self.step < self.steps and not self.out_of_patience:
                began = pace.seconds
                with self._plain.attached():
                    loss, rows = self._train_step()
                speed = rows / max(pace.seconds - began, 1e-9)
                due = self.step % self._validate_steps == 0 or self.step == self.steps
                metrics = self._validate() if due and len(self.split.validation) else None
                moment = dataclasses.replace(
                    pace.at(self.step), epoch=self.step / self._batches.steps_per_epoch, loss=loss,
                    validation=metrics, best=self.best, examples_per_second=speed,
                )  # fmt: skip
                self.seconds = moment.seconds
                self._log(moment)
                if metrics is not None or self.step % save_every == 0 or self.step == self.steps:
                    self.save()
                yield moment
        finally:
            self.save()

    @property
    def out_of_patience(self) -> bool:
        """Whether too many validations went by without a better one."""
        return 0 < self.settings.patience <= self.waited

    def result(self, as_saved: torch.dtype | None) -> Result:
        """The best weights, or without validation those of the last step.

        Args:
            as_saved: measure once more, with the trunk in this type; the network can't be trained on afterwards.
        """
        measures = as_saved is not None and self.best is not None and not self.processes.sharded
        learned, metrics = self._kept(measures), {}
        if self.best is not None:
            metrics = {name: value for name, value in self.best.items() if name != "step"}
        if measures:
            self._take(learned)
            self._plain.trunk = self._plain.trunk.to(as_saved) if self._plain.trunk is not None else None
            metrics = self._measure()
        facts = {"learning_rate": self.settings.learning_rate, "steps": self.step}
        facts |= {} if self.best is None else {"best_step": int(self.best["step"])}
        at_end = self.step == self.steps or self.out_of_patience
        return Result(learned, metrics, facts, self.seconds, None if at_end else self.step)

    def _kept(self, everywhere: bool) -> dict[str, Tensor]:
        """The weights that the run leaves: in the first process, or in all of them."""
        if self.best is None:
            return self.processes.learned(self.network)

        def read() -> dict[str, Tensor]:
            return dict(read_state(self.folder, BEST_FILE)["learned"])

        if everywhere:
            return self.processes.from_first(read)
        return read() if self.processes.first else {}

    def save(self) -> None:
        """Writes the state in place of the old one, unless an interruption left it half changed or it is saved."""
        if not self._whole or self._saved_step == self.step:
            return
        state = {"names": self._names, "step": self.step, "seconds": self.seconds, "waited": self.waited,
                 "best": self.best}  # fmt: skip
        if self._in_shards:
            self.processes.accelerator.save_state(str(shards_folder(self.folder)))
        else:
            state |= {"learned": self.processes.learned(self.network), "optimizer": self.optimizer.state_dict()}
        if self.processes.first:
            write_state(self.folder, state)
        self._saved_step = self.step

    def _resume(self) -> None:
        if not self.processes.from_first((self.folder / STATE_FILE).exists):
            return
        state = self.processes.from_first(lambda: read_state(self.folder))
        if state.get("names") != self._names:
            raise BadRequest(
                f"{self.folder} holds an unfinished training with other settings, other data or another model. "
                f"Continue it with the same ones, choose another folder, or delete {STATE_FILE} in it."
            )
        try:
            if self._in_shards:
                self.processes.accelerator.load_state(str(shards_folder(self.folder)))
            else:
                self._take(state["learned"])
                self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.seconds = int(state["step"]), float(state["seconds"])
            self.waited, self.best = int(state["waited"]), state["best"]
        except DAMAGED as error:
            raise damaged(self.folder, error) from error
        self._saved_step = self.step
        if self.processes.first:
            trim_log(self.folder, self.step)

    def _train_step(self) -> tuple[float, int]:
        """One optimizer step: its loss, the mean over its rows, and their number."""
        settings, accelerator = self.settings, self.processes.accelerator
        rows = self._rows()
        now = rate(self.step, self.steps, math.ceil(WARM_UP * self.steps), settings.learning_rate, 0.0, settings.linear)
        for group in self.optimizer.param_groups:
            group["lr"] = now
        total = torch.zeros((), device=self.processes.device)
        self._whole = not self.processes.zero  # which steps in its backward pass
        for number in range(settings.accumulate):
            start = number * settings.batch_size
            mine, weight = self.processes.share(rows[start : start + settings.batch_size], rows[0])
            with accelerator.accumulate(self.network), seeded(settings.seed, 2, self.step, number, self.processes.rank):
                loss = self._loss(self.split.training, mine, False) * (weight / len(rows))
                # Processes and accumulated batches are averaged; the sum over all of them is the mean over the rows.
                accelerator.backward(loss * self.processes.count * settings.accumulate)
                total += loss.detach()
        step_loss = self.processes.sum(total)
        if not math.isfinite(step_loss):
            raise NumericalFailure(
                f"The loss of step {self.step + 1} is {step_loss}. Choose a smaller learning rate than "
                f"{settings.learning_rate:g}, and a new folder."
            )
        accelerator.clip_grad_norm_([p for p in self.network.parameters() if p.requires_grad], CLIP)
        self._whole = False
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self._whole = True
        return step_loss, len(rows)

    def _rows(self) -> list[int]:
        """The examples of the step that comes next."""
        epoch, within = divmod(self.step, self._batches.steps_per_epoch)
        if self._dealt is None or self._dealt[0] != epoch:
            self._dealt = epoch, self._batches.epoch(epoch)
        return self._dealt[1][within]

    def _validate(self) -> dict[str, float]:
        """Measures, and keeps the weights where they are the best so far."""
        metrics = self._measure()
        self.waited += 1
        if better(metrics, self.best, self.objective.best):
            self.best, self.waited = {**metrics, "step": self.step}, 0
            learned = self.processes.learned(self.network)
            if self.processes.first:
                write_state(self.folder, {"step": self.step, "learned": learned}, BEST_FILE)
        return metrics

    def _measure(self) -> dict[str, float]:
        self._plain.learn(False)
        with self._plain.attached():
            metrics = validate(lambda batch: self._logits(batch, True), self.objective, self.split.validation,
                               self.processes)  # fmt: skip
        self._plain.learn(True)
        return metrics

    def _take(self, learned: Mapping[str, Tensor]) -> None:
        """Puts weights into the network."""
        weights = dict(self._plain.named_parameters())
        with torch.no_grad():
            for name, value in learned.items():
                weights[name].copy_(value)

    def _log(self, moment: FineTuneProgress) -> None:
        """Appends a line for every tenth step and every validation to the log of the run."""
        if self.processes.first and (moment.validation is not None or moment.step % 10 == 0):
            with open(self.folder / LOG_FILE, "a", encoding="utf-8") as log:
                log.write(json.dumps(dataclasses.asdict(moment)) + "\n")

    def _loss(self, examples: tuple[Example, ...], rows: list[int], validating: bool) -> Tensor:
        logits = self._logits(padded(examples, rows, self.processes.device), validating)
        return self.objective.loss(logits, self.objective.targets([examples[row] for row in rows]).to(logits.device))

    def _logits(self, batch: Batch, validating: bool) -> Tensor:
        features = None if self._cached is None else self._cached(validating, batch)
        with torch.autocast(self.processes.device.type, torch.bfloat16, enabled=self.settings.bfloat16):
            logits: Tensor = self.network(batch, features)
        return logits
