"""Windows show every token of a passage, and each token once with its fullest context."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.text.tiny import STORY, TOKENIZER
from workbench.errors import BadRequest, TooLong
from workbench.text.windows import max_context_piece, pieces, span_windows

QUESTION = "Who walked to the hill?"
ASKED = [*TOKENIZER.encode(QUESTION), *TOKENIZER.encode("\n")]
WORDS = ["unicorn", "naïve", "\U0001f984", "'It's", "—", "10", "日本語", "é", "walked,", "\n\n", "\t", "  "]


def passage(seed: int, words: int = 60) -> str:
    rng = random.Random(seed)
    return "The " + " ".join(rng.choice(WORDS) for _ in range(words))


def published_windows(count: int, room: int, overlap: int) -> list[tuple[int, int]]:
    """Start and length of each piece, as BERT's SQuAD code lays them out."""
    spans, start = [], 0
    while start < count:
        length = min(count - start, room)
        spans.append((start, length))
        if start + length == count:
            break
        start += min(length, room - overlap)
    return spans


def published_max_context(spans: list[tuple[int, int]], position: int) -> int:
    """The piece with the fullest context, by BERT's rule."""
    best, best_score = -1, -1.0
    for index, (start, length) in enumerate(spans):
        if start <= position < start + length:
            score = min(position - start, start + length - 1 - position) + 0.01 * length
            if score > best_score + 1e-9:
                best, best_score = index, score
    return best


def test_a_window_is_the_question_a_line_break_a_piece_and_the_end_of_text() -> None:
    (window,) = span_windows(TOKENIZER, QUESTION, STORY, 400, 0)
    assert window.tokens == (*ASKED, *TOKENIZER.encode(STORY), TOKENIZER.eos_id)
    assert window.passage_start == len(ASKED)
    assert window.null_index == len(window.tokens) - 1


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("stride", [0, 5, 20, 1000])
def test_the_pieces_are_the_passage_and_neighbours_overlap(seed: int, stride: int) -> None:
    tokens, offsets = TOKENIZER.encode_with_offsets(passage(seed))
    windows = span_windows(TOKENIZER, QUESTION, passage(seed), len(ASKED) + 41, stride)
    position, overlap = 0, min(stride, 20)
    for number, window in enumerate(windows):
        size = len(window.offsets)
        assert list(window.tokens[window.passage_start : window.null_index]) == tokens[position : position + size]
        assert list(window.offsets) == offsets[position : position + size]
        assert len(window.tokens) <= len(ASKED) + 41
        position += size - overlap if number < len(windows) - 1 else size
    assert position == len(tokens)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("stride", [0, 5, 20])
def test_each_token_has_its_fullest_context_in_exactly_one_window(seed: int, stride: int) -> None:
    text = passage(seed)
    count = len(TOKENIZER.encode(text))
    windows = span_windows(TOKENIZER, QUESTION, text, len(ASKED) + 41, stride)
    assert sum(sum(window.is_max_context) for window in windows) == count


@settings(deadline=None)
@given(count=st.integers(1, 300), room=st.integers(1, 80), overlap=st.integers(0, 100))
def test_windows_and_fullest_context_are_those_of_the_published_rule(count: int, room: int, overlap: int) -> None:
    ranges = pieces(count, room, overlap)
    expected = published_windows(count, room, min(overlap, room // 2))
    assert [(piece.start, len(piece)) for piece in ranges] == expected
    chosen = [ranges.index(max_context_piece(token, ranges)) for token in range(count)]
    assert chosen == [published_max_context(expected, token) for token in range(count)]


@pytest.mark.parametrize("seed", range(3))
def test_asking_for_one_window_gives_what_all_of_them_give(seed: int) -> None:
    windows = span_windows(TOKENIZER, QUESTION, passage(seed), 60, 10)
    everything = list(windows)
    assert [windows[number] for number in range(len(windows))] == everything
    assert windows[-1] == everything[-1]
    assert windows[1:3] == everything[1:3]
    with pytest.raises(IndexError):
        windows[len(windows)]


@settings(deadline=None, max_examples=60)
@given(data=st.data(), seed=st.integers(0, 50))
def test_an_answer_is_located_where_its_characters_are(data: st.DataObject, seed: int) -> None:
    text = passage(seed, 12).strip()
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    for window in span_windows(TOKENIZER, QUESTION, text, len(ASKED) + 31, 8):
        place = window.locate(start, end)
        if place is None:
            assert start < window.offsets[0][0] or end > window.offsets[-1][1]
            continue
        first, last = (window.offsets[index - window.passage_start] for index in place)
        assert first[0] <= start < first[1]
        assert last[0] < end <= last[1]


def test_an_answer_beyond_the_window_is_not_located() -> None:
    windows = span_windows(TOKENIZER, QUESTION, STORY, len(ASKED) + 21, 0)
    end = windows[0].offsets[-1][1]
    assert windows[0].locate(end - 2, end + 2) is None
    assert windows[0].locate(3, 3) is None


def test_a_short_passage_fits_beside_a_long_question() -> None:
    (window,) = span_windows(TOKENIZER, QUESTION, "It is.", len(ASKED) + len(TOKENIZER.encode("It is.")) + 1, 128)
    assert len(window.offsets) == len(TOKENIZER.encode("It is."))


def test_a_question_that_leaves_no_room_is_too_long() -> None:
    with pytest.raises(TooLong, match="Shorten the question"):
        span_windows(TOKENIZER, QUESTION * 9, STORY, 64, 16)


@pytest.mark.parametrize(
    "question, context", [("", STORY), (" \n", STORY), (QUESTION, ""), (QUESTION, "\t "), (QUESTION, "a\ud800")]
)
def test_empty_or_broken_texts_are_refused(question: str, context: str) -> None:
    with pytest.raises(BadRequest):
        span_windows(TOKENIZER, question, context, 64, 16)


def test_spaces_around_a_question_change_nothing() -> None:
    assert list(span_windows(TOKENIZER, f" {QUESTION}\n", STORY, 64, 16)) == list(
        span_windows(TOKENIZER, QUESTION, STORY, 64, 16)
    )
