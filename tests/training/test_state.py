"""A training state is written whole or not at all, and a disk without room is told as such."""

from pathlib import Path

import pytest
import torch

from tests.full_disk import room_for
from workbench.errors import NotSaved
from workbench.training.state import STATE_FILE, read_state, write_state


def test_a_disk_without_room_is_named_and_leaves_the_state_of_before(tmp_path: Path) -> None:
    write_state(tmp_path, {"step": 1})
    with room_for(100_000), pytest.raises(NotSaved, match=f"{STATE_FILE}.* can't be written.* Make room"):
        write_state(tmp_path, {"step": 2, "weights": torch.zeros(1_000_000)})
    assert read_state(tmp_path) == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == [STATE_FILE]


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotSaved, match=r"No such file or directory"):
        write_state(tmp_path / "gone", {"step": 1})
