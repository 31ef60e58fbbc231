"""What cleaning changes, what it leaves out, and what it lets stay."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.training.cleaning import drop_passages, normalise


def test_typography_becomes_what_a_person_types() -> None:
    text = "\ufeff“It’s — well…” said\u00a0he,  _very_ [Illustration 3] softly.\r\n\r\n\r\n\r\nThe end \n"
    assert normalise(text) == '"It\'s -- well..." said he, very softly.\n\nThe end\n'
    assert normalise("naïve snake_case_name\nverse") == "naïve snake_case_name\nverse\n"


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("ab \n\r_[]“’—é\u00a0"), max_size=40))
def test_normalising_twice_changes_nothing_more_in_plain_text(text: str) -> None:
    once = normalise(text.replace("_", "").replace("[", ""))
    assert normalise(once) == once


@pytest.mark.parametrize(
    "paragraph",
    [
        "The gypsies came.",
        "a REDSKIN!",
        "A colored man opened.",
        '"Dat am de dog," he said.',
        "[Footnote: see]",
        "Yo' see",
    ],
)
def test_a_paragraph_to_leave_out_is_left_out_whole(paragraph: str) -> None:
    assert drop_passages(f"Before.\n\n{paragraph}\n\nAfter.\n") == ("Before.\n\nAfter.\n", 1)


@pytest.mark.parametrize(
    "paragraph", ["A colored stone.", "The jewels shone.", "Mademoiselle de la Poche", "a chink of light", "raccoon"]
)
def test_a_harmless_paragraph_stays(paragraph: str) -> None:
    assert drop_passages(paragraph) == (paragraph + "\n", 0)
