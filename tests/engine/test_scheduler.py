"""Whatever the interleaving: nobody is lost, nobody overtakes, and rows are never overbooked. No model takes part."""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from workbench.engine.handle import Handle
from workbench.engine.jobs import Decode
from workbench.engine.scheduler import Scheduler
from workbench.errors import Busy

MAX_ROWS, MAX_WAITING = 4, 6


@dataclass(eq=False)
class FakeWork:
    """A job that needs so many solo steps and then so many row steps; with no slots it needs solo steps only."""

    number: int
    slots: int
    solo_left: int
    rows_left: int
    handle: Handle = field(default_factory=lambda: Handle(Decode((1,), 1)))
    done: bool = False
    apart: bool = False
    exclusive: bool = False

    @property
    def row_count(self) -> int:
        """All its slots once the solo steps are done."""
        return self.slots if not self.solo_left else 0

    def solo_step(self) -> None:
        """One step alone."""
        assert self.solo_left and not self.done
        self.solo_left -= 1
        self.done = not self.solo_left and not self.slots

    def row_step(self) -> None:
        """One step with the others."""
        assert self.rows_left and not self.done
        self.rows_left -= 1
        self.done = not self.rows_left


def stream(number: int = 0, slots: int = 1, solo: int = 1, rows: int = 3) -> FakeWork:
    """A decode job."""
    return FakeWork(number, slots, solo, rows)


def score(number: int = 0, solo: int = 2) -> FakeWork:
    """A job without rows."""
    return FakeWork(number, 0, solo, 0)


