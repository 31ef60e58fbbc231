"""What of a prompt is left out where the model's context has no room for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.text.tiny import STORY, TOKENIZER
from workbench.errors import BadRequest, TooLong
from workbench.text.pairs import prompt_tokens
from workbench.text.requests import Generate

CONTEXT = 24
WHOLE = tuple(TOKENIZER.encode(STORY))


@given(new=st.integers(1, CONTEXT - 1), longest=st.none() | st.integers(1, 40))
def test_what_is_left_fits_beside_the_new_tokens_and_below_the_cap(new: int, longest: int | None) -> None:
    request = Generate(STORY, max_new_tokens=new, truncate="beginning", longest_prompt_tokens=longest)
    kept, unseen = prompt_tokens(TOKENIZER, request, CONTEXT)
    assert len(kept) == min(CONTEXT - new, longest or CONTEXT)
    assert len(kept) + unseen == len(WHOLE)


def test_the_beginning_or_the_end_is_left_out() -> None:
    def kept(truncate: str) -> tuple[int, ...]:
        return prompt_tokens(TOKENIZER, Generate(STORY, 4, truncate=truncate), CONTEXT)[0]  # type: ignore[arg-type]

    assert kept("beginning") == WHOLE[-20:]
    assert kept("end") == WHOLE[:20]


def test_a_prompt_that_fits_is_whole() -> None:
    kept, unseen = prompt_tokens(TOKENIZER, Generate("The unicorn", 4, truncate="end"), CONTEXT)
    assert (kept, unseen) == (tuple(TOKENIZER.encode("The unicorn")), 0)


def test_unless_it_may_be_cut_a_long_prompt_is_refused() -> None:
    with pytest.raises(TooLong, match="Shorten the prompt"):
        prompt_tokens(TOKENIZER, Generate(STORY, 4), CONTEXT)


def test_new_tokens_that_leave_no_room_are_refused() -> None:
    with pytest.raises(TooLong, match="no room for a prompt"):
        prompt_tokens(TOKENIZER, Generate(STORY, CONTEXT, truncate="end"), CONTEXT)


def test_another_end_is_refused() -> None:
    with pytest.raises(BadRequest, match="truncate"):
        Generate(STORY, truncate="middle")  # type: ignore[arg-type]
