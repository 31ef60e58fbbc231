"""Processes that share runs say before they ask what they do not see alike, and do not wait for ever."""

import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from workbench.agreement import agree
from workbench.errors import BadRequest, Cancelled
from workbench.evals.runs.process import Process

PLAN = {"task": {"name": "piqa"}, "data": {"sha256": "a"}}


def meeting() -> dict[str, str]:
    """Where processes meet: a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}


def said(
    plans: Mapping[int, list[Mapping[str, Any]]], monkeypatch: pytest.MonkeyPatch, count: int = 2
) -> list[BaseException | None]:
    """How each process's agreement ends."""
    where = meeting()
    for name, value in where.items():
        monkeypatch.setenv(name, value)
    with ThreadPoolExecutor() as all_of_them:
        ends = [all_of_them.submit(agree, Process(rank, count), plan, where, 20.0) for rank, plan in plans.items()]
        return [end.exception() for end in ends]


def test_processes_that_see_the_same_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said({0: [PLAN], 1: [PLAN]}, monkeypatch) == [None, None]


def test_the_first_to_leave_takes_nothing_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(20):
        assert said({rank: [PLAN] for rank in range(6)}, monkeypatch, 6) == [None] * 6


def test_processes_that_see_other_rows_all_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for end in said({0: [PLAN], 1: [{**PLAN, "data": {"sha256": "b"}}]}, monkeypatch):
        assert isinstance(end, BadRequest) and "data.sha256 of process" in str(end)


def test_processes_with_other_tasks_all_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for end in said({0: [PLAN], 1: [PLAN, PLAN]}, monkeypatch):
        assert isinstance(end, BadRequest) and "tasks of process" in str(end)


def test_a_process_that_does_not_come_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    where = meeting()
    for name, value in where.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Cancelled, match="Not all 2 processes"):
        agree(Process(0, 2), [PLAN], where, 0.5)


def test_without_a_place_to_meet_or_alone_nothing_is_compared() -> None:
    agree(Process(1, 2), [PLAN], {})
    agree(Process(), [PLAN], meeting())
