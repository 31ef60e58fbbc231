"""Answers that are still being computed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.text.requests import Answer, Request


def nothing() -> None:
    """Nothing is under way, so nothing is to be stopped."""


@dataclass(frozen=True)
class Later:
    """Answers that come when they are asked for."""

    read: Callable[[], Sequence[Answer]]
    """Waits for them, or computes them."""
    stop: Callable[[], None] = nothing
    """Stops what is under way."""

    def result(self) -> list[Answer]:
        """Waits for the answers; raises what the requests failed with."""
        return list(self.read())

    def cancel(self) -> None:
        """Stops what is under way."""
        self.stop()


class Pending:
    """The answers to any mixture of requests: those of each kind are under way together.

    Args:
        requests: in the order of the answers.
        starts: how requests of a kind get under way.
    """

    def __init__(self, requests: Sequence[Request], starts: Mapping[type, Callable[[list[Any]], Later]]):
        self._kinds = [type(request) for request in requests]
        self._parts: dict[type, Later] = {}
        try:
            for kind, start in starts.items():
                mine = [request for request in requests if type(request) is kind]
                if mine:
                    self._parts[kind] = start(mine)
        except BaseException:
            self.cancel()
            raise

    def result(self) -> list[Answer]:
        """Waits for all answers; if one request fails, raises why and stops the others."""
        try:
            given: dict[type, Iterator[Answer]] = {kind: iter(part.result()) for kind, part in self._parts.items()}
        except BaseException:
            self.cancel()
            raise
        return [next(given[kind]) for kind in self._kinds]

    def cancel(self) -> None:
        """Stops what is under way."""
        for part in self._parts.values():
            part.cancel()
