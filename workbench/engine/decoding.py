"""Decode jobs under way: a prompt, then a token a step, sampled or by beam search."""

from collections.abc import Iterable
from typing import NamedTuple

from torch import Tensor

from workbench.engine.beams import BeamSearch
from workbench.engine.handle import Handle
from workbench.engine.jobs import Decode, Decoded, Token
from workbench.engine.lookup import Lookup
from workbench.engine.sampling import Sampler, check_finite, describe, one_thread
from workbench.engine.served import Following, Prefill, Served
from workbench.gptj.cache import KVCache


class Ended(NamedTuple):
    """How a continuation came to its end."""

    reason: str
    stop: Token | None = None
    """The stop token that came."""


class DecodeWork:
    """One stream, each token drawn from the stream's own generator.

    A step may compute guesses of the tokens to come. The draws are made in order, up to the first token that was not
    guessed; what was computed after it is forgotten. So the tokens are those of a stream without guesses.

    Raises:
        TooLong: prompt and forced tokens exceed the context.
        BadRequest: an id beyond the vocabulary, or a forced one without a token.
    """

    def __init__(self, served: Served, job: Decode, handle: Handle[Decoded]):
        self._served, self._job, self.handle = served, job, handle
        self._limit = room_to_decode(served, job)
        self._prefill = Prefill(served, job.prompt, self._limit, job.shared)
        self._sampler = sampler_of(served, job)
        self._tokens: list[Token] = []
        self._ids: list[int] = []
        self._lookup: Lookup | None = None
        self._drafts: tuple[int, ...] = ()
        """The guesses that the step under way computes."""
        self.slots = 1
        self.apart, self.exclusive = False, False
        self.done = False

    @property
    def row_count(self) -> int:
        """1 once the prompt is in the cache."""
        return 1 if self._prefill.done else 0

    @property
    def written(self) -> int:
        """Tokens so far."""
        return len(self._ids)

    @property
    def accepted(self) -> int:
        """Guesses that came true so far."""
        return 0 if self._lookup is None else self._lookup.accepted

    def solo_step(self) -> None:
        """A chunk of the prompt; after the last one the first token is chosen."""
        hidden = self._prefill.step()
        if self._prefill.done:
            if self._job.lookup:
                self._lookup = Lookup(self._job.prompt)
            self.advance(self._served.logits(hidden[-1:]))

    def rows(self, spare: int = 0) -> list[Following]:
        """The newest token over the stream's cache, and behind it at most so many guesses of the next."""
        spare = min(spare, self._limit - len(self._ids) - 1)
        if self._lookup is not None and spare > 0:
            forced = self._job.forced[len(self._ids) :][:spare]  # what must come needs no guess
            self._drafts = forced or self._lookup.draft(spare)
        return [((self._ids[-1], *self._drafts), self._prefill.cache)]

    @one_thread()
    def advance(self, logits: Tensor) -> None:
        """Chooses tokens from (1 + guesses, V), as many as were guessed rightly and one more; may end with any."""
        began, drafts, accepted = len(self._ids), self._drafts, 0
        self._drafts = ()
        ended = None
        for row, draft in zip(logits, (*drafts, None), strict=True):
            ended = self._choose(row)
            stopped = ended is not None and ended.stop is not None
            came = not stopped and self._ids[-1] == draft
            accepted += came
            if ended is not None or not came:
                break
        if self._lookup is not None and drafts and began >= len(self._job.forced):
            self._lookup.judge(len(drafts), accepted)
        if ended is not None:
            self._finish(ended)
        else:  # the newest token is not in the cache yet
            self._prefill.cache.trim(len(self._job.prompt) + len(self._ids) - 1)

    def _choose(self, row: Tensor) -> Ended | None:
        """The next token from (V,); gives how the continuation ended, if it did."""
        check_finite(row)
        index, forced = len(self._ids), self._job.forced
        # Forced tokens draw too: whoever forces what was written before goes on as it went on.
        chosen = self._sampler.choose(row, self._ids)
        if index < len(forced):
            chosen = forced[index]
        token = describe(row, chosen, self._job.alternatives, self._served.known_tokens)
        if chosen in self._job.stop_tokens and index >= len(forced):
            return Ended("stop", token)
        self._ids.append(chosen)
        self._tokens.append(token)
        if self._lookup is not None:
            self._lookup.add(chosen)
        self.handle.emit(token)
        if self._job.ends is not None and self._job.ends(chosen):
            return Ended("ended")
        return Ended("length") if len(self._ids) == self._limit else None

    def _finish(self, ended: Ended) -> None:
        self.done = True
        drafted = 0 if self._lookup is None else self._lookup.drafted
        stop_token = None if ended.stop is None else ended.stop.id
        told = Decoded(tuple(self._tokens), ended.reason, stop_token, drafted, self.accepted, ended.stop)
        self.handle.finish(told)


