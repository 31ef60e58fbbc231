"""A model in words: requests in, texts and likelihoods out. What everything above the engine talks to."""

import itertools
import secrets
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from workbench.engine.handle import Handle
from workbench.engine.jobs import Beams, Decode, Decoded, Score, Token
from workbench.engine.jobs import Scored as ScoredTokens
from workbench.engine.serving import Serving
from workbench.errors import BadRequest
from workbench.loading.heads import HeadCard, SavedHead
from workbench.profiles import LOCAL
from workbench.text.allowed import check_allowed
from workbench.text.pairs import PairEncoder, grouped, prompt_tokens, rolling_jobs, scored_in_words
from workbench.text.pending import Later, Pending
from workbench.text.reading import Line, check_kind, classify
from workbench.text.requests import (
    Answer,
    Classified,
    Classify,
    ExtractSpan,
    Generate,
    Generated,
    LogLikelihood,
    Request,
    RollingLogLikelihood,
    Scored,
    Spans,
    TokenText,
)
from workbench.text.spans import Progress, extract_spans, to_the_end
from workbench.text.streaming import text_ends
from workbench.text.tokenizer import Tokenizer
from workbench.text.transcript import Transcript, in_words

HEARTBEAT_SECONDS = 0.25
KEPT_TRAININGS = 2
"""Of the head in one folder."""


