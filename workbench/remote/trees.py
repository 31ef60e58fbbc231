"""A tree of continuations, scored by one request a branch."""

import heapq
import math
from collections.abc import Awaitable, Callable, Sequence

from workbench.engine.branches import Grown, Tree, log_sum
from workbench.remote.errands import together

NEVER = -math.inf
WAVE = 8
"""Branches whose ends are asked about together."""

Logprobs = Callable[[Sequence[int]], Awaitable[Sequence[float]]]
"""The log-probability of each of some tokens after the tree's context."""


async def grown(job: Tree, logprobs: Logprobs) -> Grown:
    """The tree's answer.

    Each branch to a leaf is one request, which its beginnings share. How likely a branch ends is asked where the job
    needs it: of all that may end, or of the likeliest first until none that is left can be among the best. That is
    exact, because no end makes a branch likelier.
    """
    branches = [_branch(job, node) for node in range(len(job.tokens))]
    reached = await _reached(job, branches, logprobs)
    closing: list[tuple[float, ...]] = [(NEVER,) * len(job.closing)] * (len(job.tokens) + 1)

    async def close(node: int) -> None:
        before = [job.tokens[one] for one in branches[node]]
        closing[node + 1] = tuple(await together(_last(logprobs, [*before, token]) for token in job.closing))

    ends = range(len(job.tokens)) if job.ends is None else job.ends
    order = sorted(ends, key=lambda node: (-reached[node], node)) if job.closing else []
    await together(map(close, sorted(job.always) if job.closing else []))
    best: list[float] = []
    while order:
        wave, order = order[:WAVE], order[WAVE:]
        await together(close(node) for node in wave if node not in job.always)
        best += [reached[node] + log_sum(closing[node + 1]) for node in wave]
        known = heapq.nlargest(job.best, best)
        if job.best and len(known) == job.best and (not order or reached[order[0]] <= known[-1]):
            break
    return Grown(tuple(reached), tuple(closing))


async def _reached(job: Tree, branches: Sequence[Sequence[int]], logprobs: Logprobs) -> list[float]:
    """Each branch's log-probability, its node's token included."""
    inner, found = set(job.parents), [NEVER] * len(job.tokens)

    async def ask(leaf: int) -> None:
        told = await logprobs([job.tokens[node] for node in branches[leaf]])
        so_far = 0.0
        for node, logprob in zip(branches[leaf], told, strict=True):
            so_far += logprob
            if found[node] == NEVER:
                found[node] = so_far

    await together(ask(node) for node in range(len(job.tokens)) if node not in inner)
    return found


async def _last(logprobs: Logprobs, tokens: Sequence[int]) -> float:
    return (await logprobs(tokens))[-1]


def _branch(job: Tree, node: int) -> list[int]:
    """The node and its ancestors, the oldest first."""
    branch = []
    while node >= 0:
        branch.append(node)
        node = job.parents[node]
    return branch[::-1]
