"""Which pieces of a passage can be an answer, as a tree of tokens that a language model may continue a prompt with."""

import itertools
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from workbench.text.tokenizer import Tokenizer

WORDS = ("word", "wide")
FIRST_LOOK_CHARACTERS = 6
"""Characters a token, at the first look ahead from a start; a longer look follows where that was too short."""


@dataclass
class SpanTree:
    """Spans as branches: equal beginnings are one branch, whichever place of the passage they come from."""

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    """Of each node an earlier one, or -1."""
    places: dict[int, tuple[int, int]] = field(default_factory=dict)
    """For each node that ends a span the characters [start, end) where it first stands."""
    _nodes: dict[tuple[int, int], int] = field(default_factory=dict)
    """The node of a parent and a token."""

    def grow(self, tokens: Sequence[int]) -> list[int]:
        """The nodes of a branch, made where they are missing."""
        branch: list[int] = []
        parent = -1
        for token in tokens:
            node = self._nodes.setdefault((parent, token), len(self.tokens))
            if node == len(self.tokens):
                self.tokens.append(token)
                self.parents.append(parent)
            branch.append(node)
            parent = node
        return branch


def span_tree(tokenizer: Tokenizer, passage: str, first: int, last: int, max_answer_tokens: int) -> SpanTree:
    """All spans within the passage's characters [first, last), each as the tokens of a space and its text.

    A span holds a word, begins where a word begins (with its quote or currency sign, if it has one), and ends where a
    word or its punctuation ends. Its tokens are those that the tokenizer gives it together with what follows, so that
    all spans from one start share a branch.
    """
    starts, ends = boundaries(passage, first, last)
    tree = SpanTree()
    for start in starts:
        _grow_from(tree, tokenizer, passage, start, ends, max_answer_tokens)
    return tree


def boundaries(passage: str, first: int, last: int) -> tuple[list[int], list[int]]:
    """Where spans may start and where they may end, in the passage's characters from `first` to `last`.

    A word is a run of letters, digits and marks; a letter of double width (Chinese, Japanese, Korean) is a word of its
    own. What is neither word nor space is punctuation: a span may end after it, but starts with it only after a space.
    """
    kinds = [_kind(character) for character in passage[max(0, first - 1) : last + 1]]
    before = ["space"] if first == 0 else []
    after = ["space"] if last >= len(passage) else []
    kinds = [*before, *kinds, *after]  # kinds[i] is of the character first - 1 + i
    changes = [one != other or one == "wide" for one, other in itertools.pairwise(kinds)]
    starts = [
        first + i
        for i, changed in enumerate(changes[:-1])
        if changed and (kinds[i + 1] in WORDS or (kinds[i], kinds[i + 1]) == ("space", "punctuation"))
    ]
    ends = [first + i for i, changed in enumerate(changes) if i and changed and kinds[i] != "space"]
    return starts, ends


def _kind(character: str) -> str:
    if character.isspace():
        return "space"
    if unicodedata.category(character)[0] not in "LNM":
        return "punctuation"
    return "wide" if unicodedata.east_asian_width(character) in "WF" else "word"


def _grow_from(
    tree: SpanTree, tokenizer: Tokenizer, passage: str, start: int, ends: list[int], max_answer_tokens: int
) -> None:
    """Adds all spans from one start."""
    word = next((i for i in range(start, ends[-1] if ends else start) if _kind(passage[i]) in WORDS), len(passage))
    later = ends[bisect_right(ends, word) :]
    if not later:
        return
    ids, completed = _look_ahead(tokenizer, passage, start, later, max_answer_tokens)
    lengths = {end: length for length, end in enumerate(completed, 1) if end}
    within = later[: bisect_right(later, max(lengths, default=start))]
    branch = tree.grow(ids[: max((lengths.get(end, 0) for end in within), default=0)])
    for end in within:
        if end in lengths:
            node = branch[lengths[end] - 1]
        else:  # no token ends here (it holds a letter and the dot after it, say), so the span is encoded by itself
            alone = tokenizer.encode(" " + passage[start:end])
            if len(alone) > max_answer_tokens:
                continue
            node = tree.grow(alone)[-1]
        tree.places.setdefault(node, (start, end))


def _look_ahead(
    tokenizer: Tokenizer, passage: str, start: int, ends: list[int], count: int
) -> tuple[list[int], list[int]]:
    """The first `count` tokens of a space and the passage from `start` on, and the character that each one completes.

    A token that leaves a character unfinished completes none: 0.
    """
    look = FIRST_LOOK_CHARACTERS * count
    while True:
        # What is encoded goes to an end, so that no token is cut short.
        stop = ends[min(bisect_right(ends, start + look), len(ends) - 1)]
        ids, offsets = tokenizer.encode_with_offsets(" " + passage[start:stop])
        if len(ids) >= count or stop == ends[-1]:
            break
        look *= 2
    follows = [following for following, _ in offsets[1:]] + [offsets[-1][1]]
    completed = [
        start + end - 1 if 1 < end <= following else 0 for (_, end), following in zip(offsets, follows, strict=True)
    ]
    return ids[:count], completed[:count]
