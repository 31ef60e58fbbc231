"""Several streams at once: the newest of each, errors that hurt nobody else, and an end for all of them."""

import contextvars
import threading
from collections.abc import Iterator

import pytest

from workbench.ui.generate.streams import UPDATE_SECONDS
from workbench.ui.sides.merged import merged

WAIT_SECONDS = 30
"""Far more than any step takes."""


class Counting:
    """A stream of numbers that waits for `go` before each after the first, and remembers that it was closed."""

    def __init__(self, count: int = 3):
        self.count = count
        self.go = threading.Semaphore(0)
        self.closed = threading.Event()

    def stream(self) -> Iterator[int]:
        """0, 1, 2 ..."""
        try:
            yield 0
            for number in range(1, self.count):
                self.go.acquire(timeout=WAIT_SECONDS)
                yield number
        finally:
            self.closed.set()


def test_every_streams_last_item_is_seen() -> None:
    last: dict[int, object] = {}
    for items in merged([iter(range(5)), iter("ab"), iter([])]):
        last |= items
    assert last == {0: 4, 1: "b"}


def test_an_item_that_a_newer_one_overtakes_is_left_out() -> None:
    assert sum(len(items) for items in merged([iter(range(10_000))])) < 5_000


def test_a_slow_stream_does_not_hold_back_a_quick_one() -> None:
    slow, quick = Counting(), Counting()
    quick.go.release(2)
    seen: dict[int, object] = {}
    steps = merged([slow.stream(), quick.stream()])
    for items in steps:
        seen |= items
        if seen.get(1) == 2:
            break
    assert seen[0] == 0
    steps.close()


def test_while_nothing_comes_an_empty_update_is_yielded() -> None:
    waiting = Counting()
    steps = merged([waiting.stream()])
    assert [next(steps), next(steps), next(steps)] == [{0: 0}, {}, {}]
    steps.close()


def test_an_error_ends_its_own_stream_alone() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    healthy = Counting()
    found: dict[int, list[object]] = {0: [], 1: []}
    for items in merged([broken(), healthy.stream()]):
        for index, item in items.items():
            found[index].append(item)
        healthy.go.release()
    assert isinstance(found[0][-1], ValueError)
    assert found[1][-1] == 2


def test_closing_closes_every_stream() -> None:
    streams = [Counting(), Counting()]
    steps = merged([one.stream() for one in streams])
    next(steps)
    steps.close()
    for one in streams:
        one.go.release()
        assert one.closed.wait(WAIT_SECONDS)


def test_closing_waits_for_no_stream() -> None:
    stuck = Counting()
    steps = merged([stuck.stream()])
    next(steps)
    steps.close()  # the stream is in a step that nothing lets go
    assert not stuck.closed.is_set()
    stuck.go.release()
    assert stuck.closed.wait(WAIT_SECONDS)


def test_a_stream_runs_in_the_callers_context() -> None:
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")
    name.set("a visitor")

    def named() -> Iterator[str]:
        yield name.get()

    assert next(iter(merged([named()]))) == {0: "a visitor"}


def test_no_streams_are_over_at_once() -> None:
    assert list(merged([])) == []


@pytest.mark.parametrize("count", [1, 3])
def test_each_stream_has_a_thread_of_its_own(count: int) -> None:
    together = threading.Barrier(count)

    def meeting() -> Iterator[int]:
        yield together.wait(WAIT_SECONDS)

    seen: set[object] = set()
    for items in merged([meeting() for _ in range(count)]):
        seen |= set(items.values())
    assert seen == set(range(count)) and UPDATE_SECONDS > 0
