"""ROUGE, beside Google's."""

import json
import random
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.evals.metrics.rouge import common_subsequence, rouge, words

GOLDEN = json.loads((Path(__file__).parent / "rouge_golden.json").read_text(encoding="utf-8"))["scores"]

texts = st.lists(st.sampled_from(["cat", "cats", "dogs", "running", "a", "\n", "é"]), max_size=12).map(" ".join)
tokens = st.lists(st.sampled_from("abc"), max_size=12)


def test_figures_are_googles() -> None:
    for case in GOLDEN:
        expected = {name: case[name] for name in ("rouge1", "rouge2", "rougeL", "rougeLsum")}
        assert rouge(case["prediction"], case["reference"]) == pytest.approx(expected, abs=1e-12), case


@given(prediction=texts, reference=texts)
def test_figures_are_shares_and_do_not_mind_which_text_is_the_reference(prediction: str, reference: str) -> None:
    found, other_way = rouge(prediction, reference), rouge(reference, prediction)
    assert all(0 <= figure <= 1 for figure in found.values())
    assert [found[name] for name in ("rouge1", "rouge2", "rougeL")] == pytest.approx(
        [other_way[name] for name in ("rouge1", "rouge2", "rougeL")]
    )


@given(text=texts)
def test_a_text_is_all_of_itself(text: str) -> None:
    found = rouge(text, text)
    assert found["rouge1"] == found["rougeL"] == found["rougeLsum"] == (1 if words(text) else 0)


@given(first=tokens, second=tokens)
def test_the_common_subsequence_is_as_long_as_the_tables(first: list[str], second: list[str]) -> None:
    lengths = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            lengths[i + 1][j + 1] = lengths[i][j] + 1 if one == other else max(lengths[i][j + 1], lengths[i + 1][j])
    assert common_subsequence(first, second) == lengths[-1][-1]


def test_only_words_longer_than_three_letters_are_stemmed() -> None:
    assert words("Dogs' ties: 2nd running gas, tying!") == ["dog", "tie", "2nd", "run", "gas", "tie"]


def test_long_texts_take_no_time() -> None:
    draw = random.Random(0)
    long = " ".join(draw.choices("abcdefgh", k=10_000))
    began = time.process_time()
    rouge(long, long[::-1])
    assert time.process_time() - began < 5
