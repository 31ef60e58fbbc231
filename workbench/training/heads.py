"""The way of one head: rows -> examples -> the trunk -> a probe or fine-tuning -> a folder that says what is in it."""

import dataclasses
import json
import time
from collections.abc import Generator
from typing import Any

import torch

from workbench.errors import BadRequest, NotEnoughMemory
from workbench.gptj.lora import Adapter
from workbench.gptj.model import GPTJModel
from workbench.loading.config_file import empty_model
from workbench.loading.head_card import HeadCard
from workbench.loading.load import load_model
from workbench.loading.memory import folder_precision
from workbench.training.distribution import Processes
from workbench.training.features import cached_features, last_token_features
from workbench.training.finetune import FineTune
from workbench.training.head_request import TrainAnswer, TrainClassify, TrainHead
from workbench.training.network import HeadNetwork, fresh_head, seeded
from workbench.training.outcome import STOPPED, Base, Result, Trained, check_folder, forget_state, save_outcome
from workbench.training.plan import plan_task
from workbench.training.probe import Fitted, fit
from workbench.training.progress import FineTuneProgress
from workbench.training.task import Task, find_base, read_task, settings_of

__all__ = ["FineTuneProgress", "TrainAnswer", "TrainClassify", "TrainHead", "Trained", "train_head"]

Steps = Generator[FineTuneProgress, None, Trained]
FLOATS = ("float32", "bfloat16", "float16")
TOLD_ELSEWHERE = ("data", "validation", "out", "model", "precision", "method", "save_every")
"""Fields of a request that the card need not tell, or tells in another place."""
NO_PART = ("data", "validation", "out", "model", "save_every")
"""Fields on which the result does not depend; the data and the model do not by their names."""


def train_head(request: TrainClassify | TrainAnswer) -> Steps:
    """Trains a head, yielding where it stands; the generator's value is what came out.

    Closing it keeps the best so far as a finished head, and the state, so that the same request goes on.

    Raises:
        BadRequest: the data, a setting or the folder can't be used; said before the trunk is loaded.
        CannotLoad: the model can't be loaded, or the training does not fit the memory.
        NumericalFailure: the loss is not finite any more.
    """
    check_folder(request.folder, request.method)
    yield FineTuneProgress("loading", 0, 1)
    processes = Processes(request.accumulate)
    with processes.failing_together():
        base = find_base(request)
        task = read_task(request, base)
        adapter = _adapter(request, base)
        plan = plan_task(request, base, task)
        if not plan.fits and not processes.sharded:
            raise NotEnoughMemory(plan.advice)
        if processes.sharded:
            _check_spreads(request, base)
    processes.agree(_told(request, base, task), ("settings", "rows", "labels", "model"))
    precision = "float32" if request.method == "full" else request.precision
    trunk, _ = load_model(GPTJModel, base.folder, precision, device_map=processes.device)
    trunk.requires_grad_(request.method == "full")
    trunk.gradient_checkpointing = request.gradient_checkpointing
    if adapter is not None:
        adapter.place(trunk)
    head = fresh_head(base.config, task.objective, request.seed).to(processes.device)
    network = HeadNetwork(trunk, head, adapter, task.objective, request.method in ("lora", "full"))
    if request.method == "probe" and isinstance(request, TrainClassify):
        return (yield from _probe(request, base, task, network, processes))
    return (yield from _fine_tune(request, base, task, network, processes))


def _adapter(request: TrainHead, base: Base) -> Adapter | None:
    """Fresh LoRA matrices where the method wants some; the trunk's shapes are enough for that."""
    if request.method != "lora":
        return None
    shapes = empty_model(GPTJModel, base.config)
    try:
        with seeded(request.seed):
            return Adapter(shapes, request.targets, request.rank, request.alpha, request.dropout)
    except ValueError as error:
        raise BadRequest(f"{error}. Choose other targets.") from error


