"""How much of a model one text may take."""

import pytest

from workbench.errors import BadRequest, TooLong
from workbench.profiles import LOCAL, PUBLIC
from workbench.text.allowed import check_allowed
from workbench.text.requests import Generate

MOST = PUBLIC.requests


def test_what_is_within_the_limits_passes() -> None:
    check_allowed(Generate("a" * MOST.prompt_characters, max_new_tokens=MOST.new_tokens), MOST)
    check_allowed(Generate((1, 2, 3)), MOST)


def test_more_new_tokens_are_refused_in_public_and_taken_at_home() -> None:
    asked = Generate("Once", max_new_tokens=MOST.new_tokens + 1)
    with pytest.raises(BadRequest, match=f"at most {MOST.new_tokens:,} are written at a time"):
        check_allowed(asked, MOST)
    check_allowed(asked, LOCAL.requests)


def test_a_longer_prompt_is_refused() -> None:
    with pytest.raises(TooLong, match="at most 100,000 are taken here"):
        check_allowed(Generate("a" * (MOST.prompt_characters + 1)), MOST)
