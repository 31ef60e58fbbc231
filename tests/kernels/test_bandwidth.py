"""The probe of the memory's read speed."""

import pytest

from workbench.kernels import bandwidth
from workbench.kernels.compiled import Kernels


def test_it_is_a_speed_that_a_machine_can_have() -> None:
    assert 1e8 < bandwidth.read_bytes_per_second(threads=1, passes=1) < 1e13


def test_without_a_library_it_is_measured_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "kernels", lambda: Kernels(None, "PyTorch"))
    assert 1e8 < bandwidth.read_bytes_per_second(threads=1, passes=1) < 1e13
