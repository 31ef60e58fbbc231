"""The Generate tab's settings: one seed for all sides, and what each is asked."""

from typing import Any

import gradio as gr
import pytest

from tests.ui.fake import FakeManager
from workbench.errors import BadRequest
from workbench.settings import Settings
from workbench.ui.bench import Bench
from workbench.ui.generate.generate_settings import GenerateSettings, drawn_anew, settings_view
from workbench.ui.sides.sides_bar import sides_bar


@pytest.fixture
def settings() -> GenerateSettings:
    """The settings of a page just opened."""
    with gr.Blocks():
        return settings_view(sides_bar(Bench(Settings(), FakeManager())))  # type: ignore[arg-type]


def values_of(settings: GenerateSettings, **changes: Any) -> dict[Any, Any]:
    """The values of a page just opened, some of them changed."""
    return {part: part.value for part in settings.inputs()} | {
        getattr(settings, name): new for name, new in changes.items()
    }


def test_all_sides_draw_by_the_same_new_seed(settings: GenerateSettings) -> None:
    drawn = {tuple(one.seed for one in settings.requests("Once", 3, values_of(settings))) for _ in range(4)}
    assert len(drawn) > 1 and all(len(set(seeds)) == 1 for seeds in drawn)


def test_a_given_seed_is_taken_unless_a_new_one_is_asked_for(settings: GenerateSettings) -> None:
    values = values_of(settings, new_seed=False, seed=0)
    assert [one.seed for one in settings.requests("Once", 2, values)] == [0, 0]


@pytest.mark.parametrize(("seed", "is_new", "anew"), [(7, True, False), (0, True, True), (7, False, False)])
def test_the_seed_of_a_link_is_drawn_by_again(seed: int, is_new: bool, anew: bool) -> None:
    assert drawn_anew(seed, is_new) is anew


def test_an_empty_seed_box_draws_one_that_a_branch_can_keep(settings: GenerateSettings) -> None:
    assert settings.requests("Once", 1, values_of(settings, new_seed=False, seed=None))[0].seed is not None


def test_each_side_gets_another_seed_where_that_is_asked_for(settings: GenerateSettings) -> None:
    values = values_of(settings, new_seed=False, seed=5, another_each=True)
    assert [one.seed for one in settings.requests("Once", 3, values)] == [5, 6, 7]


def test_a_side_is_asked_as_a_is_unless_it_has_its_own(settings: GenerateSettings) -> None:
    a, b, _ = settings.sides.each
    values = values_of(settings) | {a.knobs["top_k"]: 40, b.knobs["top_k"]: 3, b.stop_texts: "end\\nnow"}
    assert [one.sampling.top_k for one in settings.requests("Once", 2, values)] == [40, 40]
    values[settings.sides.as_a[0]] = False
    asked = settings.requests("Once", 2, values)
    assert [one.sampling.top_k for one in asked] == [40, 3] and asked[1].stop == ("end\nnow",)


def test_a_value_out_of_range_names_its_side_where_there_are_several(settings: GenerateSettings) -> None:
    a, b, _ = settings.sides.each
    values = values_of(settings) | {settings.sides.as_a[0]: False, b.knobs["temperature"]: -1}
    with pytest.raises(BadRequest, match=r"^Side B: "):
        settings.requests("Once", 2, values)
    with pytest.raises(BadRequest, match=r"^temperature"):
        settings.requests("Once", 1, values | {a.knobs["temperature"]: -1})
