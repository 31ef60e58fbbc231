"""Requests as tokens: a remembered beginning changes none, and what is common is found."""

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, models, pre_tokenizers

from tests.text.tiny import STORY, TOKENIZER
from workbench.text.pairs import PairEncoder, common, grouped
from workbench.text.requests import LogLikelihood
from workbench.text.vocabulary import cuts_at_spaces

PIECES = ["The", " king", "'s", "'", " ", "\n", "\n\n", "\t", "!", " 10", "é", "\u3000", "\x1c", "<|endoftext|>"]
pieces = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=8).map("".join)


@settings(max_examples=400, deadline=None)
@given(shared=pieces, rest=pieces, continuation=pieces)
def test_a_remembered_beginning_changes_no_token(shared: str, rest: str, continuation: str) -> None:
    if not continuation.strip() or any(0xD800 <= ord(one) < 0xE000 for one in shared + rest + continuation):
        return
    with_it = PairEncoder(TOKENIZER, 2000).pair(LogLikelihood(shared + rest, continuation, shared))
    without = PairEncoder(TOKENIZER, 2000).pair(LogLikelihood(shared + rest, continuation))
    assert with_it[:3] == without[:3]
    assert 0 <= with_it.shared <= len(with_it.context)


def test_the_shared_tokens_are_those_before_the_last_spaces() -> None:
    shots = STORY + "\n\n"
    encoder = PairEncoder(TOKENIZER, 2000)
    expected = len(TOKENIZER.encode(STORY.rstrip()))
    for rest in ("Nobody", "A café", "10"):
        assert encoder.pair(LogLikelihood(shots + rest, " was", shots)).shared == expected


def test_a_context_that_lost_its_beginning_shares_nothing() -> None:
    pair = PairEncoder(TOKENIZER, 64).pair(LogLikelihood(STORY * 3, " was", STORY))
    assert pair.unseen_tokens > 0 and pair.shared == 0


def test_a_tokenizer_whose_words_may_hold_what_follows_is_not_cut() -> None:
    assert TOKENIZER.cuts_at_spaces
    for change in ("prefix", "token", "strip"):
        backend = tokenizers.Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=change == "prefix")
        if change != "prefix":
            backend.add_tokens([AddedToken("a b" if change == "token" else "ab", lstrip=change == "strip")])
        assert not cuts_at_spaces(backend)


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_what_is_common_is_the_longest_beginning_of_both(one: list[int], other: list[int]) -> None:
    length = common(tuple(one), tuple(other))
    assert one[:length] == other[:length]
    assert length == min(len(one), len(other)) or one[length] != other[length]


@settings(deadline=None)
@given(st.lists(st.tuples(pieces, st.sampled_from([" was", " the king"])), min_size=1, max_size=6))
def test_groups_hold_every_pair_once_in_order(texts: list[tuple[str, str]]) -> None:
    encoder = PairEncoder(TOKENIZER, 64)
    pairs = [encoder.pair(LogLikelihood(context, tail)) for context, tail in texts]
    groups = grouped(pairs)
    found = [
        (job.context + continuation[:own], continuation[own:])
        for job in groups.jobs
        for continuation, own in zip(job.continuations, job.given, strict=True)
    ]
    assert found == [(pair.context, pair.continuation) for pair in pairs]


def test_requests_of_other_beginnings_are_not_grouped() -> None:
    encoder = PairEncoder(TOKENIZER, 64)
    texts = ["The old king slept under the", "Nobody answered, naïve", "The old king slept under the"]
    assert len(grouped([encoder.pair(LogLikelihood(text, " tree")) for text in texts]).jobs) == 3


@pytest.mark.parametrize("length", [0, 1, 70])
def test_any_number_of_equal_contexts_is_one_job(length: int) -> None:
    encoder = PairEncoder(TOKENIZER, 64)
    pairs = [encoder.pair(LogLikelihood("The " * length, f" {tail}")) for tail in ("king", "tree", "hill", "café")]
    jobs = grouped(pairs).jobs
    assert len(jobs) == 1 or length == 70  # cut at the left by their own lengths, contexts begin elsewhere