class AnyInterleaving(RuleBasedStateMachine):
    """Jobs come, are cancelled, fail and are computed in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.scheduler: Scheduler[FakeWork] = Scheduler(MAX_ROWS, MAX_WAITING)
        self.alive: list[FakeWork] = []
        self.entered: list[FakeWork] = []
        self.count = 0

    @rule(slots=st.sampled_from([0, 1, 1, 1, 2, 4, 7]), solo=st.integers(1, 4), rows=st.integers(1, 5))
    def add(self, slots: int, solo: int, rows: int) -> None:
        work = FakeWork(self.count, slots, solo, rows)
        self.count += 1
        if len(self.waiting()) >= MAX_WAITING:
            with pytest.raises(Busy, match="6 requests are waiting"):
                self.scheduler.add(work)
        else:
            self.scheduler.add(work)
            self.alive.append(work)

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.alive)).handle.cancel()

    @rule()
    def turn(self) -> None:
        self.sweep()
        solo = self.scheduler.next_solo()
        if solo is not None:
            assert solo in self.entered and solo.row_count == 0
            solo.solo_step()
        together = self.scheduler.row_works()
        rows = sum(work.row_count for work in together)
        assert rows <= MAX_ROWS or len(together) == 1
        for work in together:
            work.row_step()

    @precondition(lambda self: self.entered)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        work = data.draw(st.sampled_from(self.entered))
        self.scheduler.remove(work)
        self.forget(work)

    def sweep(self) -> None:
        leaving = [work for work in self.alive if work.handle.cancelled and not work.done]
        assert sorted(work.number for work in self.scheduler.sweep()) == [work.number for work in leaving]
        for work in [*leaving, *(work for work in self.alive if work.done)]:
            self.forget(work)
        known = set(map(id, self.entered))
        waiting = set(map(id, self.waiting()))
        self.entered += [work for work in self.alive if id(work) not in known and id(work) not in waiting]

    def forget(self, work: FakeWork) -> None:
        self.alive = [other for other in self.alive if other is not work]
        self.entered = [other for other in self.entered if other is not work]

    def waiting(self) -> list[FakeWork]:
        return list(self.scheduler._waiting)

    @invariant()
    def nobody_is_lost_or_doubled(self) -> None:
        jobs = self.scheduler.jobs
        assert sorted(work.number for work in jobs) == [work.number for work in self.alive]
        assert set(self.scheduler._since) == set(map(id, jobs))
        assert self.scheduler.idle == (not self.alive)

    @invariant()
    def rows_are_not_overbooked(self) -> None:
        booked = [work.slots for work in self.entered if work.slots]
        assert sum(booked) <= MAX_ROWS or len(booked) == 1
        assert sum(not work.slots for work in self.entered) <= MAX_ROWS

    @invariant()
    def streams_enter_in_the_order_they_came(self) -> None:
        first_waiting = min((work.number for work in self.waiting() if work.slots), default=self.count)
        assert all(work.number < first_waiting for work in self.entered if work.slots)

    @invariant()
    def jobs_without_rows_enter_in_the_order_they_came(self) -> None:
        first_waiting = min((work.number for work in self.waiting() if not work.slots), default=self.count)
        assert all(work.number < first_waiting for work in self.entered if not work.slots)

    def teardown(self) -> None:
        """Whatever happened, all work ends within the steps it asks for."""
        for _ in range(200):
            self.turn()
        assert self.scheduler.idle


TestAnyInterleaving = AnyInterleaving.TestCase
TestAnyInterleaving.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def scheduler_of(*works: FakeWork, max_rows: int = MAX_ROWS) -> Scheduler[FakeWork]:
    """A scheduler with jobs in it, swept once."""
    scheduler: Scheduler[FakeWork] = Scheduler(max_rows, 100)
    for work in works:
        scheduler.add(work)
    scheduler.sweep()
    return scheduler


def test_solo_steps_are_taken_in_turn() -> None:
    works = [stream(0, solo=3), score(1, solo=3), stream(2, solo=3)]
    scheduler = scheduler_of(*works)
    order = []
    for _ in range(9):
        solo = scheduler.next_solo()
        assert solo is not None
        order.append(solo.number)
        solo.solo_step()
        scheduler.sweep()
    assert order == [0, 1, 2] * 3 and scheduler.next_solo() is None


def test_a_job_without_rows_does_not_wait_for_a_free_one() -> None:
    works = [stream(0), stream(1), score(2)]
    scheduler = scheduler_of(*works, max_rows=1)
    assert [scheduler.next_solo(), scheduler.next_solo()] == [works[0], works[2]]


def test_jobs_without_rows_wait_when_there_are_as_many_as_rows() -> None:
    works = [score(0, solo=1), score(1), score(2), stream(3)]
    scheduler = scheduler_of(*works, max_rows=2)
    assert list(scheduler.jobs) == [works[0], works[1], works[3], works[2]] and scheduler._waiting[0] is works[2]
    works[0].solo_step()
    scheduler.sweep()
    assert not scheduler._waiting


def test_jobs_without_rows_fill_the_line_like_any_other() -> None:
    scheduler: Scheduler[FakeWork] = Scheduler(max_rows=1, max_waiting=2)
    for number in range(3):
        scheduler.add(score(number))
        scheduler.sweep()
    with pytest.raises(Busy, match="2 requests are waiting already"):
        scheduler.add(score(3))


def test_a_stream_waits_for_a_free_row_and_gets_it_on_the_next_sweep() -> None:
    first, second = stream(0, solo=0, rows=1), stream(1, solo=0)
    scheduler = scheduler_of(first, second, max_rows=1)
    assert scheduler.row_works() == [first]
    first.row_step()
    assert scheduler.row_works() == []
    scheduler.sweep()
    assert scheduler.row_works() == [second]


def test_a_narrow_stream_does_not_overtake_a_wide_one() -> None:
    scheduler = scheduler_of(stream(0, solo=0), stream(1, slots=4, solo=0), stream(2, solo=0))
    assert [work.number for work in scheduler.row_works()] == [0]


def test_a_search_wider_than_all_rows_runs_alone() -> None:
    wide = stream(0, slots=9, solo=0)
    scheduler = scheduler_of(wide, stream(1, solo=0))
    assert scheduler.row_works() == [wide]


def test_cancelled_work_leaves_at_the_next_sweep_waiting_or_not() -> None:
    works = [stream(0, slots=4), stream(1), stream(2)]
    scheduler = scheduler_of(*works)
    works[0].handle.cancel()
    works[2].handle.cancel()
    assert scheduler.sweep() == [works[0], works[2]]
    assert list(scheduler.jobs) == [works[1]]


def test_a_full_line_is_busy_until_somebody_enters() -> None:
    scheduler: Scheduler[FakeWork] = Scheduler(max_rows=4, max_waiting=1)
    scheduler.add(stream(0))
    with pytest.raises(Busy, match="1 requests are waiting already"):
        scheduler.add(stream(1))
    scheduler.sweep()
    scheduler.add(stream(2))
    assert [work.number for work in scheduler.jobs] == [0, 2]


def timed(wait_seconds: float, run_seconds: float) -> tuple[Scheduler[FakeWork], list[float]]:
    """A scheduler of one row, and its clock."""
    now = [0.0]
    return Scheduler(1, 9, wait_seconds, run_seconds, clock=lambda: now[0]), now


def test_what_waits_too_long_is_overdue_and_what_runs_is_not() -> None:
    scheduler, now = timed(10, 100)
    works = [stream(0), stream(1)]
    for work in works:
        scheduler.add(work)
    scheduler.sweep()
    now[0] = 10.0
    assert not scheduler.overdue()
    now[0] = 11.0
    ((late, error),) = scheduler.overdue()
    assert late is works[1] and "waited for its turn for 10 seconds" in str(error)
    scheduler.remove(late)
    assert list(scheduler.jobs) == [works[0]] and not scheduler.overdue()


def test_the_time_of_a_run_counts_from_its_admission() -> None:
    scheduler, now = timed(10, 20)
    works = [stream(0, solo=0, rows=1), stream(1)]
    for work in works:
        scheduler.add(work)
    scheduler.sweep()
    now[0] = 9.0
    works[0].row_step()
    scheduler.sweep()
    now[0] = 29.0
    assert not scheduler.overdue()
    now[0] = 30.0
    ((late, error),) = scheduler.overdue()
    assert late is works[1] and "took 20 seconds" in str(error)


def test_work_that_a_thread_computes_is_not_overdue_before_it_is_done_with_its_step() -> None:
    scheduler, now = timed(10, 20)
    work = score()
    scheduler.add(work)
    scheduler.sweep()
    scheduler.begin(work)
    now[0] = 50.0
    assert not scheduler.overdue()
    scheduler.end(work)
    assert [late for late, _ in scheduler.overdue()] == [work]


def test_a_refusal_says_how_many_are_ahead() -> None:
    scheduler: Scheduler[FakeWork] = Scheduler(max_rows=1, max_waiting=3)
    for number in range(3):
        scheduler.add(stream(number))
    with pytest.raises(Busy) as refused:
        scheduler.add(stream(3))
    assert refused.value.ahead == 3


def test_what_is_given_up_is_what_runs_or_else_what_waits() -> None:
    scheduler = scheduler_of(stream(0), stream(1), max_rows=1)
    assert [work.number for work in scheduler.give_up()] == [0]
    assert [work.number for work in scheduler.give_up()] == [1]
    assert scheduler.idle and not scheduler._since
