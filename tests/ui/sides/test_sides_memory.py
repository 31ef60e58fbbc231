"""Whether all sides fit beside each other, and what is offered where they do not; 4 GiB are free in the fake."""

import pytest

from tests.ui.fake import FakeManager
from workbench.errors import NotEnoughMemory
from workbench.manager import ModelSpec
from workbench.settings import Settings
from workbench.ui.bench import Bench
from workbench.ui.sides.sides import LETTERS, Chosen
from workbench.ui.sides.sides_memory import check_together, shortage_of
from workbench.ui.spec_names import spec_name

LARGE = "EleutherAI/gpt-j-6b"


@pytest.fixture
def bench() -> Bench:
    """A bench on the scripted manager."""
    return Bench(Settings(), FakeManager())  # type: ignore[arg-type]


def chosen(*specs: ModelSpec) -> list[Chosen]:
    """Sides with these models."""
    return [Chosen(index, LETTERS[index], spec_name(spec), spec) for index, spec in enumerate(specs)]


def test_sides_that_fit_are_not_spoken_of(bench: Bench) -> None:
    sides = chosen(ModelSpec("demo"), ModelSpec(LARGE, precision="nf4"))
    assert shortage_of(bench, sides) is None
    check_together(bench, sides)


def test_one_side_is_left_to_its_load(bench: Bench) -> None:
    assert shortage_of(bench, chosen(ModelSpec(LARGE))) is None


def test_what_is_missing_and_what_would_fit_is_told(bench: Bench) -> None:
    shortage = shortage_of(bench, chosen(ModelSpec("demo"), ModelSpec(LARGE)))
    assert shortage is not None and shortage.changes == ((1, "nf4"),)
    assert "B (EleutherAI/gpt-j-6b) needs" in shortage.text and "room for 4.0 GiB" in shortage.text
    assert "They fit with B in nf4." in shortage.text


def test_where_nothing_helps_that_is_said(bench: Bench) -> None:
    shortage = shortage_of(bench, chosen(ModelSpec(LARGE, precision="nf4"), ModelSpec(LARGE, precision="int8")))
    assert shortage is not None and shortage.changes == ()
    assert "No precision makes them fit: take fewer sides, or smaller models." in shortage.text


def test_the_same_model_on_two_sides_is_loaded_once(bench: Bench) -> None:
    assert shortage_of(bench, chosen(*[ModelSpec(LARGE, precision="nf4")] * 2)) is None


def test_a_loaded_model_needs_no_more_room(bench: Bench) -> None:
    bench.manager.load(ModelSpec(LARGE))
    assert shortage_of(bench, chosen(ModelSpec("demo"), ModelSpec(LARGE))) is None


def test_idle_models_of_no_side_make_room(bench: Bench) -> None:
    sides = chosen(ModelSpec("demo"), ModelSpec(LARGE, precision="int8"))
    assert shortage_of(bench, sides) is not None
    bench.manager.load(ModelSpec(LARGE, precision="float16"))
    assert shortage_of(bench, sides) is None


def test_a_model_that_can_not_be_planned_is_left_to_its_load(bench: Bench) -> None:
    assert shortage_of(bench, chosen(ModelSpec("nowhere"), ModelSpec("demo"))) is None


def test_a_model_that_may_be_offloaded_is_left_to_its_load(bench: Bench) -> None:
    assert shortage_of(bench, chosen(ModelSpec("demo"), ModelSpec(LARGE, device_map="auto"))) is None


def test_a_run_of_sides_that_do_not_fit_is_refused(bench: Bench) -> None:
    with pytest.raises(NotEnoughMemory, match="They fit with B in nf4"):
        check_together(bench, chosen(ModelSpec("demo"), ModelSpec(LARGE)))
