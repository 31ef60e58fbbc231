"""A long passage in windows of tokens, for a span head: one layout, for training and for serving.

A window is the question, a line break, a piece of the passage, and the end-of-text token. GPT-J looks back only, so the
question must stand before the passage, and the slot that stands for "no answer" must stand at the end: the first token
sees nothing but itself, and would say the same to every question.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from workbench.errors import BadRequest, TooLong
from workbench.text.tokenizer import Tokenizer

SEPARATOR = "\n"
SMALLEST_PIECE_TOKENS = 8
"""A question that leaves a window less room than this, and less than the passage needs, is too long."""


@dataclass(frozen=True)
class SpanWindow:
    """The tokens a span head reads at once."""

    tokens: tuple[int, ...]
    """Question, separator, a piece of the passage, end-of-text token."""
    passage_start: int
    """Index of the piece's first token."""
    offsets: tuple[tuple[int, int], ...]
    """For each token of the piece the characters [start, end) of the passage; a leading space is its token's."""
    is_max_context: tuple[bool, ...]
    """For each token of the piece, whether no other window shows more around it: true in one window of all."""

    @property
    def null_index(self) -> int:
        """Where "no answer" is scored: the last token, which has seen everything."""
        return len(self.tokens) - 1

    def locate(self, start: int, end: int) -> tuple[int, int] | None:
        """First and last index into `tokens` of the passage's characters [start, end); None: not wholly in here."""
        if not self.offsets or start >= end or start < self.offsets[0][0] or end > self.offsets[-1][1]:
            return None
        first = bisect_right(self.offsets, start, key=lambda offset: offset[0]) - 1
        # Tokens that share a character all cover it; the answer begins with the first of them.
        first = bisect_left(self.offsets, self.offsets[first][0], key=lambda offset: offset[0])
        last = bisect_right(self.offsets, end - 1, key=lambda offset: offset[0]) - 1
        return self.passage_start + first, self.passage_start + last


class SpanWindows(Sequence[SpanWindow]):
    """All windows of one passage, each built when it is asked for: a long passage has many.

    Args:
        question: token ids, the separator included.
        passage: token ids.
        offsets: the passage's characters of each token.
        pieces: the passage's token ranges, in order; a token is in two of them at most.
        null_token: stands at the end of each window.
    """

    def __init__(
        self,
        question: Sequence[int],
        passage: Sequence[int],
        offsets: Sequence[tuple[int, int]],
        pieces: Sequence[range],
        null_token: int,
    ):
        self._question, self._passage, self._offsets = tuple(question), passage, offsets
        self._pieces, self._null_token = pieces, null_token

    def __len__(self) -> int:
        return len(self._pieces)

    @overload
    def __getitem__(self, index: int) -> SpanWindow: ...

    @overload
    def __getitem__(self, index: slice) -> list[SpanWindow]: ...

    def __getitem__(self, index: int | slice) -> SpanWindow | list[SpanWindow]:
        if isinstance(index, slice):
            return [self._window(number) for number in range(*index.indices(len(self)))]
        return self._window(range(len(self))[index])

    def _window(self, number: int) -> SpanWindow:
        piece = self._pieces[number]
        neighbours = self._pieces[max(0, number - 1) : number + 2]
        return SpanWindow(
            tokens=(*self._question, *self._passage[piece.start : piece.stop], self._null_token),
            passage_start=len(self._question),
            offsets=tuple(self._offsets[piece.start : piece.stop]),
            is_max_context=tuple(max_context_piece(token, neighbours) == piece for token in piece),
        )


def span_windows(tokenizer: Tokenizer, question: str, context: str, window_tokens: int, doc_stride: int) -> SpanWindows:
    """The windows of a question and its passage.

    Args:
        window_tokens: the most tokens of a window, question and end-of-text token included.
        doc_stride: passage tokens that neighbours share; at most half of a window's piece is taken.

    Raises:
        BadRequest: the question or the passage is empty, or holds half of a surrogate pair.
        TooLong: the question leaves no room for the passage.
    """
    for name, text in (("question", question), ("passage", context)):
        if not text.strip():
            raise BadRequest(f"The {name} is empty. Extractive question answering needs a question and a passage.")
    asked = tokenizer.encode(question.strip()) + tokenizer.encode(SEPARATOR)
    passage, offsets = tokenizer.encode_with_offsets(context)
    room = window_tokens - len(asked) - 1
    if room < min(SMALLEST_PIECE_TOKENS, len(passage)):
        raise TooLong(
            f"The question has {len(asked):,} tokens with its line break, which leaves {max(0, room):,} of a window's "
            f"{window_tokens:,} for the passage. Shorten the question, or choose larger windows if the model's context "
            "allows."
        )
    return SpanWindows(asked, passage, offsets, pieces(len(passage), room, doc_stride), tokenizer.eos_id)


def pieces(count: int, room: int, overlap: int) -> list[range]:
    """Ranges of at most `room` that cover 0 to count; neighbours share `overlap`, or half of `room` if that is less."""
    step = room - min(overlap, room // 2)
    ranges = []
    for start in range(0, count, step):
        ranges.append(range(start, min(start + room, count)))
        if start + room >= count:
            break
    return ranges


def max_context_piece(token: int, ranges: Sequence[range]) -> range:
    """Of the ranges that hold a token the one that shows most around it; among equals the first.

    More is: the smaller of what stands before and after, plus a hundredth of the whole (the rule of BERT's SQuAD code).
    """
    holding = [piece for piece in ranges if token in piece]
    return max(holding, key=lambda piece: 100 * min(token - piece.start, piece.stop - 1 - token) + len(piece))
