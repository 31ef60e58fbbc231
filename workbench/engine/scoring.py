"""Score and Read jobs under way: they are computed alone, so their numbers depend on nobody else."""

import itertools
from contextlib import nullcontext

import torch
from torch import Tensor

from workbench.engine.jobs import Handle, Read, Score, Scored, Token
from workbench.engine.sampling import check_finite, describe
from workbench.engine.served import Prefill, Served
from workbench.errors import BadRequest


class ScoreWork:
    """The context once, then each continuation over its keys and values, which forget it again for the next.

    Raises:
        TooLong: the context and the longest continuation exceed the model's context.
        BadRequest: an id beyond the vocabulary.
    """

    def __init__(self, served: Served, job: Score, handle: Handle[list[Scored]]):
        served.check_tokens(itertools.chain(job.context, *job.continuations))
        # The last token of a continuation is predicted, never fed.
        served.check_room(len(job.context), max(map(len, job.continuations)) - 1)
        self._served, self._job, self.handle = served, job, handle
        self._prefill = Prefill(served, job.context)
        self._after_context = torch.empty(0)
        """Logits of the first token of every continuation, (1, V)."""
        self._feed: Prefill | None = None
        """The continuation under way; None before its first step."""
        self._tokens: list[Token] = []
        """Those of the continuation under way that are scored."""
        self._scored: list[Scored] = []
        self.slots = 0
        self.row_count = 0
        self.done = False

    def solo_step(self) -> None:
        """A chunk of the context, or a chunk of a continuation."""
        if not self._prefill.done:
            hidden = self._prefill.step()
            if self._prefill.done:
                self._after_context = self._served.logits(hidden[-1:])
            return
        continuation = self._job.continuations[len(self._scored)]
        if self._feed is None:
            # A single token is predicted and never fed.
            cache = self._prefill.cache if len(continuation) > 1 else None
            self._feed = Prefill(self._served, continuation[:-1], cache)
            self._describe(self._after_context, continuation)
        if not self._feed.done:
            self._describe(self._served.logits(self._feed.step()), continuation)
        if self._feed.done:
            self._scored.append(Scored(tuple(self._tokens)))
            self._feed, self._tokens = None, []
            self._prefill.cache.trim(len(self._job.context))  # the next one goes on from the context again
        if len(self._scored) == len(self._job.continuations):
            self.done = True
            self.handle.finish(self._scored)

    def _describe(self, logits: Tensor, continuation: tuple[int, ...]) -> None:
        """Scores the next tokens of a continuation by what the model expected before each, (T, V)."""
        check_finite(logits)
        for row, token in zip(logits, continuation[len(self._tokens) :], strict=False):
            self._tokens.append(describe(row, token, self._job.alternatives, self._served.known_tokens))


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
        self._prefill = Prefill(served, job.tokens)
        self._hidden: list[Tensor] = []
        self.slots = 0
        self.row_count = 0
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
