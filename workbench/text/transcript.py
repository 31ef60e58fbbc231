"""A continuation in words, from its tokens as they come."""

import time
from collections.abc import Sequence
from dataclasses import replace

from workbench.engine.jobs import Token
from workbench.text.requests import Alternative, Generate, Generated, TokenText
from workbench.text.streaming import TextStream
from workbench.text.tokenizer import Tokenizer


class Transcript:
    """A continuation in words as it grows, with its clock: the engine's, so that who reads slowly changes no figure."""

    def __init__(
        self, tokenizer: Tokenizer, prompt: Sequence[int], request: Generate, seed: int, context: int, unseen: int = 0
    ):
        self._tokenizer, self._prompt_tokens, self._seed, self._context = tokenizer, len(prompt), seed, context
        self._unseen = unseen
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
            unseen_tokens=self._unseen,
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
