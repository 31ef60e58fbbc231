"""Score and Read jobs under way: they are computed alone, so their numbers depend on nobody else."""

import itertools
from collections.abc import Iterator
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

from workbench.engine.handle import Handle
from workbench.engine.jobs import Read, Score, Scored, Token
from workbench.engine.packing import CONTEXT, Pass, planned, visible
from workbench.engine.prefix import Prefix
from workbench.engine.sampling import check_finite, describe_all
from workbench.engine.served import Prefill, Served
from workbench.errors import BadRequest
from workbench.gptj.cache import KVCache

LOGIT_ROWS = 128
"""Rows of logits at a time: a row has as many columns as the vocabulary has tokens."""


class Target(NamedTuple):
    """A token to score."""

    row: int
    """Of the pass: the token before it."""
    branch: int
    token: int


class ScoreWork:
    """The context once and all continuations beside each other, in as few passes as the chunk size allows.

    Raises:
        TooLong: the context and the longest continuation exceed the model's context.
        BadRequest: an id beyond the vocabulary.
    """

    def __init__(self, served: Served, job: Score, handle: Handle[list[Scored]]):
        served.check_tokens(itertools.chain(job.context, *job.continuations))
        # The last token of a continuation is predicted, never fed.
        served.check_room(len(job.context), max(map(len, job.continuations)) - 1)
        self._served, self._job, self.handle = served, job, handle
        self._given = job.given or (0,) * len(job.continuations)
        shared = served.shared_tokens(job.shared, len(job.context))
        fed = [len(tokens) - 1 for tokens in job.continuations]
        self._passes = list(planned(shared, len(job.context), fed, served.chunk_tokens, served.context))
        self._prefix: Prefix | None = served.prefix(job.context[:shared]) if shared else None
        self._cache: KVCache | None = None
        self._next = 0
        self._tokens: list[list[Token]] = [[] for _ in job.continuations]
        self._logits: list[Tensor] = []
        """Those of a job that asks for them."""
        self.slots = 0
        self.row_count = 0
        self.apart, self.exclusive = True, False
        self.done = False

    def solo_step(self) -> None:
        """A chunk of the shared beginning, or a pass."""
        if self._prefix is not None and not self._prefix.done:
            self._prefix.step(self._served.hidden)
            return
        step = self._passes[self._next]
        self._next += 1
        self._score(step, self._feed(step))
        if self._next == len(self._passes):
            self.done = True
            self.handle.finish([Scored(tuple(tokens), tuple(self._logits)) for tokens in self._tokens])

    def _feed(self, step: Pass) -> Tensor:
        """States of a pass, (T, C)."""
        if self._cache is None and (self._prefix is not None or len(self._passes) > 1):
            self._cache = self._prefix.lend(self.handle) if self._prefix is not None else self._fresh_cache()
        if self._cache is not None:
            self._cache.trim(step.past)
        before = len(self._job.context)
        tokens: list[int] = []
        positions: list[int] = []
        for branch, first, last in step.pieces:
            tokens += (self._job.context if branch == CONTEXT else self._job.continuations[branch])[first:last]
            offset = 0 if branch == CONTEXT else before
            positions += range(offset + first, offset + last)
        return self._served.states(tokens, positions, visible(step, before), self._cache)

    def _fresh_cache(self) -> KVCache:
        longest = max(step.past + step.tokens for step in self._passes)
        return KVCache(self._served.model.config.n_layer, capacity=longest)

    def _score(self, step: Pass, hidden: Tensor) -> None:
        """Scores the tokens that a pass is the last to be needed for, from its states (T, C)."""
        firsts, others = self._targets(step)
        # One row serves all first tokens; it stands before the others', so that a short job is one matrix product.
        rows = [target.row for target in firsts[:1]] + [target.row for target in others]
        for start in range(0, len(rows), LOGIT_ROWS):
            logits = self._served.logits(hidden[rows[start : start + LOGIT_ROWS]])
            check_finite(logits)
            if self._job.logits:
                self._logits.append(logits)
            if start == 0 and firsts:
                for group in range(0, len(firsts), LOGIT_ROWS):
                    self._take(firsts[group : group + LOGIT_ROWS], logits[:1])
                logits = logits[1:]
            self._take(others[: len(logits)], logits)
            others = others[len(logits) :]

    def _take(self, targets: list[Target], logits: Tensor) -> None:
        """Describes targets from logits, one row for each or one for all of them."""
        if not targets:
            return
        chosen = [target.token for target in targets]
        described = describe_all(logits, chosen, self._job.alternatives, self._served.known_tokens)
        for target, token in zip(targets, described, strict=True):
            self._tokens[target.branch].append(token)

    def _targets(self, step: Pass) -> tuple[list[Target], list[Target]]:
        """What is predicted after the context's last token, and what after each continuation's own tokens."""
        firsts: list[Target] = []
        others: list[Target] = []
        row = 0
        for piece in step.pieces:
            if piece.branch != CONTEXT:
                others += self._inside(piece.branch, range(piece.first, piece.last), row)
            elif piece.last == len(self._job.context):
                end = row + piece.last - piece.first - 1
                tails = enumerate(zip(self._job.continuations, self._given, strict=True))
                firsts = [Target(end, branch, tokens[0]) for branch, (tokens, given) in tails if not given]
            row += piece.last - piece.first
        return firsts, others

    def _inside(self, branch: int, fed: range, row: int) -> Iterator[Target]:
        """Of a continuation's fed tokens, those after which one is scored; the first stands in a row of the pass."""
        continuation = self._job.continuations[branch]
        for place in fed:
            if place + 1 >= self._given[branch]:
                yield Target(row + place - fed.start, branch, continuation[place + 1])


class ReadWork:
    """Hidden states chunk by chunk, then the head if one is named.

    Raises:
        TooLong: the text exceeds the model's context.
        BadRequest: there is no such head, or an id is beyond the vocabulary.
    """

    def __init__(self, served: Served, job: Read, handle: Handle[Tensor]):
        served.check_tokens(job.tokens)
        served.check_room(len(job.tokens), 0)
        self._head = None if job.head is None else served.heads.get(job.head)
        if job.head is not None and self._head is None:
            raise BadRequest(
                f"This model has no head {job.head!r} in memory. Choose the head again: the model may have been loaded "
                "anew since."
            )
        self._served, self._job, self.handle = served, job, handle
        self._prefill = Prefill(served, job.tokens, fresh=True)
        self._hidden: list[Tensor] = []
        self.slots = 0
        self.row_count = 0
        # While an adapter is attached, the trunk is this job's alone.
        self.exclusive = self._head is not None and self._head.adapter is not None
        self.apart = not self.exclusive
        self.done = False

    def solo_step(self) -> None:
        """A chunk of the text, the trunk as the head knows it; after the last one the head."""
        with self._head.attached(self._served.model) if self._head is not None else nullcontext():
            hidden = self._prefill.step()
        self._hidden.append(hidden[-1:] if self._job.last_only else hidden)
        if self._prefill.done:
            states = self._hidden[-1] if self._job.last_only else torch.cat(self._hidden)  # (T, C)
            output = states if self._head is None else self._head.read(states)
            output = output.float().cpu()
            check_finite(output)
            self.done = True
            self.handle.finish(output)
