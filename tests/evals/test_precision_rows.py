"""The reference's distributions in their file: what is read is what was written, and a full disk is told before."""

import shutil
from typing import NamedTuple

import numpy as np
import pytest

from workbench.errors import BadRequest
from workbench.evals.precision_rows import KeptRows, check_room, kept_bytes


class Usage(NamedTuple):
    """A disk."""

    total: int
    used: int
    free: int


def test_what_is_read_is_what_was_written_however_it_is_cut_and_as_often_as_wanted() -> None:
    rows = np.random.default_rng(0).normal(size=(10, 7)).astype(np.float32)
    kept = KeptRows(10)
    kept.write(rows[:3])
    kept.write(rows[3:])
    for _ in range(2):
        kept.rewind()
        assert np.array_equal(np.concatenate([kept.read(6), kept.read(4)]), rows)
    assert kept.bytes == rows.nbytes
    kept.close()


def test_gpt_js_columns_over_8192_tokens_take_what_is_said() -> None:
    assert kept_bytes(8192, 50_400) == 8192 * 50_400 * 4


def test_a_disk_without_room_is_told_with_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 2**40, 2**30))
    with pytest.raises(BadRequest, match=r"8,192 distributions of 50,400 columns take 1.5 GiB in .* has 1.0 GiB free"):
        check_room(8192, 50_400)
    check_room(1000, 50_400)
