"""Requests as tokens: what is context, what is scored or left out, and what one pass can score together."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import NamedTuple

from workbench.engine.jobs import Score
from workbench.engine.jobs import Scored as ScoredTokens
from workbench.errors import BadRequest, TooLong
from workbench.text.requests import Generate, LogLikelihood, RollingLogLikelihood, Scored
from workbench.text.streaming import TextStream
from workbench.text.tokenizer import Tokenizer
from workbench.text.transcript import in_words

KEPT_TEXTS = 8
"""Contexts whose tokens are remembered: an example's requests have theirs in common, and all examples their shots."""
LEAST_SAVED = 4
"""Tokens that a group must save by one more pair, to be worth its mask."""


class Pair(NamedTuple):
    """A likelihood request in tokens."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]
    unseen_tokens: int
    """Of the context's beginning, left out because the model's context is full."""
    shared: int = 0
    """Of the context's first tokens: those of the text that is shared with other requests."""


class PairEncoder:
    """Encodes likelihood requests.

    Args:
        tokenizer: of the model.
        context_tokens: the model's context.
    """

    def __init__(self, tokenizer: Tokenizer, context_tokens: int):
        self._tokenizer, self._context_tokens = tokenizer, context_tokens
        self._remembered = lru_cache(KEPT_TEXTS)(lambda text: tuple(tokenizer.encode(text)))

    def pair(self, request: LogLikelihood) -> Pair:
        """Context and continuation, encoded together as lm-evaluation-harness does.

        Trailing spaces of the context move to the continuation; over-long pairs lose their left end.

        Raises:
            BadRequest: the continuation is empty. TooLong: it alone exceeds the model's context.
        """
        context, continuation = request.context, request.continuation
        spaces = len(context) - len(context.rstrip())
        if spaces:
            context, continuation = context[:-spaces], context[-spaces:] + continuation
        before = self._encoded(context, request.shared) if request.shared else self._remembered(context)
        together = self._encoded(context + continuation, request.shared)
        head, tail = together[: len(before)], together[len(before) :]
        if not tail:  # one token covers the end of the context and all of the continuation
            head, tail = before, tuple(self._tokenizer.encode(continuation))
        if not tail:
            raise BadRequest("The continuation is empty: there is nothing to score.")
        if len(tail) > self._context_tokens:
            raise TooLong(
                f"The continuation has {len(tail):,} tokens; the model's context is {self._context_tokens:,}."
            )
        head = head or (self._tokenizer.eos_id,)
        kept = head[-(self._context_tokens + 1 - len(tail)) :]
        unseen = len(head) - len(kept)
        return Pair(kept, tail, unseen, 0 if unseen else self.shared(request.shared, head))

    def _encoded(self, text: str, shared: str) -> tuple[int, ...]:
        """The tokens of a text; those of its shared beginning are remembered, where a cut behind it changes none."""
        stem = shared.rstrip()
        if stem and self._tokenizer.cuts_at_spaces and text[len(stem) : len(stem) + 1] in (" ", "\n"):
            return self._remembered(stem) + tuple(self._tokenizer.encode(text[len(stem) :]))
        return tuple(self._tokenizer.encode(text))

    def shared(self, text: str, tokens: tuple[int, ...]) -> int:
        """How many of the tokens are those of a shared beginning, whose last one may melt into what follows."""
        return common(self._remembered(text.rstrip()), tokens) if text else 0


