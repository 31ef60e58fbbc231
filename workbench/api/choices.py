"""One text of a completion: written by the model, in the parts that OpenAI's clients read."""

import math
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from workbench.api.asked import Ask, Prompt
from workbench.text.language_model import LanguageModel
from workbench.text.requests import Generate, Generated, TokenText
from workbench.text.streaming import TextStream

ENDS = {"stop": "stop", "stop_string": "stop", "length": "length"}
"""Our reasons for a text's end, in OpenAI's words."""


@dataclass(frozen=True)
class Part:
    """What came of a choice since the part before."""

    index: int
    text: str = ""
    tokens: tuple[TokenText, ...] = ()
    """Those that the text is made of; of an echoed prompt the first one has no log-probability (NaN)."""
    finish_reason: str | None = None
    """In OpenAI's words; None while more is to come."""
    prompt_tokens: int = 0
    completion_tokens: int = 0


def written(model: LanguageModel, ask: Ask, index: int) -> Generator[Part | None, None, None]:
    """A choice: in parts as it grows where a stream is asked for, else as one part at its end.

    None says that time went by. Closing it stops the computation.
    """
    prompt = ask.prompts[index // ask.n]
    before = Part(index)
    if ask.echo:
        before = yield from _echoed(model, ask, prompt, before)
    if ask.max_tokens == 0:
        yield replace(before, finish_reason="length")
        return
    growing = _Growing()
    with closing(model.stream(_request(ask, prompt, index))) as stream:
        for snapshot in stream:
            if not ask.stream and snapshot.finish_reason is None:
                yield None
                continue
            text, tokens = growing.fresh(snapshot)
            yield Part(
                index,
                before.text + text,
                before.tokens + tokens,
                snapshot.finish_reason and ENDS[snapshot.finish_reason],
                snapshot.prompt_tokens,
                snapshot.completion_tokens + (snapshot.stop is not None),
            )
            before = Part(index)


def choice_of(part: Part, ask: Ask, offset: int = 0) -> dict[str, Any]:
    """A part as a choice of the answer; `offset` is where its first token begins, in characters of the whole text."""
    told = None if ask.logprobs is None else _logprobs(part.tokens, offset, ask.as_ids)
    return {"text": part.text, "index": part.index, "logprobs": told, "finish_reason": part.finish_reason}


class _Growing:
    """Which characters and tokens of a text have been given out."""

    def __init__(self) -> None:
        self._characters, self._tokens, self._reach = 0, 0, 0

    def fresh(self, snapshot: Generated) -> tuple[str, tuple[TokenText, ...]]:
        """What is new: the text, and the tokens that stand in it whole.

        At the end also the one that begins there, and the token by which the model ended it. What may be the beginning
        of a stop string is held back until it is none, and half a character until it is whole.
        """
        text = snapshot.text[self._characters :]
        self._characters = len(snapshot.text)
        over = snapshot.finish_reason is not None
        fresh = []
        for token in snapshot.tokens[self._tokens :]:
            end = self._reach + len(token.text)
            stands = token.text and end <= self._characters
            if not stands and not (over and self._in_text(snapshot)):
                break
            fresh.append(token)
            self._reach = end
        self._tokens += len(fresh)
        return text, (*fresh, *([snapshot.stop] if snapshot.stop is not None else []))

    def _in_text(self, snapshot: Generated) -> bool:
        """Whether the next token begins in the text that is over; without a stop string all of them do."""
        return snapshot.finish_reason != "stop_string" or self._reach < self._characters


def _request(ask: Ask, prompt: Prompt, index: int) -> Generate:
    return Generate(
        prompt=prompt,
        max_new_tokens=ask.max_tokens,
        sampling=ask.sampling,
        # The n texts of one prompt differ; asked again with the same seed they come again.
        seed=None if ask.seed is None else (ask.seed + index % ask.n) % 2**63,
        stop=ask.stop,
        alternatives=ask.logprobs or 0,
    )


def _echoed(model: LanguageModel, ask: Ask, prompt: Prompt, empty: Part) -> Generator[None, None, Part]:
    """The prompt's text and, with log-probabilities, its tokens: nothing predicts the first."""
    ids = model.tokenizer.encode(prompt) if isinstance(prompt, str) else list(prompt)
    if not ids:
        return empty
    first = TokenText(ids[0], "", float("nan"), (), 0)
    rest: Sequence[TokenText] = ()
    if ask.logprobs is not None and len(ids) > 1:
        rest = yield from model.score_steps(ids, ask.logprobs)
    stream = TextStream(model.tokenizer)
    texts = [stream.push(token) for token in ids]
    if ask.max_tokens == 0:  # otherwise half a character at its end goes on in what is written
        texts[-1] += stream.finish()
    tokens = tuple(replace(token, text=text) for token, text in zip((first, *rest), texts, strict=False))
    return replace(empty, text="".join(texts), tokens=tokens, prompt_tokens=len(ids))


def _logprobs(tokens: Sequence[TokenText], offset: int, as_ids: bool) -> dict[str, Any]:
    """OpenAI's four lists."""
    names: list[str] = []
    values: list[float | None] = []
    tops: list[dict[str, float] | None] = []
    offsets: list[int] = []
    for token in tokens:
        unpredicted = not math.isfinite(token.logprob)
        names.append(_by_id(token.id) if as_ids else token.text)
        values.append(None if unpredicted else token.logprob)
        tops.append(None if unpredicted else _top_ids(token) if as_ids else _top(token))
        offsets.append(offset)
        offset += len(token.text)
    return {"tokens": names, "token_logprobs": values, "top_logprobs": tops, "text_offset": offsets}


def _top(token: TokenText) -> dict[str, float]:
    """The rivals and the token itself by their texts; a text that stands for several has the likeliest's number."""
    top: dict[str, float] = {}
    for rival in token.alternatives:
        top.setdefault(token.text if rival.id == token.id else rival.text, rival.logprob)
    top.setdefault(token.text, token.logprob)
    return top


def _top_ids(token: TokenText) -> dict[str, float]:
    """The rivals and the token itself by their numbers."""
    return {_by_id(one.id): one.logprob for one in token.alternatives} | {_by_id(token.id): token.logprob}


def _by_id(token: int) -> str:
    """A token by its number, as vLLM writes it."""
    return f"token_id:{token}"
