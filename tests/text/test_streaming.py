"""Streamed pieces join to the decoded text, up to the first stop string, and are never taken back."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import BadRequest
from workbench.text.streaming import TextStream
from workbench.text.tokenizer import Tokenizer
from workbench.training.corpus import train_bpe

TOKENIZER = Tokenizer(train_bpe(["abab cab aabb 🦄 é the cab. " * 20], 270))
TOKEN = st.integers(0, TOKENIZER.size + 3)
# Few letters, so that stop strings occur and overlap; bytes 0xE9.. are letters' halves in UTF-8.
LETTERS = [TOKENIZER.encode(letter)[0] for letter in "abc "]
STOPS = st.lists(st.text("abcé ", min_size=1, max_size=5), max_size=3)


def stream_all(stream: TextStream, ids: list[int]) -> list[str]:
    """Every piece, the last one included."""
    return [*(stream.push(token_id) for token_id in ids), stream.finish()]


def cut_at_first_stop(text: str, stops: list[str]) -> tuple[str, str | None]:
    """The definition: character by character; where the text so far ends with stop strings, cut before the longest."""
    for end in range(1, len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            stop = max(complete, key=len)
            return text[: end - len(stop)], stop
    return text, None


@settings(max_examples=300, deadline=None)
@given(st.lists(TOKEN))
def test_pieces_join_to_the_decoded_text(ids: list[int]) -> None:
    assert "".join(stream_all(TextStream(TOKENIZER), ids)) == TOKENIZER.decode(ids)


@settings(max_examples=300, deadline=None)
@given(st.text(), st.integers(0, 5))
def test_pieces_of_a_text_never_hold_half_a_character(text: str, cut: int) -> None:
    ids = TOKENIZER.encode(text)
    ids = ids[: len(ids) - cut]
    stream = TextStream(TOKENIZER)
    pushed = "".join(stream.push(token_id) for token_id in ids)
    assert text.startswith(pushed)
    assert pushed + stream.finish() == TOKENIZER.decode(ids)


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(LETTERS), TOKEN)), STOPS)
def test_the_text_ends_before_the_first_stop_string(ids: list[int], stops: list[str]) -> None:
    stream = TextStream(TOKENIZER, stop=stops)
    pieces = stream_all(stream, ids)
    assert ("".join(pieces), stream.stopped) == cut_at_first_stop(TOKENIZER.decode(ids), stops)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(LETTERS), TOKEN)), STOPS)
def test_nothing_is_held_back_without_need(ids: list[int], stops: list[str]) -> None:
    stream = TextStream(TOKENIZER, stop=stops)
    seen = "".join(stream.push(token_id) for token_id in ids)
    if stream.stopped is None:
        complete = TOKENIZER.decode(ids).rstrip("\ufffd")
        held = complete[len(seen) :]
        assert held == "" or any(stop.startswith(held) for stop in stops)


@settings(max_examples=300, deadline=None)
@given(st.text(min_size=1), st.data())
def test_half_a_character_of_the_prompt_is_completed(text: str, data: st.DataObject) -> None:
    ids = TOKENIZER.encode(text)
    split = data.draw(st.integers(0, len(ids)))
    stream = TextStream(TOKENIZER, prompt_ids=ids[:split])
    continuation = "".join(stream_all(stream, ids[split:]))
    assert text.endswith(continuation)
    assert TOKENIZER.decode(ids[:split]).rstrip("\ufffd") + continuation == text or "\ufffd" in text


def test_a_possible_stop_string_is_held_back_and_given_when_it_is_none() -> None:
    a, b, _, space = LETTERS
    stream = TextStream(TOKENIZER, stop=["abc"])
    assert [stream.push(token_id) for token_id in (space, a, b, a, b, space)] == [" ", "", "", "ab", "", "ab "]
    assert [stream.push(a), stream.finish(), stream.finish()] == ["", "a", ""]


def test_after_a_stop_string_nothing_comes() -> None:
    a, b, c, _ = LETTERS
    stream = TextStream(TOKENIZER, stop=["ab"])
    assert [stream.push(token_id) for token_id in (c, a, b, c, c)] == ["c", "", "", "", ""]
    assert (stream.stopped, stream.finish()) == ("ab", "")


def test_of_stops_completed_together_the_longest_counts() -> None:
    a, b, c, _ = LETTERS
    stream = TextStream(TOKENIZER, stop=["c", "bc"])
    assert "".join(stream.push(token_id) for token_id in (a, b, c)) == "a"
    assert stream.stopped == "bc"


def test_a_half_character_can_end_a_stop_string_only_at_the_end() -> None:
    half = TOKENIZER.encode("日")[0]
    stream = TextStream(TOKENIZER, stop=["\ufffd"])
    assert (stream.push(half), stream.stopped) == ("", None)
    assert (stream.finish(), stream.stopped) == ("", "\ufffd")


def test_an_empty_stop_string_is_refused() -> None:
    with pytest.raises(BadRequest, match="empty"):
        TextStream(TOKENIZER, stop=["a", ""])


def test_the_cost_of_a_token_does_not_grow() -> None:
    stream = TextStream(TOKENIZER, stop=["zzz"])
    ids = TOKENIZER.encode("the cab. " * 8000)
    half = len(ids) // 2
    times = []
    for part in (ids[:half], ids[half:]):
        began = time.process_time()
        for token_id in part:
            stream.push(token_id)
        times.append(time.process_time() - began)
    assert times[1] < 3 * times[0] + 0.05