def _probe(request: TrainClassify, base: Base, task: Task, network: HeadNetwork, processes: Processes) -> Steps:
    """Features once, then L-BFGS."""
    began = time.monotonic()
    split = task.split
    training = yield from last_token_features(network, split.training, processes.device, 0.0)
    validation = yield from last_token_features(network, split.validation, processes.device, time.monotonic() - began)
    last: tuple[FineTuneProgress, Fitted] | None = None
    try:
        for last in fit(task.objective, split, training, validation, time.monotonic() - began):
            yield last[0]
        yield FineTuneProgress("saving", 0, 1, seconds=time.monotonic() - began)
    except (GeneratorExit, KeyboardInterrupt):
        if last is not None:
            _keep(request, base, task, _fitted(*last), processes)
        raise
    if last is None:
        raise ValueError("there is no strength to fit a probe with")
    return _keep(request, base, task, _fitted(*last), processes)


def _fitted(moment: FineTuneProgress, fitted: Fitted) -> Result:
    stopped_at = None if moment.step == moment.steps else moment.step
    return Result(
        {"head.weight": fitted.weight}, fitted.metrics, {"strength": fitted.strength}, moment.seconds, stopped_at
    )


def _fine_tune(request: TrainHead, base: Base, task: Task, network: HeadNetwork, processes: Processes) -> Steps:
    """Steps of AdamW over the trunk, or over features that were computed once."""
    began = time.monotonic()
    cached = None
    if request.method == "probe":
        cached = yield from cached_features(network, task.split, request.folder, processes.device)
        network.trunk = None  # its memory is free for the features
    run = FineTune(network, task.split, settings_of(request, base), processes, request.folder,
                   _names(request, base, task), cached)  # fmt: skip
    try:
        yield from run.run(request.save_every, time.monotonic() - began)
        yield FineTuneProgress("saving", 0, 1, best=run.best, seconds=run.seconds)
    except (GeneratorExit, KeyboardInterrupt):
        if run.step:
            _keep(request, base, task, run.result(None), processes)
        raise
    as_saved = _saved_dtype(request, base) if request.method == "full" else None
    trained = _keep(request, base, task, run.result(as_saved), processes)
    if processes.first:
        forget_state(request.folder)
    return trained


def _check_spreads(request: TrainHead, base: Base) -> None:
    """Refuses what FSDP can't spread over processes."""
    precision = _precision(request, base)
    if precision not in FLOATS:
        raise BadRequest(
            f"FSDP spreads float weights over the processes, and this model is held in {precision}. Choose precision "
            "bfloat16, or start with torchrun, where each process holds the whole model."
        )


def _saved_dtype(request: TrainHead, base: Base) -> torch.dtype:
    """Of a fully fine-tuned model: float32 where that was asked for, else as the checkpoint was."""
    return torch.float32 if request.precision == "float32" else base.dtype


def _names(request: TrainHead, base: Base, task: Task) -> str:
    """What the run is: everything that its result depends on."""
    return json.dumps(_parts(request, base, task), sort_keys=True)


def _told(request: TrainHead, base: Base, task: Task) -> list[str]:
    """The same, part by part."""
    return [json.dumps(part, sort_keys=True) for part in _parts(request, base, task)]


def _parts(request: TrainHead, base: Base, task: Task) -> list[Any]:
    fields = {name: value for name, value in dataclasses.asdict(request).items() if name not in NO_PART}
    return [fields, task.split.facts, task.labels, base.fingerprint]


def _keep(request: TrainHead, base: Base, task: Task, result: Result, processes: Processes) -> Trained:
    """Writes the result, in the first process; the others wait."""
    told = {name: value for name, value in dataclasses.asdict(request).items() if name not in TOLD_ELSEWHERE}
    stopped = {} if result.stopped_at is None else {STOPPED: f"at step {result.stopped_at}, before the end"}
    card = HeadCard(
        name=request.folder.name, kind=task.kind, labels=task.labels, problem=task.problem, method=request.method,
        trunk=base.fingerprint, trunk_name=base.name, precision=_precision(request, base),
        data=task.split.facts, settings={**told, **result.facts, **stopped, "seconds": round(result.seconds, 1)},
        metrics=result.metrics,
    )  # fmt: skip
    if processes.first:
        adapter = _adapter(request, base)
        card = save_outcome(base, card, result.learned, adapter, request.folder, _saved_dtype(request, base))
    processes.wait()
    return Trained(request.folder, card, result.metrics, result.seconds, result.stopped_at)


def _precision(request: TrainHead, base: Base) -> str:
    """How the trunk was held, or what full fine-tuning computed in."""
    if request.precision is not None:
        return request.precision
    return "bfloat16" if request.method == "full" else folder_precision(base.folder)
