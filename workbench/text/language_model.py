"""A model in words: requests in, texts and likelihoods out. What everything above the engine talks to."""

import secrets
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace

from workbench.engine.engine import Engine
from workbench.engine.jobs import Beams, Decode, Handle, Score, Token
from workbench.engine.jobs import Scored as ScoredTokens
from workbench.errors import BadRequest, TooLong
from workbench.loading.heads import HeadCard, SavedHead
from workbench.text.reading import check_kind, classify, in_order, scored_pair
from workbench.text.requests import (
    Alternative,
    Classified,
    Classify,
    ExtractSpan,
    Generate,
    Generated,
    LogLikelihood,
    RollingLogLikelihood,
    Scored,
    Spans,
    TokenText,
)
from workbench.text.spans import Progress, extract_spans, to_the_end
from workbench.text.streaming import TextStream
from workbench.text.tokenizer import Tokenizer

HEARTBEAT_SECONDS = 0.25
KEPT_TRAININGS = 2
"""Of the head in one folder."""


class LanguageModel:
    """Talks to an engine in words.

    Args:
        engine: serves the model.
        tokenizer: of the same checkpoint.
        name: what a person calls the model.
        own_head: of a checkpoint that is itself a classifier or a span reader; the engine has it under the card's key.
    """

    def __init__(self, engine: Engine, tokenizer: Tokenizer, name: str = "", own_head: HeadCard | None = None):
        self.engine, self.tokenizer, self.name = engine, tokenizer, name
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
        prompt = self._prompt_tokens(request.prompt)
        seed = secrets.randbits(31) if request.seed is None else request.seed
        job = self._decode_job(request, prompt, seed)
        transcript = _Transcript(self.tokenizer, prompt, request, seed, self.context_tokens)
        handle = self.engine.decode(job)
        try:
            yield from self._follow(handle, transcript)
        finally:
            handle.cancel()

    def loglikelihoods(self, requests: Sequence[LogLikelihood], alternatives: int = 0) -> list[Scored]:
        """Each continuation's log-likelihood; equal contexts next to each other are computed once."""
        pairs = [scored_pair(self.tokenizer, request, self.context_tokens) for request in requests]
        groups: list[tuple[tuple[int, ...], list[tuple[int, ...]]]] = []
        for pair in pairs:
            if not groups or groups[-1][0] != pair.context:
                groups.append((pair.context, []))
            groups[-1][1].append(pair.continuation)
        jobs = [Score(context, tuple(tails), alternatives) for context, tails in groups]
        scores = zip(pairs, self._scores(jobs), strict=True)
        return [replace(self._in_words(scored), unseen_tokens=pair.unseen_tokens) for pair, scored in scores]

    def rolling_loglikelihood(self, request: RollingLogLikelihood) -> Scored:
        """The whole text's log-likelihood, in windows of the context that do not overlap.

        The first token is predicted from the end-of-text token, as lm-evaluation-harness does.
        """
        tokens = (self.tokenizer.eos_id, *self.tokenizer.encode(request.text))
        if len(tokens) < 2:
            raise BadRequest("The text is empty: there is nothing to score.")
        size = self.context_tokens
        jobs = []
        for start in range(0, len(tokens) - 1, size):
            window = tokens[start : start + size + 1]
            if len(window) <= size:
                # The last window looks back as far as the context allows, and scores what is new only.
                first = max(0, len(tokens) - 1 - size)
                context, fresh = tokens[first : start + 1], tokens[start + 1 :]
            else:
                context, fresh = window[:1], window[1:]
            jobs.append(Score(context, (fresh,)))
        parts = [token for scored in self._scores(jobs) for token in scored.tokens]
        return self._in_words(ScoredTokens(tuple(parts)))

    def answers(self, requests: Sequence[LogLikelihood | Classify | ExtractSpan]) -> list[Scored | Classified | Spans]:
        """The answer to each request, in their order."""
        scored = iter(self.loglikelihoods([ask for ask in requests if isinstance(ask, LogLikelihood)]))
        classified = iter(self.classify([ask for ask in requests if isinstance(ask, Classify)]))
        given: list[Scored | Classified | Spans] = []
        for ask in requests:
            if isinstance(ask, ExtractSpan):
                given.append(self.extract(ask))
            else:
                given.append(next(scored) if isinstance(ask, LogLikelihood) else next(classified))
        return given

    def classify(self, requests: Sequence[Classify]) -> list[Classified]:
        """What trained heads say of texts, in their order; see `reading.classify`."""
        return classify(self.engine, self.tokenizer, self.heads, requests)

    def extract(self, request: ExtractSpan) -> Spans:
        """Where in the passage the answer stands."""
        return to_the_end(self.extract_steps(request))

    def extract_steps(self, request: ExtractSpan) -> Generator[Progress, None, Spans]:
        """`extract`, yielding (windows done, windows in all) a few times a second; closing it stops the computation."""
        if request.head is not None:
            check_kind(self.heads, request.head, "answer")
        return extract_spans(self.engine, self.tokenizer, request)

    def _prompt_tokens(self, prompt: str) -> tuple[int, ...]:
        """An empty prompt starts from the end-of-text token, as at the start of a document."""
        tokens = tuple(self.tokenizer.encode(prompt)) or (self.tokenizer.eos_id,)
        if len(tokens) >= self.context_tokens:
            excess = len(tokens) - self.context_tokens + 1
            raise TooLong(
                f"The prompt has {len(tokens):,} tokens; the model's context is {self.context_tokens:,}, prompt and "
                f"continuation together. Shorten the prompt by at least {excess:,} tokens."
            )
        return tokens

    def _decode_job(self, request: Generate, prompt: tuple[int, ...], seed: int) -> Decode:
        return Decode(
            prompt=prompt,
            max_new_tokens=request.max_new_tokens,
            min_new_tokens=request.min_new_tokens,
            sampling=request.sampling,
            beams=Beams(request.num_beams, request.length_penalty),
            seed=seed,
            stop_tokens=frozenset({self.tokenizer.eos_id, *self.engine.served.model.config.end_tokens}),
            banned=frozenset(token for text in request.banned for token in self._ban(text)),
            forced=request.forced,
            alternatives=request.alternatives,
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

    def _follow(self, handle: Handle, transcript: "_Transcript") -> Iterator[Generated]:
        yield transcript.snapshot()
        for token in handle.events(HEARTBEAT_SECONDS):
            if token is None:
                transcript.wait()
            else:
                transcript.add(token)
                if transcript.stopped:
                    yield transcript.snapshot("stop_string")
                    return
            yield transcript.snapshot()
        transcript.finish(handle.ended_at)
        yield transcript.snapshot("stop_string" if transcript.stopped else handle.result().finish_reason)

    def _scores(self, jobs: Iterable[Score]) -> Iterator[ScoredTokens]:
        for scored in in_order(self.engine.score, jobs):
            yield from scored

    def _in_words(self, scored: ScoredTokens) -> Scored:
        stream = TextStream(self.tokenizer)
        tokens = tuple(in_words(token, stream.push(token.id), self.tokenizer) for token in scored.tokens)
        return Scored(scored.loglikelihood, scored.is_greedy, tokens)


class _Transcript:
    """A continuation in words as it grows, with its clock: the engine's, so that who reads slowly changes no figure."""

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int], request: Generate, seed: int, context: int):
        self._tokenizer, self._prompt_tokens, self._seed, self._context = tokenizer, len(prompt), seed, context
        self._visible = TextStream(tokenizer, prompt, request.stop)
        self._comes_at_once = request.num_beams > 1
        # The token view shows each token where it came, so its texts are not held back for stop strings.
        self._complete = TextStream(tokenizer, prompt)
        self._text = ""
        self._tokens: list[TokenText] = []
        self._began = time.monotonic()
        self._first: float | None = None
        self._latest = self._now = self._began

    @property
    def stopped(self) -> bool:
        """Whether a stop string came."""
        return self._visible.stopped is not None

    def add(self, token: Token) -> None:
        """One more token."""
        self._latest = token.emitted_at
        self._now = max(self._now, self._latest)
        if self._first is None:
            self._first = self._latest
        self._text += self._visible.push(token.id)
        self._tokens.append(in_words(token, self._complete.push(token.id), self._tokenizer))

    def wait(self) -> None:
        """Time went by without a token."""
        self._now = time.monotonic()

    def finish(self, ended_at: float) -> None:
        """No more tokens since then, in seconds of the monotonic clock: shows what was held back."""
        self._now = max(self._now, ended_at)
        self._text += self._visible.finish()
        rest = self._complete.finish()
        if rest:  # half a character at the end
            self._tokens[-1] = replace(self._tokens[-1], text=self._tokens[-1].text + rest)

    def snapshot(self, finish_reason: str | None = None) -> Generated:
        """The continuation as far as it has come."""
        return Generated(
            text=self._text,
            tokens=list(self._tokens),
            finish_reason=finish_reason,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=len(self._tokens),
            seconds=self._now - self._began,
            time_to_first_token_seconds=None if self._first is None else self._first - self._began,
            tokens_per_second=self._pace(),
            seed=self._seed,
            context_tokens=self._context,
        )

    def _pace(self) -> float | None:
        """Tokens a second of decoding; beam search gives its tokens at the end, so there it counts from the start."""
        counted = len(self._tokens) if self._comes_at_once else len(self._tokens) - 1
        since = self._began if self._comes_at_once else self._first
        if since is None or counted < 1 or self._latest <= since:
            return None
        return counted / (self._latest - since)


def in_words(token: Token, text: str, tokenizer: Tokenizer) -> TokenText:
    """A token with its text and its rivals' texts."""
    rivals = tuple(Alternative(rival, tokenizer.decode([rival]), logprob) for rival, logprob in token.alternatives)
    return TokenText(token.id, text, token.logprob, rivals, token.rank)
