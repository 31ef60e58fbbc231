"""Processes wait for each other as long as the others work, and not for ever where one is gone."""

import os
from pathlib import Path

import pytest

from tests.evals.runs.toy_benchmark import riddles, run_of, steps
from workbench.errors import Cancelled
from workbench.evals.runs.files import RUN_FILE, json_bytes, lock, predictions_name
from workbench.evals.runs.process import Process
from workbench.evals.runs.sharing import wait_for_first, wait_for_others

TWO = Process(0, 2)


def test_a_process_that_is_gone_without_its_share_is_told(tmp_path: Path) -> None:
    (tmp_path / predictions_name(1)).write_text("")
    with pytest.raises(Cancelled, match=r"is gone.*is kept in.*Start all processes again"):
        wait_for_others(tmp_path, TWO, lambda: False, patience_seconds=0.3)


def test_a_process_that_holds_its_lock_is_waited_for(tmp_path: Path) -> None:
    asked = []

    def complete() -> bool:
        asked.append(True)
        return True

    (tmp_path / predictions_name(1)).write_text("")
    held = lock(tmp_path / predictions_name(1))
    pause = iter(range(5))

    def slept(seconds: float) -> None:
        if next(pause, None) is None:
            os.close(held)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.sleep", slept)
        wait_for_others(tmp_path, TWO, complete, patience_seconds=0.0)
    assert len(asked) == 1


def test_nobody_is_waited_for_alone(tmp_path: Path) -> None:
    wait_for_others(tmp_path, Process(), lambda: True, patience_seconds=0.0)


def test_the_first_process_is_waited_for_until_the_run_is_done(tmp_path: Path) -> None:
    run = run_of(tmp_path, riddles(2))
    assert wait_for_first(run.folder, patience_seconds=0.0) == run


def test_a_first_process_that_is_gone_is_told(tmp_path: Path) -> None:
    run = run_of(tmp_path, riddles(2))
    (run.folder / RUN_FILE).write_bytes(json_bytes({**run.protocol.record, "status": "running"}))
    with pytest.raises(Cancelled, match="The first process"):
        wait_for_first(run.folder, patience_seconds=0.3)
    with pytest.raises(Cancelled):
        wait_for_first(tmp_path / "nowhere", patience_seconds=0.0)


def test_a_second_process_of_the_same_rank_is_refused(tmp_path: Path) -> None:
    first = steps(tmp_path, riddles(4), process=Process(1, 2))
    next(first)
    with pytest.raises(Exception, match="Another process is writing"):
        next(steps(tmp_path, riddles(4), process=Process(1, 2)))
    first.close()
