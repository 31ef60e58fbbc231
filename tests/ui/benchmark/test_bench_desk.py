"""The desk: one benchmark after another, whoever watches; stopped, resumed, and none's error ends the others."""

import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.ui.fake_runs import asked, bench
from workbench.errors import BadRequest, Busy
from workbench.evals.runs.progress import Progress
from workbench.evals.runs.run import Run
from workbench.evaluating import Evaluation
from workbench.ui.benchmark.bench_desk import BenchDesk, Line

STEPS = 5


class Work:
    """Evaluations in five steps, each let through by `gate`; the task "rte" fails, `closed` counts those left."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.order: list[str] = []
        self.closed = 0

    def __call__(self, evaluation: Evaluation) -> Generator[Progress, None, Run]:
        """What run_evaluation yields and returns."""
        self.order.append(evaluation.task.name)
        try:
            for step in range(STEPS):
                self.gate.acquire(timeout=10)
                if evaluation.task.name == "rte" and step == 2:
                    raise BadRequest("The rows hold <b>nothing</b>.")
                yield Progress(step + 1, STEPS)
            return Run(Path("somewhere"), {})
        finally:
            self.closed += 1


@pytest.fixture
def work() -> Work:
    """Scripted work."""
    return Work()


def until(holds: Callable[[], bool]) -> None:
    """Waits for another thread."""
    for _ in range(500):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def states(desk: BenchDesk) -> list[str]:
    return [line.state for line in desk.lines()]


def test_lines_are_run_one_after_another_in_their_order(work: Work) -> None:
    desk = BenchDesk(work)
    desk.put([asked("piqa"), asked("copa")])
    until(lambda: states(desk) == ["running", "waiting"])
    for _ in range(2 * STEPS):
        work.gate.release()
    until(lambda: states(desk) == ["done", "done"])
    assert work.order == ["piqa", "copa"] and all(line.run is not None for line in desk.lines()) and not desk.busy


def test_an_error_ends_its_own_line_alone(work: Work) -> None:
    desk = BenchDesk(work)
    desk.put([asked("rte"), asked("copa")])
    for _ in range(3 + STEPS):
        work.gate.release()
    until(lambda: states(desk) == ["failed", "done"])
    assert "<b>nothing</b>" in desk.lines()[0].error


def test_stop_ends_after_the_step_at_hand_and_keeps_what_was_told(work: Work) -> None:
    desk = BenchDesk(work)
    desk.put([asked("piqa")])
    work.gate.release()
    until(lambda: desk.lines()[0].progress is not None)
    desk.stop(1)
    assert states(desk) == ["stopping"]
    work.gate.release()
    until(lambda: states(desk) == ["stopped"])
    progress = desk.lines()[0].progress
    assert progress is not None and progress.done == 2 and work.closed == 1


def test_what_waits_can_be_stopped_before_it_begins(work: Work) -> None:
    desk = BenchDesk(work)
    desk.put([asked("piqa"), asked("copa")])
    desk.stop(2)
    for _ in range(STEPS):
        work.gate.release()
    until(lambda: states(desk) == ["done", "stopped"])
    assert work.order == ["piqa"]


def test_a_stopped_line_goes_on_when_it_is_asked_to(work: Work) -> None:
    desk = BenchDesk(work)
    desk.put([asked("piqa")])
    desk.stop_all()
    work.gate.release()
    until(lambda: states(desk) == ["stopped"])
    desk.again(1)
    for _ in range(STEPS):
        work.gate.release()
    until(lambda: states(desk) == ["done"])


def test_only_what_ended_can_be_cleared_away(work: Work) -> None:
    desk = BenchDesk(work)
    desk.put([asked("piqa"), asked("copa")])
    for _ in range(STEPS):
        work.gate.release()
    until(lambda: states(desk)[0] == "done")
    desk.clear()
    assert [line.evaluation.task.name for line in desk.lines()] == ["copa"]
    desk.stop_all()
    work.gate.release()


def test_a_full_desk_takes_no_more(work: Work) -> None:
    desk = BenchDesk(work, most_waiting=1)
    with pytest.raises(Busy, match="there is room for 1"):
        desk.put([asked("piqa"), asked("copa")])
    assert desk.lines() == []


def test_every_change_is_another_version(work: Work) -> None:
    desk = BenchDesk(work)
    before = desk.version
    desk.put([asked("piqa")])
    until(lambda: states(desk) == ["running"])
    running = desk.version
    work.gate.release()
    until(lambda: desk.version > running > before)
    desk.stop_all()
    work.gate.release()


def test_batches_have_names_of_their_own(work: Work) -> None:
    desk = BenchDesk(work)
    assert desk.put([]) != desk.put([])


def test_the_desk_runs_real_benchmarks_and_they_stay_on_the_disk(tmp_path: Path) -> None:
    page = bench(tmp_path)
    page.desk.put([asked("piqa"), asked("wikitext", "int8")])
    until(lambda: not page.desk.busy)
    lines: list[Line] = page.desk.lines()
    assert [line.state for line in lines] == ["done", "done"], [line.error for line in lines]
    assert {run.task for run in page.runs.runs()} == {"piqa", "wikitext"}
