"""Score and Read jobs under way: they are computed alone, so their numbers depend on nobody else."""

import itertools

import torch
from torch import Tensor

from workbench.engine.jobs import Handle, Read, Score, Scored
from workbench.engine.sampling import check_finite, describe
from workbench.engine.served import Prefill, Served
from workbench.errors import BadRequest


class ScoreWork:
    """The context once, then each continuation over a copy of its keys and values.

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
        self._scored: list[Scored] = []
        self.slots = 0
        self.row_count = 0
        self.done = False

    def solo_step(self) -> None:
        """A chunk of the context, or one continuation."""
        if not self._prefill.done:
            hidden = self._prefill.step()
            if self._prefill.done:
                self._after_context = self._served.logits(hidden[-1:])
            return
        self._scored.append(self._score(self._job.continuations[len(self._scored)]))
        if len(self._scored) == len(self._job.continuations):
            self.done = True
            self.handle.finish(self._scored)

    def _score(self, continuation: tuple[int, ...]) -> Scored:
        logits = self._after_context
        if len(continuation) > 1:
            hidden = self._served.hidden(continuation[:-1], self._prefill.cache.copy())
            logits = torch.cat((logits, self._served.logits(hidden)))
        check_finite(logits)
        tokens = (describe(row, token, self._job.alternatives) for row, token in zip(logits, continuation, strict=True))
        return Scored(tuple(tokens))


class ReadWork:
    """Hidden states chunk by chunk, then the head if one is named.

    Raises:
        TooLong: the text exceeds the model's context.
        BadRequest: there is no such head, or an id is beyond the vocabulary.
    """

    def __init__(self, served: Served, job: Read, handle: Handle[Tensor]):
        served.check_tokens(job.tokens)
        served.check_room(len(job.tokens), 0)
        if job.head is not None and job.head not in served.heads:
            known = ", ".join(served.heads) or "none"
            raise BadRequest(f"This model has no head {job.head!r}; loaded heads: {known}.")
        self._served, self._job, self.handle = served, job, handle
        self._prefill = Prefill(served, job.tokens)
        self._hidden: list[Tensor] = []
        self.slots = 0
        self.row_count = 0
        self.done = False

    def solo_step(self) -> None:
        """A chunk of the text; after the last one the head."""
        self._hidden.append(self._prefill.step())
        if self._prefill.done:
            states = torch.cat(self._hidden)  # (T, C)
            if self._job.head is not None:
                states = self._served.heads[self._job.head](states)
            self.done = True
            self.handle.finish(states.float().cpu())
