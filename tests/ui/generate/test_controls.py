"""The controls' values become the request that was meant, or an error that names the setting."""

from dataclasses import fields

import pytest

from workbench.engine.jobs import Sampling
from workbench.errors import BadRequest
from workbench.text.requests import Generate
from workbench.ui.generate.controls import KNOBS, PRESET_KNOBS, PRESETS, build_request, preset_values, text_lines


def test_every_knob_is_a_field_of_a_request() -> None:
    names = {field.name for field in (*fields(Generate), *fields(Sampling))}
    assert KNOBS.keys() <= names


def test_the_knobs_defaults_make_a_request() -> None:
    request = build_request("a", {name: knob.default for name, knob in KNOBS.items()})
    assert request.sampling.temperature == 0.8 and request.max_new_tokens == 120


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_makes_a_request(name: str) -> None:
    values = dict(zip((knob.name for knob in PRESET_KNOBS), preset_values(name), strict=True))
    assert build_request("a", values).sampling.greedy == (name in ("Greedy", "Beam 4"))


def test_a_slider_that_sends_a_whole_number_as_a_float_is_understood() -> None:
    assert build_request("a", {"top_k": 40.0}).sampling.top_k == 40


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1.5, True, "40"])
def test_what_is_no_whole_number_is_refused_by_name(value: object) -> None:
    with pytest.raises(BadRequest, match="top_k"):
        build_request("a", {"top_k": value})


def test_one_stop_text_needs_no_list() -> None:
    assert build_request("a", {"stop": "The end"}).stop == ("The end",)
    assert build_request("a", {"stop": ["x", "y"]}).stop == ("x", "y")


def test_stop_texts_that_are_none_are_refused_by_name() -> None:
    with pytest.raises(BadRequest, match="stop"):
        build_request("a", {"stop": 5})


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(BadRequest, match="'heat'"):
        build_request("a", {"heat": 1})


def test_a_request_can_not_be_forced_from_outside() -> None:
    with pytest.raises(BadRequest, match="forced"):
        build_request("a", {"forced": [1]})


def test_a_box_of_texts_understands_line_breaks() -> None:
    assert text_lines("The end\n\\n\\n\n\na\\tb\n\\\\n") == ("The end", "\n\n", "a\tb", "\\n")
    assert text_lines("") == ()