class LanguageModel:
    """Talks to an engine in words.

    Args:
        engine: serves the model, here or elsewhere.
        tokenizer: of the same checkpoint.
        name: what a person calls the model.
        own_head: of a checkpoint that is itself a classifier or a span reader; the engine has it under the card's key.
    """

    def __init__(
        self,
        engine: Serving,
        tokenizer: Tokenizer,
        name: str = "",
        own_head: HeadCard | None = None,
    ):
        self.engine, self.tokenizer, self.name = engine, tokenizer, name
        self.limits = LOCAL.requests
        """Of one text; the manager sets its own."""
        self._pairs = PairEncoder(tokenizer, engine.served.context)
        self.heads: dict[str, HeadCard] = {} if own_head is None else {own_head.key: own_head}
        """The heads that share the trunk in memory, by the key that requests call them by."""

    def add_head(self, head: SavedHead) -> None:
        """Puts a head beside the others; it must be of this trunk.

        Of a head that is trained again and again the newest two stay: a long list of requests under way may still ask
        the one before.
        """
        card = head.card
        self.engine.add_head(card.key, head.module, head.adapter)
        self.heads[card.key] = card
        folder = card.key.rpartition("#")[0]
        trainings = [key for key in list(self.heads) if folder and key.rpartition("#")[0] == folder]
        for key in trainings[:-KEPT_TRAININGS]:
            self.heads.pop(key, None)
            self.engine.drop_head(key)

    @property
    def context_tokens(self) -> int:
        """The model's context, n_positions."""
        return self.engine.served.context

    def generate(self, request: Generate) -> Generated:
        """The whole continuation."""
        answer = Generated()
        for snapshot in self.stream(request):
            answer = snapshot
        return answer

    def stream(self, request: Generate) -> Generator[Generated, None, None]:
        """The continuation as it grows: a snapshot a token, the last one with a finish reason.

        While no token comes (a long prompt is read, others go first) the same snapshot comes again a few times a
        second, so that whoever consumes this can be stopped.

        Closing the iterator stops the computation on the engine's next step.
        """
        handle, transcript = self._begin(request)
        try:
            yield from self._follow(handle, transcript)
        finally:
            handle.cancel()

    def loglikelihoods(self, requests: Sequence[LogLikelihood], alternatives: int = 0) -> list[Scored]:
        """Each continuation's log-likelihood; what contexts next to each other have in common is computed once."""
        return self._score(requests, alternatives).result()  # type: ignore[return-value]

    def rolling_loglikelihood(self, request: RollingLogLikelihood) -> Scored:
        """The whole text's log-likelihood, in windows of the context that do not overlap.

        The first token is predicted from the end-of-text token, as lm-evaluation-harness does.
        """
        (scored,) = self._roll([request]).result()
        return scored  # type: ignore[return-value]

    def logit_steps(self, tokens: Sequence[int]) -> Generator[None, None, list[NDArray[np.float32]]]:
        """Whole distributions: the logits (T, V) that each token of a text but the first is predicted from, in parts.

        All of a text are in memory at once: 4 bytes for each of the vocabulary's columns and each token. Yields a few
        times a second until they are there; closing the iterator stops the computation on the engine's next step.

        Raises:
            BadRequest: fewer than two tokens. TooLong: beyond the context, where the last token needs no room.
        """
        handle = self.engine.score(Score(tuple(tokens[:1]), (tuple(tokens[1:]),), logits=True))
        try:
            for _ in handle.events(HEARTBEAT_SECONDS):
                yield
            (scored,) = handle.result()
        finally:
            handle.cancel()
        return [part.numpy() for part in scored.logits]

    def score_steps(self, tokens: Sequence[int], alternatives: int = 0) -> Generator[None, None, tuple[TokenText, ...]]:
        """The model's opinion of each token of a text but the first.

        Yields a few times a second until it is there; closing the iterator stops the computation.

        Raises:
            BadRequest: fewer than two tokens, or an id beyond the vocabulary. TooLong: beyond the context.
        """
        handle = self.engine.score(Score(tuple(tokens[:1]), (tuple(tokens[1:]),), alternatives))
        try:
            for _ in handle.events(HEARTBEAT_SECONDS):
                yield
            (scored,) = handle.result()
        finally:
            handle.cancel()
        return scored_in_words(scored, self.tokenizer).tokens

    def answers(self, requests: Sequence[Request]) -> list[Answer]:
        """The answer to each request, in their order."""
        return self.submit(requests).result()

    def submit(self, requests: Sequence[Request]) -> Pending:
        """The same answers, under way: who asks can ask more meanwhile. Spans are computed when they are waited for.

        Raises:
            BadRequest, TooLong: a request can't be served.
            Busy: too many are waiting already.
        """
        return Pending(
            requests,
            {
                LogLikelihood: self._score,
                RollingLogLikelihood: self._roll,
                Generate: self._write,
                Classify: lambda asked: classify(self.engine, self.tokenizer, self.heads, asked),
                ExtractSpan: lambda asked: Later(lambda: [self.extract(one) for one in asked]),
            },
        )

    def classify(self, requests: Sequence[Classify]) -> list[Classified]:
        """What trained heads say of texts, in their order; see `reading.classify`."""
        return classify(self.engine, self.tokenizer, self.heads, requests).result()  # type: ignore[return-value]

    def extract(self, request: ExtractSpan) -> Spans:
        """Where in the passage the answer stands."""
        return to_the_end(self.extract_steps(request))

    def extract_steps(self, request: ExtractSpan) -> Generator[Progress, None, Spans]:
        """`extract`, yielding (windows done, windows in all) a few times a second; closing it stops the computation."""
        if request.head is not None:
            check_kind(self.heads, request.head, "answer")
        return extract_spans(self.engine, self.tokenizer, request)

    def _begin(self, request: Generate) -> tuple[Handle[Decoded], Transcript]:
        check_allowed(request, self.limits)
        prompt, unseen = prompt_tokens(self.tokenizer, request, self.context_tokens)
        seed = secrets.randbits(31) if request.seed is None else request.seed
        job = self._decode_job(request, prompt, seed)
        transcript = Transcript(self.tokenizer, prompt, request, seed, self.context_tokens, unseen)
        return self.engine.decode(job), transcript

    def _write(self, requests: Sequence[Generate]) -> Later:
        """Continuations under way together, as many as the engine decodes at a time."""
        begun: list[tuple[Handle[Decoded], Transcript]] = []

        def stop() -> None:
            for handle, _ in begun:
                handle.cancel()

        def read() -> list[Answer]:
            return [deque(self._follow(handle, transcript), maxlen=1).pop() for handle, transcript in begun]

        try:
            begun.extend(map(self._begin, requests))
        except BaseException:
            stop()
            raise
        return Later(read, stop)

    def _score(self, requests: Sequence[LogLikelihood], alternatives: int = 0) -> Later:
        groups = grouped([self._pairs.pair(request) for request in requests], alternatives)
        line = Line(self.engine.score, groups.jobs)

        def read() -> list[Answer]:
            scores = (scored for job in line for scored in job)
            both = zip(scores, groups.unseen_tokens, strict=True)
            return [scored_in_words(scored, self.tokenizer, unseen) for scored, unseen in both]

        return Later(read, line.cancel)

    def _roll(self, requests: Sequence[RollingLogLikelihood]) -> Later:
        windows = [rolling_jobs(self.tokenizer, request, self.context_tokens) for request in requests]
        line = Line(self.engine.score, itertools.chain.from_iterable(windows))

        def read() -> list[Answer]:
            scores = iter(line)
            parts = [[token for _ in jobs for token in next(scores)[0].tokens] for jobs in windows]
            return [scored_in_words(ScoredTokens(tuple(tokens)), self.tokenizer) for tokens in parts]

        return Later(read, line.cancel)

    def _decode_job(self, request: Generate, prompt: tuple[int, ...], seed: int) -> Decode:
        return Decode(
            prompt=prompt,
            max_new_tokens=request.max_new_tokens,
            min_new_tokens=request.min_new_tokens,
            sampling=request.sampling,
            beams=Beams(request.num_beams, request.length_penalty),
            seed=seed,
            stop_tokens=frozenset({self.tokenizer.eos_id, *self.engine.served.end_tokens}),
            banned=frozenset(token for text in request.banned for token in self._ban(text)),
            forced=request.forced,
            alternatives=request.alternatives,
            shared=self._pairs.shared(request.shared, prompt),
            lookup=request.lookup,
            ends=text_ends(self.tokenizer, prompt, request.stop),
        )

    def _ban(self, text: str) -> list[int]:
        """The tokens of a banned text, with and without a leading space.

        Raises:
            BadRequest: neither form is a single token, so banning it would ban its parts everywhere.
        """
        single = [tokens[0] for form in (text, " " + text) if len(tokens := self.tokenizer.encode(form)) == 1]
        if not single:
            raise BadRequest(
                f"{text!r} is more than one token, and only single tokens can be banned. Ban a shorter word."
            )
        return single

    def _follow(self, handle: Handle[Decoded], transcript: Transcript) -> Iterator[Generated]:
        yield transcript.snapshot()
        for token in handle.events(HEARTBEAT_SECONDS):
            if token is None:
                transcript.wait()
            else:
                transcript.add(token)
                if transcript.stopped:  # the engine ends here too: what is left to come is its account
                    break
            yield transcript.snapshot()
        decoded = handle.result()
        if not transcript.stopped:
            transcript.finish(handle.ended_at)
        last = transcript.snapshot("stop_string" if transcript.stopped else decoded.finish_reason)
        stop = None if decoded.stop is None else self._stop_in_words(decoded.stop)
        yield replace(last, drafted_tokens=decoded.drafted, accepted_tokens=decoded.accepted, stop=stop)

    def _stop_in_words(self, token: Token) -> TokenText:
        return in_words(token, self.tokenizer.decode([token.id]), self.tokenizer)
