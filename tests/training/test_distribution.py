"""Two processes train as one does: the same losses, the same head, one writes; under FSDP and DeepSpeed too."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType

from tests.training.toy import answer, classify, losses, trained
from workbench.errors import BadRequest, NumericalFailure
from workbench.loading.formats.safetensors import SafetensorsCheckpoint
from workbench.loading.heads import read_card
from workbench.training.distribution import CONFIGURATION, ZERO_CONFIGURATION, Processes
from workbench.training.heads import TrainAnswer, TrainClassify

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **os.environ,
    "ACCELERATE_USE_CPU": "true",
    "DS_ACCELERATOR": "cpu",
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(ROOT),
}
TWO_PROCESSES = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]


def launched_with(configuration: str) -> list[str]:
    """The command that starts two processes with a configuration of accelerate's."""
    return [sys.executable, "-m", "accelerate.commands.launch", "--config_file", configuration, "--num_machines", "1",
            "--num_processes", "2", "--main_process_port", "0"]  # fmt: skip


def train_in_two_processes(
    requests: Sequence[TrainClassify | TrainAnswer],
    launch: Sequence[str] = TWO_PROCESSES,
    stops: Sequence[int | None] = (),
) -> dict[str, list[float]]:
    """The losses of each run, by its folder.

    Args:
        stops: after which step each is stopped; None: never.
    """
    told = zip(requests, stops or [None] * len(requests), strict=True)
    listed = json.dumps([(type(request).__name__, dataclasses.asdict(request), stop) for request, stop in told])
    command = [*launch, "-m", "tests.training.run_training", listed]
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


def test_fsdp_with_the_configuration_that_ships_trains_as_one_process_and_goes_on(tmp_path: Path) -> None:
    changes = {"batch_size": 7, "accumulate": 2, "learning_rate": 0.003}
    requests = [classify(tmp_path, method="lora", epochs=0.5, **changes),
                classify(tmp_path, method="full", epochs=1.0, **changes)]  # fmt: skip
    check_trains_as_one(tmp_path, requests, launched_with(CONFIGURATION))


def test_deepspeed_with_the_configuration_that_ships_trains_as_one_process_and_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("deepspeed", reason="pip install deepspeed, with DS_BUILD_OPS=0 and --no-build-isolation")
    changes = {"batch_size": 7, "accumulate": 2, "learning_rate": 0.003}
    requests = [classify(tmp_path, method="lora", precision="int8", epochs=0.5, **changes),
                classify(tmp_path, method="full", epochs=1.0, **changes)]  # fmt: skip
    check_trains_as_one(tmp_path, requests, launched_with(ZERO_CONFIGURATION))


def check_trains_as_one(folder: Path, requests: list[TrainClassify], launch: Sequence[str]) -> None:
    """Trains each alone and in two processes, the last one stopped after its third step and gone on with."""
    alone = [replace(request, out=str(folder / f"alone-{n}")) for n, request in enumerate(requests)]
    spread = [replace(request, out=str(folder / f"spread-{n}")) for n, request in enumerate(requests)]
    found = train_in_two_processes([*spread, spread[-1]], launch, [*[None] * (len(spread) - 1), 3, None])
    for ours, theirs in zip(alone, spread, strict=True):
        assert found[theirs.out] == pytest.approx(losses(trained(ours)[1]), rel=1e-4)
        mine, other = weights_of(ours.folder), weights_of(theirs.folder)
        for name, value in mine.items():
            torch.testing.assert_close(other[name], value, rtol=1e-3, atol=1e-4)
        assert not list(folder.glob("*.training"))


def in_processes(monkeypatch: pytest.MonkeyPatch, *others: list[object]) -> Processes:
    """Process 0 of several, to whom the others say what is given when they are asked."""
    processes, said = Processes(1), iter(others)
    monkeypatch.setattr(processes, "gather", lambda mine: [*mine, *next(said)])
    return processes


def test_processes_that_see_other_rows_say_which_part_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = in_processes(monkeypatch, [["same", "others"]])
    with pytest.raises(BadRequest, match=r"rows of process 1 differ.*same command and files"):
        processes.agree(["same", "these"], ["settings", "rows"])


def test_a_failure_in_one_process_ends_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = in_processes(monkeypatch, ["process 1: there is no file"])
    with pytest.raises(BadRequest, match=r"Another process .* there is no file"), processes.failing_together():
        pass


def test_a_process_that_fails_tells_its_own_error(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = in_processes(monkeypatch, [])
    with pytest.raises(NumericalFailure, match="mine"), processes.failing_together():
        raise NumericalFailure("mine")


def test_a_way_of_spreading_that_is_not_built_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = Processes(1)
    monkeypatch.setattr(Accelerator, "distributed_type", DistributedType.MEGATRON_LM)
    with pytest.raises(BadRequest, match="torchrun"):
        processes._check_way()
    monkeypatch.setattr(Accelerator, "distributed_type", DistributedType.DEEPSPEED)
    for stage in (1, 2, 3):
        monkeypatch.setattr(AcceleratorState, "deepspeed_plugin", SimpleNamespace(zero_stage=stage))
        with pytest.raises(BadRequest, match="torchrun") if stage == 3 else nullcontext():
            processes._check_way()
