"""What a language model can be asked in words, and what it answers."""

from dataclasses import dataclass, field

from workbench.errors import BadRequest

LARGEST_PROMPT_CHARACTERS = 1_000_000
"""A cap before tokenizing, which costs about a second a million characters."""
MOST_STOPS = 16
LARGEST_STOP_CHARACTERS = 200


@dataclass(frozen=True)
class LogLikelihood:
    """How likely is this continuation of this context?"""

    context: str
    """Empty: the continuation is scored from the end-of-text token."""
    continuation: str


@dataclass(frozen=True)
class RollingLogLikelihood:
    """How likely is this whole text, every token of it predicted once?"""

    text: str


@dataclass(frozen=True)
class Alternative:
    """A token that could have been chosen."""

    id: int
    text: str
    logprob: float


@dataclass(frozen=True)
class TokenText:
    """A token in words, with the model's own opinion of it."""

    id: int
    text: str
    """The text that became complete with this token; empty for half a character."""
    logprob: float
    alternatives: tuple[Alternative, ...] = ()
    rank: int = 1
    """1 for the likeliest token."""


@dataclass(frozen=True)
class Scored:
    """The answer to a likelihood request."""

    loglikelihood: float
    """Natural log, summed over the tokens."""
    is_greedy: bool
    """Whether each token was the likeliest."""
    tokens: tuple[TokenText, ...] = ()


@dataclass(frozen=True)
class Generated:
    """A continuation as far as it has come."""

    text: str = ""
    """Without the stop string that ended it."""
    tokens: list[TokenText] = field(default_factory=list)
    finish_reason: str | None = None
    """"stop" (the model ended the text), "stop_string", "length", or None while it runs."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    time_to_first_token_seconds: float | None = None
    tokens_per_second: float | None = None
    """Of decoding: tokens after the first, over the time since the first; None before the second."""
    seed: int = 0
    context_tokens: int = 0
    """The model's context, n_positions."""


def check_text(name: str, text: object, longest: int = LARGEST_PROMPT_CHARACTERS) -> None:
    """Raises BadRequest unless `text` is a text of at most so many characters."""
    if not isinstance(text, str):
        raise BadRequest(f"{name} must be a text; got {type(text).__name__}.")
    if len(text) > longest:
        raise BadRequest(f"{name} has {len(text):,} characters; at most {longest:,} are taken.")
