"""A tree of continuations to score at once: the job, and its answer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.errors import BadRequest


@dataclass(frozen=True)
class Tree:
    """Log-likelihoods of all branches of a tree of continuations of one context. The result is `Grown`.

    Continuations that begin alike share their first nodes, and are computed once.

    Raises:
        BadRequest: an empty context, or a node that names no earlier one as its parent.
    """

    context: tuple[int, ...]
    tokens: tuple[int, ...]
    """One a node; a node stands for the branch that ends in it."""
    parents: tuple[int, ...]
    """Of each node the index of an earlier one, or -1 for the context."""
    closing: tuple[int, ...] = ()
    """Tokens of which one may follow a finished branch: their log-probability is asked for too."""
    ends: frozenset[int] | None = None
    """Nodes whose branch may be finished; None: all."""
    best: int = 0
    """Compute only what is needed to know so many of the likeliest finished branches; 0 computes all.

    A finished branch is as likely as its tokens and, after them, any one of the closing tokens.
    """
    always: frozenset[int] = frozenset()
    """Nodes whose branch is computed even if it is not among the likeliest."""

    def __post_init__(self) -> None:
        if not self.context:
            raise BadRequest("The context is empty: start it with the end-of-text token.")
        if len(self.tokens) != len(self.parents):
            raise BadRequest(f"A tree of {len(self.tokens)} tokens names {len(self.parents)} parents.")
        for node, parent in enumerate(self.parents):
            if not -1 <= parent < node:
                raise BadRequest(f"Node {node} of a tree has the parent {parent}; it must be an earlier node, or -1.")
        for node in (*(self.ends or ()), *self.always):
            if not 0 <= node < len(self.tokens):
                raise BadRequest(f"A tree of {len(self.tokens)} nodes has no node {node}.")
        if self.best < 0 or (self.best and not self.closing):
            raise BadRequest("The likeliest finished branches can be asked for only where closing tokens are named.")


@dataclass(frozen=True)
class Grown:
    """A scored tree. What was not computed is minus infinity."""

    logprobs: tuple[float, ...]
    """Natural log of each branch's probability, its node's token included."""
    closing: tuple[tuple[float, ...], ...]
    """After the context (row 0) and after each branch (row node + 1): each closing token's log-probability there."""

    def finished(self, node: int) -> float:
        """Natural log of the probability that a branch comes, and after it one of the closing tokens."""
        return self.logprobs[node] + log_sum(self.closing[node + 1])


def log_sum(logprobs: Sequence[float]) -> float:
    """Natural log of the probability that one of several exclusive things happens; none: minus infinity."""
    highest = max(logprobs, default=-math.inf)
    if highest == -math.inf:
        return highest
    return highest + math.log(math.fsum(math.exp(logprob - highest) for logprob in logprobs))
