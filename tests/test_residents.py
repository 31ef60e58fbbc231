"""Who holds a model keeps it; who needs its room waits for him, and newcomers wait for both."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from workbench.loading.identity import ModelIdentity
from workbench.loading.loaded import LoadedModel
from workbench.loading.spec import ModelSpec
from workbench.residents import Resident, Residents

PATIENCE = 30


@dataclass
class Shown:
    """Stands in for what is known of a loaded model."""

    spec: ModelSpec
    memory_bytes: int = 10
    leases: int = 0


@dataclass(eq=False)
class Model:
    """Stands in for a model."""

    ended: bool = False
    threads: list[threading.Thread] = field(default_factory=list)


def resident(name: str, last_used: float = 0.0) -> Resident[Model]:
    spec = ModelSpec(name, precision="float32")
    shown: LoadedModel = Shown(spec)  # type: ignore[assignment]
    identity: ModelIdentity = None  # type: ignore[assignment]
    return Resident(shown, None, spec, Model(), lambda card: identity, last_used=last_used)


@pytest.fixture
def three() -> Residents[Model]:
    residents: Residents[Model] = Residents(lambda model: model.ended)
    for place, name in enumerate("abc"):
        residents.add(resident(name, float(place)))
    return residents


@pytest.fixture
def started() -> Iterator[Callable[[Callable[[], object]], threading.Thread]]:
    """Starts threads, and waits for their end."""
    threads: list[threading.Thread] = []

    def start(work: Callable[[], object]) -> threading.Thread:
        threads.append(threading.Thread(target=work, daemon=True))
        threads[-1].start()
        return threads[-1]

    yield start
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def names(residents: Residents[Model]) -> str:
    return "".join(one.key.checkpoint for one in residents.all())


def test_the_longest_idle_leaves_first_and_no_more_than_needed(three: Residents[Model]) -> None:
    gone = three.put_out(15, 0)
    assert gone is not None
    assert [one.key.checkpoint for one in gone] == ["a", "b"] and names(three) == "c"


def test_nobody_leaves_where_all_together_are_too_small(three: Residents[Model]) -> None:
    assert three.put_out(31, 0) is None and names(three) == "abc"


def test_idle_ones_leave_before_one_in_use(three: Residents[Model]) -> None:
    with three.held(lambda: three.all()[0]):
        assert three.put_out(20, 0) is not None
        assert names(three) == "a"


def test_who_is_not_done_in_time_stays_and_so_do_the_others(three: Residents[Model]) -> None:
    with three.held(lambda: three.all()[0]):
        assert three.put_out(30, 0.05) is None
        assert names(three) == "abc" and not any(one.leaving for one in three.all())


def test_a_load_waits_until_the_model_in_use_is_given_back(three: Residents[Model], started: Callable) -> None:
    gone: list[object] = []
    with three.held(lambda: three.all()[0]):
        waiting = started(lambda: gone.append(three.put_out(30, PATIENCE)))
        waiting.join(0.2)
        assert waiting.is_alive() and names(three) == "abc"
    waiting.join(PATIENCE)
    assert gone[0] is not None and names(three) == ""


def test_newcomers_wait_for_a_model_that_has_to_leave_and_who_has_it_does_not(
    three: Residents[Model], started: Callable
) -> None:
    first = three.all()[0]
    came: list[str] = []

    def newcomer() -> None:
        with three.held(lambda: first if first in three.all() else three.all()[0]):
            came.append("newcomer")

    other = resident("d")
    with three.held(lambda: first):
        waiting = started(lambda: (three.put_out(30, PATIENCE), three.add(other)))
        while not first.leaving:
            waiting.join(0.01)
        late = started(newcomer)
        with three.held(lambda: first, joining=True):
            came.append("the one who has it")
        late.join(0.2)
        assert came == ["the one who has it"]
    waiting.join(PATIENCE)


def test_a_model_that_serves_no_more_is_found_no_more(three: Residents[Model]) -> None:
    (spec,) = [one.key for one in three.all() if one.key.checkpoint == "b"]
    assert three.find(spec, spec) is not None
    three.all()[1].language_model.ended = True
    assert three.find(spec, spec) is None and names(three) == "ac"


def test_one_in_use_is_not_removed(three: Residents[Model]) -> None:
    first = three.all()[0]
    with three.held(lambda: first):
        assert not three.remove(first)
    assert three.remove(first) and names(three) == "bc"
