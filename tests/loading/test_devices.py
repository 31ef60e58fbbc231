"""What a device map asks for, and what its devices have free."""

import pytest
import torch

from workbench.errors import BadRequest
from workbench.loading import devices
from workbench.loading.devices import automatic_limits, free_bytes, may_offload, single_device


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 1000 bytes free on each of two GPUs and 5000 on the CPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(
        devices, "available_memory_bytes", lambda device=None: 1000 if device and device.type == "cuda" else 5000
    )


def test_automatic_limits_fill_most_of_every_device(two_gpus):
    assert automatic_limits() == {0: 900, 1: 900, "cpu": 4500}


@pytest.mark.parametrize(
    ("most", "limits"),
    [
        (0, {0: 0, 1: 0, "cpu": 0}),
        (1000, {0: 900, 1: 100, "cpu": 0}),
        (2000, {0: 900, 1: 900, "cpu": 200}),
        (99999, {0: 900, 1: 900, "cpu": 4500}),
    ],
)
def test_automatic_limits_keep_together_to_the_budget_fastest_device_first(two_gpus, most, limits):
    assert automatic_limits(most) == limits


def test_free_memory_is_that_of_the_devices_asked_for(two_gpus):
    assert (free_bytes("cpu"), free_bytes("cuda:1"), free_bytes(None)) == (5000, 1000, 1000)
    assert free_bytes("auto") == free_bytes({"": "cpu"}) == 7000


def test_a_single_device_is_told_from_many():
    assert single_device("cpu") == single_device(torch.device("cpu")) == torch.device("cpu")
    assert single_device("auto") is single_device("disk") is single_device({"": "cpu"}) is None
    with pytest.raises(BadRequest, match="mps"):
        single_device("mps")


def test_auto_and_disk_may_offload():
    assert may_offload("auto") and may_offload("disk") and may_offload({"a": "cpu", "b": "disk"})
    assert not any(map(may_offload, [None, "cpu", 0, torch.device("cpu"), {"": "cpu"}]))


def test_a_containers_quota_of_cores_bounds_the_threads(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(devices, "cores_of_groups", lambda: [3, 16])
    assert devices.cpu_threads() == 3
    monkeypatch.setattr(devices, "cores_of_groups", list)
    assert devices.cpu_threads() == 8
