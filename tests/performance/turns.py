"""Engines take turns: A B C, A B C ..., with what the machine can read probed between any two turns."""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.performance.machine import Cores

SETTLE_SECONDS = 0.3
"""After an engine's turn, so that its threads sleep before the next one's."""


@dataclass(frozen=True)
class Spread:
    """The middle of some values, and where four fifths of them lie."""

    median: float
    low: float
    """p10, between two values in proportion."""
    high: float
    """p90."""


@dataclass(frozen=True)
class Case:
    """One thing asked of every engine."""

    name: str
    request: Mapping[str, Any]
    times: int = 1
    """Requests a turn."""
    gap_seconds: float = 0.0
    """Without work before each of them."""


@dataclass(frozen=True)
class Turn:
    """One engine's answers to one case in one round."""

    round: int
    """From 0; the warming up before it is in no record."""
    case: str
    engine: str
    request: Mapping[str, Any]
    answers: tuple[dict[str, Any], ...]
    probed: float
    """Bytes a second that the machine read right around this turn: the mean of a probe before and one after."""
    steal_seconds: float = 0.0
    """Of all cores, that the host gave to somebody else meanwhile."""
    idle_core_seconds: float = 0.0
    """That the other engines took of the cores meanwhile: next to nothing, or the turn was not fair."""
    other_core_seconds: float = 0.0
    """That all other programs took of the cores meanwhile."""
    facts: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """What the engine says of itself."""


class Asked(Protocol):
    """An engine that is loaded, in a process of its own."""

    name: str
    facts: dict[str, Any]

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Raises RuntimeError if it can't."""
        ...

    def core_seconds(self) -> float:
        """That its process took of the cores so far."""
        ...


@dataclass(frozen=True)
class Watch:
    """What is read beside the engines."""

    bytes_per_second: Callable[[], float]
    cores: Callable[[], Cores]
    say: Callable[[str], None] = print


def take_turns(
    engines: Sequence[Asked], cases: Sequence[Case], rounds: int, watch: Watch, failed: dict[str, str]
) -> Iterator[Turn]:
    """All rounds; before them each engine answers each case once, to warm up.

    Args:
        failed: gets the reason of each engine that can't answer; it is not asked again.
    """
    for round_ in range(-1, rounds):
        for case in cases:
            # Engines in the inner loop: what is compared is measured next to each other.
            for engine in engines:
                if engine.name in failed:
                    continue
                try:
                    turn = _turn(engine, engines, case, round_, watch)
                except RuntimeError as error:
                    failed[engine.name] = f"{case.name}: {error}"
                    watch.say(f"{engine.name} failed at {failed[engine.name]}")
                    continue
                if round_ >= 0:
                    yield turn


def _turn(engine: Asked, engines: Sequence[Asked], case: Case, round_: int, watch: Watch) -> Turn:
    times = case.times if round_ >= 0 else 1
    time.sleep(SETTLE_SECONDS)
    before = watch.bytes_per_second()
    others = [other for other in engines if other is not engine]
    cores, own, idle = watch.cores(), engine.core_seconds(), sum(other.core_seconds() for other in others)
    answers = []
    for number in range(times):
        time.sleep(case.gap_seconds)
        # Another seed each time: nobody may answer from what it keeps.
        answers.append(engine.ask({**case.request, "seed": 1000 * (round_ + 1) + number}))
    now = watch.cores()
    own, idle = engine.core_seconds() - own, sum(other.core_seconds() for other in others) - idle
    foreign = max(0.0, now.busy - cores.busy - own - idle)
    time.sleep(SETTLE_SECONDS)
    probed = (before + watch.bytes_per_second()) / 2
    return Turn(
        round_, case.name, engine.name, case.request, tuple(answers), probed,
        now.stolen - cores.stolen, idle, foreign, engine.facts,
    )  # fmt: skip


def spread(values: Iterable[float]) -> Spread:
    """Median, p10 and p90 of at least one value."""
    ordered = sorted(values)
    if len(ordered) == 1:
        return Spread(*ordered * 3)
    tenths = statistics.quantiles(ordered, n=10, method="inclusive")
    return Spread(statistics.median(ordered), tenths[0], tenths[-1])


def values_by_round(turns: Iterable[Turn], engine: str, of: Callable[[Turn], float]) -> dict[int, float]:
    """An engine's figure in each round it took part in."""
    return {turn.round: of(turn) for turn in turns if turn.engine == engine}


def paired(ours: Mapping[int, float], other: Mapping[int, float]) -> list[tuple[float, float]]:
    """Both values of each round that has both: neighbours in time, so that a slow spell meets both alike."""
    return [(ours[round_], other[round_]) for round_ in sorted(ours) if round_ in other]