class BeamWork:
    """Beam search: a row and a cache for each running beam; the tokens come at the end.

    Raises:
        TooLong: the prompt fills the context.
        BadRequest: an id beyond the vocabulary.
    """

    def __init__(self, served: Served, job: Decode, handle: Handle[Decoded]):
        self._served, self.handle = served, handle
        limit = room_to_decode(served, job)
        self._prefill = Prefill(served, job.prompt, limit, job.shared)
        self._search = BeamSearch(job.beams, sampler_of(served, job), job.stop_tokens, limit, job.alternatives)
        self._caches: list[KVCache] = []
        self.slots = job.beams.count
        self.apart, self.exclusive = False, False
        self.done = False

    @property
    def row_count(self) -> int:
        """One a running beam, once the prompt is in the cache."""
        return len(self._caches)

    def solo_step(self) -> None:
        """A chunk of the prompt; the last one's logits start the beams."""
        hidden = self._prefill.step()
        if self._prefill.done:
            self._caches = [self._prefill.cache]
            self.advance(self._served.logits(hidden[-1:]))

    def rows(self, spare: int = 0) -> list[Following]:
        """Each beam's newest token over its cache; beams guess nothing."""
        return [((token,), cache) for token, cache in zip(self._search.newest(), self._caches, strict=True)]

    def advance(self, logits: Tensor) -> None:
        """Takes (beams, V), keeps the best continuations and gives each its own cache."""
        check_finite(logits)
        parents = self._search.advance(logits)
        if self._search.done:
            self._finish()
            return
        taken: set[int] = set()
        caches = []
        for parent in parents:  # the first child goes on in the parent's cache, its siblings copy it
            cache = self._caches[parent]
            caches.append(cache.copy() if parent in taken else cache)
            taken.add(parent)
        self._caches = caches

    def _finish(self) -> None:
        self.done = True
        best = self._search.best()
        for token in best.tokens:
            self.handle.emit(token)
        reason = "length" if best.stop_token is None else "stop"
        self.handle.finish(Decoded(best.tokens, reason, best.stop_token))


def totals(streams: Iterable[DecodeWork]) -> tuple[int, int]:
    """Tokens written so far, and guesses that came true."""
    both = [(work.written, work.accepted) for work in streams]
    return sum(written for written, _ in both), sum(accepted for _, accepted in both)


def room_to_decode(served: Served, job: Decode) -> int:
    """The most tokens the job can add: `max_new_tokens`, or what the context leaves."""
    served.check_tokens((*job.prompt, *job.forced, *job.banned))
    served.check_known(job.forced)
    served.check_room(len(job.prompt), max(1, len(job.forced)))
    return min(job.max_new_tokens, served.context - len(job.prompt))


def sampler_of(served: Served, job: Decode) -> Sampler:
    """The sampler a decode job asks for."""
    return Sampler(
        job.sampling, job.prompt, job.seed, served.known_tokens, job.banned, job.stop_tokens, job.min_new_tokens
    )
