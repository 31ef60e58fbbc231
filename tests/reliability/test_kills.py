"""Runs survive SIGKILL, a full disk, and files that are cut off anywhere: the report is the same to the byte."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.evals.runs.toy_benchmark import TASK, contents, run_of
from workbench.evals.runs.files import json_bytes

ROOT = Path(__file__).parents[2]
KILLS, FULL_DISKS = 50, 20


@pytest.fixture(scope="module")
def campaign() -> Any:
    """What the script tells; it refuses to, where a run differs or computed more twice than it was killed."""
    # A process of its own: it forks, and this one has torch's threads.
    command = [sys.executable, "-m", "tests.reliability.kills", "--kills", str(KILLS), "--no-room", str(FULL_DISKS)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_fifty_kills_change_no_byte_and_cost_at_most_one_example_each(campaign: Any) -> None:
    assert campaign["kills"] == KILLS and campaign["recomputed"] <= KILLS


def test_kills_came_while_resuming_and_while_the_end_was_written(campaign: Any) -> None:
    assert campaign["longest_chain"] == 10
    assert campaign["killed_while"]["some computed"] > 5 and campaign["killed_while"]["all computed"] >= 1


def test_a_full_disk_says_what_is_kept_and_how_to_go_on(campaign: Any) -> None:
    assert campaign["without_room"] == FULL_DISKS
    assert all("is kept in" in said and "run the same command again" in said for said in campaign["said"])


def test_a_file_cut_off_at_any_byte_goes_on_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # thousands of runs need not reach the disk
    rows = [{"key": str(number), "question": "a?", "choices": ["a", "b", "c"], "answer": 0} for number in range(2)]
    task = replace(TASK, method=replace(TASK.method, mutual_info=False))  # short lines: a run for each of their bytes
    run = run_of(tmp_path / "whole", rows, task=task)
    record, lines = contents(run)
    begun = json_bytes({**run.protocol.record, "status": "running"})
    folder = tmp_path / "cut" / run.name
    folder.mkdir(parents=True)
    for end in range(len(lines)):
        (folder / "cost.json").unlink(missing_ok=True)  # it would grow by a sitting each time
        (folder / "run.json").write_bytes(begun)
        (folder / "predictions.jsonl").write_bytes(lines[:end])
        assert contents(run_of(tmp_path / "cut", rows, task=task)) == (record, lines), f"cut off after {end} bytes"
