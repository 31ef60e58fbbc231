"""Two processes train as one does: the same losses, the same head, and one of them writes."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.toy import answer, classify, losses, trained
from workbench.loading.formats.safetensors import SafetensorsCheckpoint
from workbench.loading.heads import read_card
from workbench.training.distribution import Processes
from workbench.training.heads import TrainAnswer, TrainClassify

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
TWO_PROCESSES = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]


def train_in_two_processes(requests: Sequence[TrainClassify | TrainAnswer]) -> dict[str, list[float]]:
    """The losses of each run, by its folder."""
    listed = json.dumps([(type(request).__name__, dataclasses.asdict(request)) for request in requests])
    command = [*TWO_PROCESSES, "-m", "tests.training.run_training", listed]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, list[float]] = {}
    for out, _, loss in map(str.split, done.stdout.splitlines()):
        found.setdefault(out, []).append(float(loss))
    return found


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of a head's folder."""
    (path,) = folder.glob("*.safetensors")
    checkpoint = SafetensorsCheckpoint(path)
    return {name: torch.cat(list(checkpoint.pieces(name))) for name in checkpoint.tensors}


def test_two_processes_train_as_one_at_the_same_global_batch(tmp_path: Path) -> None:
    # 90 rows in batches of 7, two of them a step: the last step of an epoch is short, and one process may get none.
    changes = {"batch_size": 7, "accumulate": 2, "epochs": 2.0, "learning_rate": 0.003}
    requests = [classify(tmp_path, method="lora", **changes), classify(tmp_path, method="full", **changes),
                answer(tmp_path, method="probe", **changes)]  # fmt: skip
    alone = [replace(request, out=str(tmp_path / f"alone-{n}")) for n, request in enumerate(requests)]
    together = [replace(request, out=str(tmp_path / f"together-{n}")) for n, request in enumerate(requests)]
    two = train_in_two_processes(together)
    for ours, theirs in zip(alone, together, strict=True):
        result, seen = trained(ours)
        assert two[theirs.out] == pytest.approx(losses(seen), rel=1e-4)
        assert read_card(theirs.folder).metrics == pytest.approx(result.metrics, rel=1e-3)
        mine, other = weights_of(ours.folder), weights_of(theirs.folder)
        for name, value in mine.items():
            torch.testing.assert_close(other[name], value, rtol=1e-3, atol=1e-4)
        assert not list(theirs.folder.glob("*.part"))


def test_a_share_counts_each_row_once() -> None:
    processes = Processes(1)
    shares = []
    for rank in range(3):
        processes.rank, processes.count = rank, 3
        shares.append([processes.share(list(range(rows)), 99) for rows in range(8)])
    for rows in range(8):
        mine = [share[rows] for share in shares]
        assert sorted(row for given, counted in mine if counted for row in given) == list(range(rows))
        assert all(given == [99] for given, counted in mine if not counted)
