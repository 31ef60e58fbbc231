"""The limits of a container, from files as its kernel would write them."""

from pathlib import Path

import pytest

from workbench.loading.control_groups import cores_of_groups, free_bytes_of_groups


def group(root: Path, path: str, **files: str) -> None:
    """A control group's folder."""
    (root / path).mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (root / path / name.replace("__", ".")).write_text(text)


def test_a_version_2_limit_counts_less_what_is_used_and_not_the_page_cache(tmp_path):
    (tmp_path / "own").write_text("0::/box/inner\n")
    group(
        tmp_path, "box", memory__max="10000\n", memory__current="4000\n", memory__stat="anon 1000\ninactive_file 2500\n"
    )
    group(tmp_path, "box/inner", memory__max="max\n", memory__current="3000\n")
    assert free_bytes_of_groups(tmp_path / "own", tmp_path) == [8500]


def test_every_parents_limit_holds(tmp_path):
    (tmp_path / "own").write_text("0::/box/inner\n")
    group(tmp_path, "", memory__max="9000\n", memory__current="8000\n")
    group(tmp_path, "box/inner", memory__max="5000\n", memory__current="3000\n")
    assert free_bytes_of_groups(tmp_path / "own", tmp_path) == [2000, 1000]


def test_a_version_1_limit_counts_from_inside_a_container(tmp_path):
    (tmp_path / "own").write_text("5:devices:/x\n4:memory:/docker/4d7a\n0::/\n")
    group(
        tmp_path, "memory", memory__limit_in_bytes="16000\n", memory__usage_in_bytes="6000\n",
        memory__stat="total_inactive_file 1000\n",
    )  # fmt: skip
    assert free_bytes_of_groups(tmp_path / "own", tmp_path) == [11000]


def test_no_limit_is_no_figure(tmp_path):
    (tmp_path / "own").write_text("4:memory:/a\n")
    group(tmp_path, "memory/a", memory__limit_in_bytes="9223372036854771712\n", memory__usage_in_bytes="1\n")
    assert free_bytes_of_groups(tmp_path / "own", tmp_path) == []
    assert free_bytes_of_groups(tmp_path / "missing", tmp_path) == []


def test_more_used_than_allowed_is_nothing_free(tmp_path):
    (tmp_path / "own").write_text("0::/\n")
    group(tmp_path, "", memory__max="100\n", memory__current="300\n")
    assert free_bytes_of_groups(tmp_path / "own", tmp_path) == [0]


def test_a_version_2_quota_comes_to_whole_cores(tmp_path):
    (tmp_path / "own").write_text("0::/box/inner\n")
    group(tmp_path, "box", cpu__max="400000 100000\n")
    group(tmp_path, "box/inner", cpu__max="150000 100000\n")
    assert cores_of_groups(tmp_path / "own", tmp_path) == [2, 4]


def test_a_version_1_quota_comes_to_whole_cores(tmp_path):
    (tmp_path / "own").write_text("4:cpu,cpuacct:/docker/4d7a\n")
    group(tmp_path, "cpu,cpuacct/docker/4d7a", **{"cpu__cfs_quota_us": "50000\n", "cpu__cfs_period_us": "100000\n"})
    assert cores_of_groups(tmp_path / "own", tmp_path) == [1]


@pytest.mark.parametrize("told", ["max 100000\n", "", "nonsense", "1 0\n", "100000\n"])
def test_no_quota_is_no_figure(tmp_path, told):
    (tmp_path / "own").write_text("0::/\n")
    group(tmp_path, "", cpu__max=told)
    assert cores_of_groups(tmp_path / "own", tmp_path) == []
    (tmp_path / "own").write_text("2:cpu:/\n")
    group(tmp_path, "cpu", cpu__cfs_quota_us="-1\n", cpu__cfs_period_us="100000\n")
    assert cores_of_groups(tmp_path / "own", tmp_path) == []
