"""What a server's answers say, read without trust: anything else than a completion is told as such."""

import math
import re
from dataclasses import dataclass
from typing import Any

from workbench.errors import RemoteFailure

TOKEN_ID = re.compile(r"token_id:(\d{1,9})")
"""How a server that was asked to writes a token."""
SHOWN_CHARACTERS = 300
MOST_TOLD = 1_000
"""Of the likeliest tokens beside one."""


@dataclass(frozen=True)
class Told:
    """A token in the server's words."""

    text: str
    logprob: float
    """NaN where the server gives none, as for a text's first token."""
    top: tuple[tuple[str, float], ...] = ()
    """The likeliest tokens there, best first."""

    @property
    def id(self) -> int | None:
        """Its number, where the server tells numbers."""
        return told_id(self.text)


@dataclass(frozen=True)
class Piece:
    """What one document brings of the one text that was asked for."""

    text: str
    tokens: tuple[Told, ...] | None
    """None: the server tells no tokens."""
    finish_reason: str | None
    prompt_tokens: int | None
    """By the usage, where there is one."""


def told_id(text: str) -> int | None:
    """The number that a token is written as."""
    found = TOKEN_ID.fullmatch(text)
    return None if found is None else int(found[1])


def piece_of(document: Any) -> Piece:
    """What a document brings.

    Raises:
        RemoteFailure: it is an error, or no completion.
    """
    if not isinstance(document, dict):
        raise nonsense(f"a {type(document).__name__} in place of a JSON object")
    if document.get("error"):
        raise RemoteFailure(f"The server broke off: {error_text(document)}")
    choices = document.get("choices")
    if not isinstance(choices, list) or len(choices) > 1 or not all(isinstance(choice, dict) for choice in choices):
        raise nonsense("an answer without its one choice")
    usage = document.get("usage")
    read = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    prompt_tokens = read if isinstance(read, int) and not isinstance(read, bool) else None
    if not choices:
        return Piece("", (), None, prompt_tokens)
    text, reason = choices[0].get("text"), choices[0].get("finish_reason")
    if not isinstance(text, str) or not isinstance(reason, str | None):
        raise nonsense("a choice without a text")
    return Piece(text, _tokens(choices[0].get("logprobs")), reason or None, prompt_tokens)


def error_text(document: Any) -> str:
    """The message in an error's document, of whichever server."""
    found = document
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and found.get(name):
            found = found[name]
    text = " ".join(str(found).split())
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."


def nonsense(what: str) -> RemoteFailure:
    """The error for an answer that is none."""
    return RemoteFailure(
        f"The server sent {what}. It does not speak OpenAI's completions, or something stands between: check its "
        "address and its log."
    )


def _tokens(logprobs: Any) -> tuple[Told, ...] | None:
    """The tokens of a choice's `logprobs`, in OpenAI's form of parallel lists."""
    if logprobs is None:
        return None
    if not isinstance(logprobs, dict):
        raise nonsense("log-probabilities in an unknown form")
    texts, values, tops = (logprobs.get(name) or [] for name in ("tokens", "token_logprobs", "top_logprobs"))
    tops = tops or [None] * len(texts) if isinstance(texts, list) else tops
    lists = (texts, values, tops)
    if not all(isinstance(one, list) and len(one) == len(texts) for one in lists):
        raise nonsense("tokens and log-probabilities of different numbers")
    return tuple(map(_told, texts, values, tops))


def _told(text: Any, value: Any, top: Any) -> Told:
    if not isinstance(text, str) or not isinstance(top, dict | None) or len(top or ()) > MOST_TOLD:
        raise nonsense("a token that is no text")
    rivals = sorted(((name, _logprob(rival)) for name, rival in (top or {}).items()), key=lambda rival: -rival[1])
    return Told(text, _logprob(value), tuple(rivals))


def _logprob(value: Any) -> float:
    """NaN for a missing one.

    Raises:
        RemoteFailure: it is no logarithm of a probability.
    """
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float) or not value <= 1e-3:
        raise nonsense(f"the log-probability {str(value)[:20]}")
    return float(value)
