"""The split: whole groups, the share that was asked for, the same for the same seed."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import BadRequest
from workbench.training.examples import file_facts, held_back

groups = st.lists(st.integers(0, 12), min_size=1, max_size=60)
shares = st.floats(0.01, 0.9)


@settings(deadline=None)
@given(groups, shares, st.integers(0, 9))
def test_no_group_is_on_both_sides(rows: list[int], share: float, seed: int) -> None:
    back = held_back(rows, share, seed)
    held = {row for row, chosen in zip(rows, back, strict=True) if chosen}
    assert not held & {row for row, chosen in zip(rows, back, strict=True) if not chosen}


@settings(deadline=None)
@given(groups, shares, st.integers(0, 9))
def test_both_sides_have_rows_where_there_are_two_groups(rows: list[int], share: float, seed: int) -> None:
    back = held_back(rows, share, seed)
    assert not all(back)
    assert any(back) == (len(set(rows)) > 1)


@settings(deadline=None)
@given(st.integers(2, 200), shares, st.integers(0, 9))
def test_the_share_is_met_where_rows_are_groups_of_their_own(count: int, share: float, seed: int) -> None:
    back = held_back(range(count), share, seed)
    assert sum(back) == min(count - 1, max(1, round(share * count)))


@settings(deadline=None)
@given(groups, shares)
def test_the_seed_decides(rows: list[int], share: float) -> None:
    assert held_back(rows, share, 3) == held_back(rows, share, 3)


def test_another_seed_holds_other_rows_back() -> None:
    assert held_back(range(100), 0.2, 0) != held_back(range(100), 0.2, 1)


@settings(deadline=None)
@given(groups)
def test_a_share_of_nothing_holds_nothing_back(rows: list[int]) -> None:
    assert not any(held_back(rows, 0.0, 0))


def test_a_file_is_told_by_its_content(tmp_path: Path) -> None:
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text("a")
    other.write_text("b")
    assert file_facts(one)["file"] == "one.csv" and file_facts(one)["sha256"] != file_facts(other)["sha256"]
    with pytest.raises(BadRequest, match="can't be read"):
        file_facts(tmp_path / "none.csv")
    with pytest.raises(BadRequest, match="can't be read"):
        file_facts(tmp_path)
