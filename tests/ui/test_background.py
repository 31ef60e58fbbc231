"""Work behind a page: everything it says arrives in order, it can be stopped, and it can be left."""

import threading
import time
from collections.abc import Generator

import pytest

from workbench.errors import BadRequest
from workbench.ui.background import followed


class Work:
    """Counts, with a pause after each number; remembers whether it was closed."""

    def __init__(self, numbers: int, seconds: float = 0.0, error: Exception | None = None):
        self.numbers, self.seconds, self.error = numbers, seconds, error
        self.closed = threading.Event()
        self.said = 0

    def steps(self) -> Generator[int, None, str]:
        """The numbers from 0."""
        try:
            for number in range(self.numbers):
                self.said += 1
                yield number
                time.sleep(self.seconds)
            if self.error is not None:
                raise self.error
            return "all"
        finally:
            self.closed.set()


def whole(following: Generator[list[int], None, str | None]) -> tuple[list[int], str | None]:
    """What was said until the end, and the result."""
    said: list[int] = []
    while True:
        try:
            said += next(following)
        except StopIteration as end:
            return said, end.value


def test_everything_arrives_in_order_with_the_result() -> None:
    assert whole(followed(Work(1000).steps)) == (list(range(1000)), "all")


def test_what_was_said_before_an_error_arrives_before_it() -> None:
    following = followed(Work(3, error=BadRequest("no more")).steps)
    assert next(following) == [0, 1, 2]
    with pytest.raises(BadRequest, match="no more"):
        next(following)


def test_silent_work_still_lets_the_page_update() -> None:
    following = followed(Work(2, seconds=0.5).steps)
    assert [next(following) for _ in range(3)][1:] == [[], []]
    following.close()


def test_a_stop_closes_the_work_and_then_ends() -> None:
    work, stop = Work(1000, seconds=0.02), threading.Event()
    following = followed(work.steps, stop)
    next(following)
    stop.set()
    said, result = whole(following)
    assert result is None and work.closed.is_set() and len(said) < 1000


def test_leaving_closes_the_work() -> None:
    work = Work(1000, seconds=0.02)
    following = followed(work.steps)
    next(following)
    following.close()
    assert work.closed.wait(5) and work.said < 1000


def test_work_that_comes_to_its_end_was_not_stopped() -> None:
    stop = threading.Event()
    whole(followed(Work(2).steps, stop))
    assert not stop.is_set()
