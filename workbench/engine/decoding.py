"""Decode jobs under way: a prompt, then a token a step, sampled or by beam search."""

from torch import Tensor

from workbench.engine.beams import BeamSearch
from workbench.engine.jobs import Decode, Decoded, Handle, Token
from workbench.engine.sampling import Sampler, check_finite, describe
from workbench.engine.served import Prefill, Served
from workbench.gptj.cache import KVCache


class DecodeWork:
    """One stream, each token drawn from the stream's own generator.

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
        self.slots = 1
        self.apart, self.exclusive = False, False
        self.done = False

    @property
    def row_count(self) -> int:
        """1 once the prompt is in the cache."""
        return 1 if self._prefill.done else 0

    def solo_step(self) -> None:
        """A chunk of the prompt; after the last one the first token is chosen."""
        hidden = self._prefill.step()
        if self._prefill.done:
            self.advance(self._served.logits(hidden[-1:]))

    def rows(self) -> list[tuple[int, KVCache]]:
        """The newest token, over the stream's cache."""
        return [(self._ids[-1], self._prefill.cache)]

    def advance(self, logits: Tensor) -> None:
        """Chooses the next token from (1, V); ends at a stop token or at the limit."""
        row = logits[0]
        check_finite(row)
        index, forced = len(self._ids), self._job.forced
        # Forced tokens draw too: whoever forces what was written before goes on as it went on.
        chosen = self._sampler.choose(row, self._ids)
        if index < len(forced):
            chosen = forced[index]
        if chosen in self._job.stop_tokens and index >= len(forced):
            self._finish("stop", chosen)
            return
        token = describe(row, chosen, self._job.alternatives, self._served.known_tokens)
        self._ids.append(chosen)
        self._tokens.append(token)
        self.handle.emit(token)
        if self._job.ends is not None and self._job.ends(chosen):
            self._finish("ended", None)
        elif len(self._ids) == self._limit:
            self._finish("length", None)

    def _finish(self, reason: str, stop_token: int | None) -> None:
        self.done = True
        self.handle.finish(Decoded(tuple(self._tokens), reason, stop_token))


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

    def rows(self) -> list[tuple[int, KVCache]]:
        """Each beam's newest token over its cache."""
        return list(zip(self._search.newest(), self._caches, strict=True))

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
