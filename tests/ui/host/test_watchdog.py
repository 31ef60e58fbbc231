"""The watchdog: what it takes for dead, and what it leaves alone."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from workbench.ui.host import watchdog
from workbench.ui.host.watchdog import DEAD, SILENT_SECONDS, STUCK_SECONDS, Watchdog


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def watched(waits_since: float | None = None, running: int = 0, busy: bool = False) -> tuple[Watchdog, Any, Clock]:
    """A watchdog of a page in whose queue one event may wait."""
    events = [] if waits_since is None else [SimpleNamespace(enqueue_time=waits_since)]
    lane = SimpleNamespace(queue=events, concurrency_limit=1, current_concurrency=running)
    queue = SimpleNamespace(
        stopped=False, active_jobs=[["job"]] if busy else [None], event_queue_per_concurrency_id={"a": lane}
    )
    page: Any = SimpleNamespace(_queue=queue, is_running=True)
    clock = Clock()
    return Watchdog(page, clock), page, clock


def later(dog: Watchdog, clock: Clock) -> str:
    """What it says once an event that is stuck has been so for long."""
    dog.look()
    clock.now += STUCK_SECONDS + 1
    return dog.look()


def test_a_page_at_rest_is_well() -> None:
    dog, _, clock = watched()
    assert later(dog, clock) == ""


def test_a_queue_that_has_stopped_is_dead() -> None:
    dog, page, _ = watched()
    page._queue.stopped = True
    assert "queue has stopped" in dog.look()


def test_a_page_that_is_being_closed_is_not() -> None:
    dog, page, _ = watched()
    page._queue.stopped, page.is_running = True, False
    assert dog.look() == ""


def test_an_event_that_waits_though_there_is_room_is_a_dead_dispatcher() -> None:
    dog, _, clock = watched(waits_since=time.monotonic() - 1000)
    assert "though there is room" in later(dog, clock)


@pytest.mark.parametrize("busy, running", [(False, 1), (True, 0)])
def test_an_event_that_waits_for_its_turn_is_none(busy: bool, running: int) -> None:
    dog, _, clock = watched(time.monotonic() - 1000, running, busy)
    assert later(dog, clock) == ""


def test_an_event_that_has_just_come_is_none() -> None:
    dog, _, clock = watched(waits_since=time.monotonic())
    assert later(dog, clock) == ""


def test_an_event_loop_that_is_held_up_is_dead() -> None:
    dog, _, clock = watched()

    async def served() -> tuple[str, str]:
        async with dog.beating(None):
            await asyncio.sleep(0)
            first = dog.look()
            clock.now += SILENT_SECONDS + 1
            return first, dog.look()

    first, second = asyncio.run(served())
    assert first == "" and "event loop" in second
    assert dog.look() == "", "the server has ended"


def test_what_is_dead_ends_the_process_and_is_told_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(watchdog, "LEFT_SECONDS", 0.0)
    dog, page, _ = watched()
    page._queue.stopped = True
    left: list[int] = []
    dog._watch(left.append)
    assert left == [DEAD] and dog.why_dead
