"""A run killed at any moment and started again ends with the same files as one that was left alone."""

import os
import random
import signal
import time
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch

from tests.training.toy import answer, classify, files, trained
from workbench.errors import BadCheckpoint, BadRequest
from workbench.training.heads import TrainAnswer, TrainClassify, train_head
from workbench.training.state import BEST_FILE, LOG_FILE, STATE_FILE


def report_steps(request: TrainClassify | TrainAnswer, steps: Connection) -> None:
    """Trains in a process of its own, sending the number of each step."""
    torch.set_num_threads(1)
    for moment in train_head(request):
        if moment.phase == "training":
            steps.send(moment.step)


def train_and_kill(request: TrainClassify | TrainAnswer, step: int, delay: float) -> None:
    """Starts a training and ends it with SIGKILL a little after a step."""
    receiver, sender = get_context("fork").Pipe(duplex=False)
    process = get_context("fork").Process(target=report_steps, args=(request, sender))
    process.start()
    while receiver.recv() < step:
        pass
    time.sleep(delay)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("kind, method, optimizer", [
    ("classify", "head", "adamw"),
    ("classify", "lora", "adamw8bit"),
    ("classify", "full", "adamw"),
    ("classify", "full", "adamw8bit"),
    ("answer", "probe", "adamw"),
])  # fmt: skip
def test_a_killed_run_started_again_ends_with_the_same_files(
    tmp_path: Path, kind: str, method: str, optimizer: str
) -> None:
    make = classify if kind == "classify" else answer
    request = make(tmp_path, method=method, optimizer=optimizer, epochs=6.0, save_every=3, accumulate=2,
                   dropout=0.2 if method == "lora" else 0.0)  # fmt: skip
    whole = replace(request, out=str(tmp_path / "whole" / "head"))
    trained(whole)
    chance = random.Random()
    for _ in range(2):
        train_and_kill(request, chance.randint(4, 12), chance.random() / 50)
        assert not (request.folder / "head.json").exists()
    result, _ = trained(request)
    assert files(request.folder) == files(whole.folder)
    assert result.stopped_at is None and not (request.folder / STATE_FILE).exists()
    steps = [line.split('"step": ')[1].split(",")[0] for line in (request.folder / LOG_FILE).read_text().splitlines()]
    assert len(steps) == len(set(steps))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"{}"])
def test_a_damaged_state_is_said_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    request = classify(tmp_path, method="head")
    request.folder.mkdir()
    (request.folder / STATE_FILE).write_bytes(content)
    with pytest.raises(BadCheckpoint, match="Delete this folder"):
        trained(request)


def test_a_finished_run_leaves_no_state_and_is_not_trained_over(tmp_path: Path) -> None:
    request = classify(tmp_path, method="head", epochs=1.0)
    trained(request)
    before = files(request.folder)
    assert not (request.folder / STATE_FILE).exists() and not (request.folder / BEST_FILE).exists()
    for method in ("head", "probe"):
        with pytest.raises(BadRequest, match="finished result"):
            trained(replace(request, method=method))
    assert files(request.folder) == before


def test_a_stopped_run_is_not_trained_over_by_another_method(tmp_path: Path) -> None:
    request = classify(tmp_path, method="head", epochs=4.0, save_every=1)
    steps = train_head(request)
    next(moment for moment in steps if moment.phase == "training" and moment.step == 2)
    steps.close()
    with pytest.raises(BadRequest, match="Go on with head"):
        trained(replace(request, method="probe"))
