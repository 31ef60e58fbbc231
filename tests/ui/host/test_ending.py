"""The end: nobody new, a moment for what runs, benchmarks stopped and not lost; never longer than allowed."""

import threading
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from workbench.ui.host import ending


class Ended:
    """Everything `end` touches, and the order in which it does."""

    def __init__(self, leases: int = 0):
        self.said: list[str] = []
        self.leases = leases
        self.door = SimpleNamespace(close=lambda: self.said.append("door"))
        desk = SimpleNamespace(stop_all=lambda: self.said.append("desk"), busy=False)
        training = SimpleNamespace(stop=lambda: self.said.append("training"), is_taken=False)
        manager = SimpleNamespace(
            loaded=lambda: [SimpleNamespace(leases=self.leases)], close=lambda: self.said.append("manager")
        )
        self.bench: Any = SimpleNamespace(desk=desk, training=training, manager=manager)
        self.page: Any = SimpleNamespace(server=SimpleNamespace(), close=lambda verbose: self.said.append("page"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """No waiting; gives the seconds after which something would be done."""
    later: list[float] = []
    monkeypatch.setattr(ending, "SENT_SECONDS", 0.0)
    monkeypatch.setattr(ending, "_later", lambda seconds, work: later.append(seconds))
    return later


def test_the_door_closes_first_and_the_page_last(quick: list[float]) -> None:
    ended = Ended()
    ending.end(ended.page, ended.bench, ended.door)
    assert ended.said == ["door", "desk", "training", "manager", "page"]


def test_what_is_being_written_is_waited_for(quick: list[float]) -> None:
    ended = Ended(leases=1)
    threading.Timer(0.2, lambda: setattr(ended, "leases", 0)).start()
    ending.end(ended.page, ended.bench, ended.door)
    assert ended.leases == 0


def test_what_does_not_end_is_not_waited_for_for_ever(quick: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "GRACE_SECONDS", 0.1)
    ended = Ended(leases=1)
    ending.end(ended.page, ended.bench, ended.door)
    assert ended.said[-1] == "page"


def test_the_process_ends_in_time_whatever_hangs(quick: list[float]) -> None:
    with suppress(ZeroDivisionError):
        ended = Ended()
        ended.door.close = lambda: 1 / 0
        ending.end(ended.page, ended.bench, ended.door)
    assert quick == [ending.AT_MOST_SECONDS]
    spent = ending.GRACE_SECONDS + ending.CLOSING_SECONDS
    assert spent < ending.AT_MOST_SECONDS < 10