def prompt_tokens(tokenizer: Tokenizer, request: Generate, context_tokens: int) -> tuple[tuple[int, ...], int]:
    """The prompt that is continued, and how many of its tokens are left out, as lm-evaluation-harness truncates.

    An empty prompt starts from the end-of-text token, as at the start of a document.

    Raises:
        TooLong: the prompt has no room; or where it may be cut, max_new_tokens leaves it none.
    """
    ids = tokenizer.encode(request.prompt) if isinstance(request.prompt, str) else request.prompt
    tokens = tuple(ids) or (tokenizer.eos_id,)
    if not request.truncate:
        if len(tokens) >= context_tokens:
            excess = len(tokens) - context_tokens + 1
            raise TooLong(
                f"The prompt has {len(tokens):,} tokens; the model's context is {context_tokens:,}, prompt and "
                f"continuation together. Shorten the prompt by at least {excess:,} tokens."
            )
        return tokens, 0
    room = context_tokens - request.max_new_tokens
    if room < 1:
        raise TooLong(
            f"{request.max_new_tokens:,} new tokens leave no room for a prompt: the model's context is "
            f"{context_tokens:,} tokens. Ask for fewer."
        )
    room = min(room, request.longest_prompt_tokens or room)
    kept = tokens[-room:] if request.truncate == "beginning" else tokens[:room]
    return kept, len(tokens) - len(kept)


def rolling_jobs(tokenizer: Tokenizer, request: RollingLogLikelihood, context_tokens: int) -> list[Score]:
    """A whole text in windows of the context that score every token once, as lm-evaluation-harness does.

    The first token is predicted from the end-of-text token.

    Raises:
        BadRequest: the text is empty.
    """
    tokens = (tokenizer.eos_id, *tokenizer.encode(request.text))
    if len(tokens) < 2:
        raise BadRequest("The text is empty: there is nothing to score.")
    jobs = []
    for start in range(0, len(tokens) - 1, context_tokens):
        window = tokens[start : start + context_tokens + 1]
        if len(window) <= context_tokens:
            # The last window looks back as far as the context allows, and scores what is new only.
            first = max(0, len(tokens) - 1 - context_tokens)
            context, fresh = tokens[first : start + 1], tokens[start + 1 :]
        else:
            context, fresh = window[:1], window[1:]
        jobs.append(Score(context, (fresh,)))
    return jobs


class Groups(NamedTuple):
    """Pairs that are scored together, a job a group."""

    jobs: list[Score]
    unseen_tokens: list[int]
    """Of each pair, in the pairs' order."""


def grouped(pairs: Sequence[Pair], alternatives: int = 0) -> Groups:
    """Neighbouring pairs whose contexts have a long beginning in common as one job.

    What a pair's context has beyond that becomes the first tokens of its continuation, which are not scored.
    """
    groups: list[list[Pair]] = []
    length = 0
    for pair in pairs:
        if groups:
            ours = common(groups[-1][0].context[:length], pair.context)
            # One more pair saves its common tokens, but what the others had in common beyond is computed for each.
            if ours - (len(groups[-1]) - 1) * (length - ours) >= min(LEAST_SAVED, length):
                groups[-1].append(pair)
                length = ours
                continue
        groups.append([pair])
        length = len(pair.context)
    return Groups([_job(group, alternatives) for group in groups], [pair.unseen_tokens for pair in pairs])


def _job(group: list[Pair], alternatives: int) -> Score:
    context = group[0].context
    for pair in group:
        context = context[: common(context, pair.context)]
    own = [pair.context[len(context) :] for pair in group]
    return Score(
        context=context,
        continuations=tuple(rest + pair.continuation for rest, pair in zip(own, group, strict=True)),
        alternatives=alternatives,
        given=tuple(map(len, own)),
        shared=min(len(context), *(pair.shared for pair in group)),
    )


def common(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """How many first tokens two texts have in common."""
    if one == other[: len(one)]:
        return len(one)
    return next(place for place, (a, b) in enumerate(zip_longest(one, other)) if a != b)


def scored_in_words(scored: ScoredTokens, tokenizer: Tokenizer, unseen_tokens: int = 0) -> Scored:
    """A scored continuation with its tokens' texts."""
    stream = TextStream(tokenizer)
    tokens = tuple(in_words(token, stream.push(token.id), tokenizer) for token in scored.tokens)
    return Scored(scored.loglikelihood, scored.is_greedy, tokens, unseen_tokens)
