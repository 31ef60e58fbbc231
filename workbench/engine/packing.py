"""Which tokens of a Score job go through the model together: the context once, and all continuations beside each other.

A pass holds the end of the context and as many continuations as a chunk takes. Each continuation sees the context and
itself alone, at the positions it would have if it were the only one. The plan depends on the job's lengths alone.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

CONTEXT = -1


class Piece(NamedTuple):
    """Tokens [first, last) of the context or of a continuation."""

    branch: int
    """A continuation's index; CONTEXT for the context."""
    first: int
    last: int


class Pass(NamedTuple):
    """What one forward pass computes."""

    past: int
    """Tokens in the cache that the pass goes on from; later ones are forgotten first."""
    pieces: list[Piece]

    @property
    def tokens(self) -> int:
        """Fed by the pass."""
        return sum(piece.last - piece.first for piece in self.pieces)


def planned(shared: int, context: int, branches: Sequence[int], chunk: int, room: int) -> Iterator[Pass]:
    """The passes of a job.

    Args:
        shared: tokens of the context that are in the cache already; fewer than the context's.
        context: tokens of the context.
        branches: tokens of each continuation that are fed; 0 for those of one token, which is only predicted.
        chunk: most tokens of a pass.
        room: most tokens that a pass and its past may have together; each branch fits after the context.
    """
    first = shared
    while context - first > chunk:
        yield Pass(first, [Piece(CONTEXT, first, first + chunk)])
        first += chunk
    past, pieces = first, [Piece(CONTEXT, first, context)]
    free = min(chunk, room - first) - (context - first)
    for branch, length in enumerate(branches):
        fed = 0
        alone = min(chunk, room - context)
        others = any(piece.branch != CONTEXT for piece in pieces)
        if length > free and pieces and (length <= alone or others):
            yield Pass(past, pieces)
            past, pieces, free = context, [], alone
        while length - fed > free:  # longer than a chunk: nobody else is in its passes
            if free:
                pieces.append(Piece(branch, fed, fed + free))
            yield Pass(past, pieces)
            fed += free
            past, pieces, free = context + fed, [], min(chunk, room - context - fed)
        if length > fed:
            pieces.append(Piece(branch, fed, length))
            free -= length - fed
        if fed:
            yield Pass(past, pieces)
            past, pieces, free = context, [], alone
    if pieces:
        yield Pass(past, pieces)


def visible(step: Pass, context: int) -> Tensor | None:
    """Which columns of the cache each token of a pass may look at, (1, 1, T, S) boolean; None: all before it.

    Args:
        context: tokens of the context.
    """
    if len(step.pieces) == 1 or (len(step.pieces) == 2 and step.pieces[0].branch == CONTEXT):
        return None
    mask = torch.zeros(step.tokens, step.past + step.tokens, dtype=torch.bool)
    row = 0
    for piece in step.pieces:
        length = piece.last - piece.first
        rows = mask[row : row + length]
        before = step.past if piece.branch == CONTEXT else context
        rows[:, :before] = True
        rows[:, step.past + row : step.past + row + length] = torch.ones(length, length, dtype=torch.bool).tril()
        row += length
    return mask[None, None]
