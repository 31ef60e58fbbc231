"""Figures in words."""

import pytest

from workbench.ui.runs.run_words import model_text, shots_text, signed_text, value_text


@pytest.mark.parametrize("given, words", [
    ((0.4321, 0.031), "43.2 ± 3.1 %"), ((0.5, None), "50.0 %"), ((None, None), "–"),
    ((12.3456, 0.5, False), "12.35 ± 0.50"), ((3.987, None, False), "3.987"), ((82861.12, 1.0, False), "82,861 ± 1"),
])  # fmt: skip
def test_a_value_has_its_error_and_as_many_digits_as_tell(given: tuple, words: str) -> None:
    assert value_text(*given) == words


@pytest.mark.parametrize("given, words", [
    ((0.023,), "+2.3"), ((-0.023,), "−2.3"), ((0.0,), "0.0"), ((-0.0001,), "0.0"),
    ((0.0005, False), "+0.0005"), ((-1.5, False), "−1.500"), ((0.0, False), "0.000"),
])  # fmt: skip
def test_a_difference_has_its_sign_unless_it_is_none(given: tuple, words: str) -> None:
    assert signed_text(*given) == words


def test_shots_are_counted() -> None:
    assert [shots_text(count) for count in (0, 1, 5)] == ["zero-shot", "1 shot", "5 shots"]


def test_a_model_is_named_without_its_folders() -> None:
    about = {"checkpoint": "/home/someone/models/gpt-j", "precision": "int8", "head": {"name": "spam"}}
    assert model_text(about) == "gpt-j · int8 · head spam" and "?" in model_text({})
