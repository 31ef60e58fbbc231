"""Turns, spreads and ratios of the measuring harness."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.performance import turns
from tests.performance.machine import Cores
from tests.performance.turns import Case, Turn, Watch, paired, spread, take_turns, values_by_round

values = st.lists(st.integers(1, 1000), min_size=1, max_size=30)


class Fake:
    """An engine that notes what it is asked."""

    def __init__(self, name: str, asked: list[tuple[str, Mapping[str, Any]]], fails_at: int | None = None):
        self.name, self.facts, self._asked, self._fails_at = name, {"weights_read_bytes": 1}, asked, fails_at

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._asked.append((self.name, request))
        if sum(name == self.name for name, _ in self._asked) == self._fails_at:
            raise RuntimeError("out of memory")
        return {"seconds": 1.0}

    def core_seconds(self) -> float:
        return float(len(self._asked))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(turns.time, "sleep", slept.append)
    return slept


def quiet(probes: list[float] | None = None) -> Watch:
    left = iter(probes or [])
    return Watch(lambda: next(left, 1.0), lambda: Cores(0.0, 0.0), lambda text: None)


@given(values)
def test_four_fifths_lie_between_the_ends_of_a_spread(found: list[int]) -> None:
    one = spread(found)
    assert min(found) <= one.low <= one.median <= one.high <= max(found)


def test_a_spread_is_cut_in_proportion_between_values() -> None:
    assert (spread([3.0, 1.0, 2.0, 5.0, 4.0]).low, spread([1.0, 2.0]).median) == (pytest.approx(1.4), 1.5)


def test_engines_take_turns_within_a_case() -> None:
    asked: list[tuple[str, Mapping[str, Any]]] = []
    engines = [Fake("ours", asked), Fake("other", asked)]
    cases = [Case("short", {"context": 1}), Case("long", {"context": 9})]
    found = list(take_turns(engines, cases, 2, quiet(), {}))
    order = [(turn.round, turn.case, turn.engine) for turn in found]
    assert order == [(r, case, name) for r in (0, 1) for case in ("short", "long") for name in ("ours", "other")]


def test_each_engine_warms_up_once_with_every_case() -> None:
    asked: list[tuple[str, Mapping[str, Any]]] = []
    list(take_turns([Fake("ours", asked)], [Case("one", {}, times=3)], 2, quiet(), {}))
    assert len(asked) == 1 + 2 * 3


def test_all_engines_get_the_same_prompts_and_no_request_the_same_twice() -> None:
    asked: list[tuple[str, Mapping[str, Any]]] = []
    list(take_turns([Fake("ours", asked), Fake("other", asked)], [Case("one", {}, times=2)], 3, quiet(), {}))
    seeds = {name: [request["seed"] for who, request in asked if who == name] for name in ("ours", "other")}
    assert seeds["ours"] == seeds["other"]
    assert len(set(seeds["ours"])) == len(seeds["ours"])


def test_the_read_limit_is_that_around_the_turn() -> None:
    found = list(take_turns([Fake("ours", [])], [Case("one", {})], 2, quiet([9.0, 9.0, 2.0, 4.0, 10.0, 20.0]), {}))
    assert [turn.probed for turn in found] == [3.0, 15.0]


def test_pauses_come_before_each_request(no_waiting: list[float]) -> None:
    list(take_turns([Fake("ours", [])], [Case("one", {}, times=2, gap_seconds=7.0)], 1, quiet(), {}))
    assert no_waiting.count(7.0) == 1 + 2


def test_an_engine_that_fails_is_named_with_its_reason_and_left_out() -> None:
    asked: list[tuple[str, Mapping[str, Any]]] = []
    failed: dict[str, str] = {}
    engines = [Fake("ours", asked), Fake("other", asked, fails_at=3)]
    found = list(take_turns(engines, [Case("one", {})], 4, quiet(), failed))
    assert failed == {"other": "one: out of memory"}
    assert [turn.round for turn in found if turn.engine == "ours"] == [0, 1, 2, 3]
    assert [turn.round for turn in found if turn.engine == "other"] == [0]


def test_what_idle_engines_take_of_the_cores_is_told() -> None:
    asked: list[tuple[str, Mapping[str, Any]]] = []
    (turn, _) = take_turns([Fake("ours", asked), Fake("other", asked)], [Case("one", {}, times=5)], 1, quiet(), {})
    assert turn.idle_core_seconds == 5.0


def test_what_other_programs_take_of_the_cores_is_told() -> None:
    asked: list[tuple[str, Mapping[str, Any]]] = []
    # In the measured turn the machine is busy for 9 core seconds, of which the fake engine takes one a request.
    busy = iter([Cores(0.0, 0.0), Cores(0.0, 0.0), Cores(10.0, 3.0), Cores(19.0, 7.0)])
    watch = Watch(lambda: 1.0, lambda: next(busy), lambda text: None)
    (turn,) = take_turns([Fake("ours", asked)], [Case("one", {}, times=2)], 1, watch, {})
    assert (turn.other_core_seconds, turn.steal_seconds) == (7.0, 4.0)


def test_only_rounds_that_both_took_part_in_are_paired() -> None:
    assert paired({0: 1.0, 1: 2.0, 2: 3.0}, {2: 30.0, 0: 10.0}) == [(1.0, 10.0), (3.0, 30.0)]


def test_values_are_an_engines_own() -> None:
    made = [Turn(0, "one", name, {}, ({"seconds": float(len(name))},), 1.0) for name in ("ours", "other")]
    assert values_by_round(made, "other", lambda turn: turn.answers[0]["seconds"]) == {0: 5.0}
