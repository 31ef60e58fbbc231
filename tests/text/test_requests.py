"""Requests refuse what can't be served when they are made, and say which field it is."""

from typing import Any

import pytest

from workbench.engine.jobs import Sampling
from workbench.errors import BadRequest
from workbench.text.requests import (
    LARGEST_PROMPT_CHARACTERS,
    LARGEST_STOP_CHARACTERS,
    MOST_STOPS,
    Generate,
    LogLikelihood,
    RollingLogLikelihood,
)


@pytest.mark.parametrize("value", [None, 3, b"bytes", ["a"]])
def test_a_prompt_that_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(BadRequest, match="prompt must be a text; got"):
        Generate(value)


@pytest.mark.parametrize("value", [None, 3, b"bytes"])
def test_a_likelihood_needs_texts(value: Any) -> None:
    for name, make in {
        "context": lambda: LogLikelihood(value, "a"),
        "continuation": lambda: LogLikelihood("a", value),
        "text": lambda: RollingLogLikelihood(value),
    }.items():
        with pytest.raises(BadRequest, match=f"{name} must be a text"):
            make()


def test_a_prompt_may_be_long_but_not_endless() -> None:
    assert Generate("a" * LARGEST_PROMPT_CHARACTERS).prompt
    with pytest.raises(BadRequest, match="prompt has 1,000,001 characters; at most 1,000,000"):
        Generate("a" * (LARGEST_PROMPT_CHARACTERS + 1))


@pytest.mark.parametrize("name", ["stop", "banned"])
def test_stop_and_banned_texts_are_neither_empty_nor_endless_nor_numbers(name: str) -> None:
    for bad, message in (
        ("", "is empty"),
        ("x" * (LARGEST_STOP_CHARACTERS + 1), "201 characters"),
        (5, "must be a text"),
    ):
        with pytest.raises(BadRequest, match=message):
            Generate("a", **{name: ("fine", bad)})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [None, 1, "yes"])
def test_lookup_is_true_or_false(value: Any) -> None:
    with pytest.raises(BadRequest, match="lookup must be true or false"):
        Generate("a", lookup=value)


def test_stop_strings_are_few() -> None:
    assert len(Generate("a", stop=("x",) * MOST_STOPS).stop) == MOST_STOPS
    with pytest.raises(BadRequest, match="17 stop strings; at most 16"):
        Generate("a", stop=("x",) * (MOST_STOPS + 1))


def test_the_defaults_leave_the_models_distribution_as_it_is() -> None:
    assert Generate("a").sampling == Sampling(1.0, 0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0)
