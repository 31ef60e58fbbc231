"""Stems, beside NLTK's."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.evals.metrics.porter import measure, shape, stem

STEMS: dict[str, str] = json.loads((Path(__file__).parent / "rouge_golden.json").read_text(encoding="utf-8"))["stems"]


def test_stems_are_nltks() -> None:
    assert {word: stem(word) for word in STEMS} == STEMS


@pytest.mark.parametrize("word, m", [("tr", 0), ("tree", 0), ("y", 0), ("trouble", 1), ("oats", 1), ("private", 2)])
def test_the_measure_is_that_of_the_papers_examples(word: str, m: int) -> None:
    assert measure(word) == m


def test_y_is_a_vowel_after_a_consonant_only() -> None:
    assert (shape("toy"), shape("syzygy"), shape("yay"), shape("yy")) == ("cvc", "cvcvcv", "cvc", "cv")


@given(word=st.text(alphabet="abegilnosty1", max_size=12))
def test_a_stem_is_never_longer_than_its_word_by_more_than_a_letter(word: str) -> None:
    assert len(stem(word)) <= len(word) + 1


@given(word=st.text(max_size=12))
def test_any_text_has_a_stem_and_the_case_of_letters_is_no_matter(word: str) -> None:
    assert stem(word.lower()) == stem(word)
