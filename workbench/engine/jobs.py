"""What the engine can be asked, and what it answers."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from workbench.engine.branches import Grown, Tree
from workbench.errors import BadRequest

if TYPE_CHECKING:  # requests are made where no torch is: what they cost must be milliseconds
    from torch import Tensor

LARGEST_SEED = 2**63 - 1
MOST_ALTERNATIVES, MOST_BEAMS = 100, 16


def check_number(name: str, value: object, low: float, high: float, above: bool = False) -> None:
    """Raises BadRequest unless the value is a finite number from low to high (above low, if `above`)."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not low <= value <= high or (above and value == low):  # type: ignore[operator]
        bounds = f"above {low:g} and at most {high:g}" if above else f"from {low:g} to {high:g}"
        raise BadRequest(f"{name} must be a number {bounds}; got {value!r}.")


def check_whole(name: str, value: object, low: int, high: int) -> None:
    """Raises BadRequest unless the value is a whole number from low to high."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadRequest(f"{name} must be a whole number from {low} to {high}; got {value!r}.")


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn from the model's distribution; each default leaves it as it is.

    Raises:
        BadRequest: a value out of its range; the message names the field.
    """

    temperature: float = 1.0
    """Divides the logits; 0 takes the likeliest token (greedy)."""
    top_k: int = 0
    """Keep the k likeliest tokens; 0 keeps all."""
    top_p: float = 1.0
    """Keep the likeliest tokens that together reach this probability."""
    min_p: float = 0.0
    """Keep tokens at least this fraction as likely as the likeliest."""
    typical_p: float = 1.0
    """Keep the tokens closest to the expected surprise that together reach this probability (Meister et al., 2023)."""
    repetition_penalty: float = 1.0
    """Divides positive and multiplies negative logits of tokens in prompt or continuation (Keskar et al., 2019)."""
    presence_penalty: float = 0.0
    """Subtracted from the logits of tokens already in the continuation."""
    frequency_penalty: float = 0.0
    """Subtracted once for each time a token is in the continuation."""

    def __post_init__(self) -> None:
        check_number("temperature", self.temperature, 0, 100)
        check_whole("top_k", self.top_k, 0, 2**31)
        check_number("top_p", self.top_p, 0, 1, above=True)
        check_number("min_p", self.min_p, 0, 1)
        check_number("typical_p", self.typical_p, 0, 1, above=True)
        check_number("repetition_penalty", self.repetition_penalty, 0, 100, above=True)
        check_number("presence_penalty", self.presence_penalty, -2, 2)
        check_number("frequency_penalty", self.frequency_penalty, -2, 2)

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is always taken."""
        return self.temperature == 0

    @property
    def penalises(self) -> bool:
        """Whether a penalty changes any logit."""
        return self.repetition_penalty != 1 or self.presence_penalty != 0 or self.frequency_penalty != 0


@dataclass(frozen=True)
class Beams:
    """Beam search: the continuation of the highest score among `count` kept side by side.

    A finished continuation's score is its log-probability divided by length ** length_penalty.
    """

    count: int = 1
    """1 means no beam search."""
    length_penalty: float = 1.0
    early_stopping: bool = False
    """Stop as soon as `count` continuations are finished, instead of when no running one can beat them."""

    def __post_init__(self) -> None:
        check_whole("num_beams", self.count, 1, MOST_BEAMS)
        check_number("length_penalty", self.length_penalty, -10, 10)
        if not isinstance(self.early_stopping, bool):
            raise BadRequest(f"early_stopping must be true or false; got {self.early_stopping!r}.")


@dataclass(frozen=True)
class Decode:
    """Continue a prompt. Streams `Token`s; the result is `Decoded`.

    Raises:
        BadRequest: an empty prompt, or a value out of its range.
    """

    prompt: tuple[int, ...]
    max_new_tokens: int
    min_new_tokens: int = 0
    """No stop token before so many tokens."""
    sampling: Sampling = Sampling()
    beams: Beams = Beams()
    seed: int = 0
    """Of this stream's own random generator."""
    stop_tokens: frozenset[int] = frozenset()
    """A token that ends the continuation; it is not part of it."""
    banned: frozenset[int] = frozenset()
    """Tokens never chosen."""
    forced: tuple[int, ...] = ()
    """What the continuation must begin with: chosen in place of the sampler's own choice."""
    alternatives: int = 0
    """How many of the likeliest tokens to report beside each chosen one."""
    shared: int = 0
    """Of the prompt's first tokens: their keys and values are kept for the next that begins so."""
    ends: Callable[[int], bool] | None = field(default=None, compare=False, repr=False)
    """Asked about each chosen token, once, in order: whether the continuation ends with it. Not for beams."""
    lookup: bool = True
    """Guess what comes next from what the text already holds, and compute the guesses in the same step: the tokens are
    those of plain decoding, several a step where they repeat the text. Not for beams."""

    def __post_init__(self) -> None:
        check_whole("shared", self.shared, 0, len(self.prompt))
        if not self.prompt:
            raise BadRequest("The prompt is empty: give the model at least one token to continue.")
        check_whole("max_new_tokens", self.max_new_tokens, 1, 2**20)
        check_whole("min_new_tokens", self.min_new_tokens, 0, self.max_new_tokens)
        check_whole("seed", self.seed, 0, LARGEST_SEED)
        check_whole("alternatives", self.alternatives, 0, MOST_ALTERNATIVES)
        if len(self.forced) > self.max_new_tokens:
            raise BadRequest(f"{len(self.forced)} tokens are forced, more than max_new_tokens={self.max_new_tokens}.")
        if self.beams.count > 1 and (not self.sampling.greedy or self.forced):
            raise BadRequest(
                "Beam search takes temperature 0 and no forced tokens: set num_beams to 1 to sample or branch."
            )


@dataclass(frozen=True)
class Score:
    """Log-likelihoods of several continuations of one context. The result is a list of `Scored`, one a continuation."""

    context: tuple[int, ...]
    continuations: tuple[tuple[int, ...], ...]
    alternatives: int = 0
    given: tuple[int, ...] = ()
    """How many of each continuation's first tokens are context that it has for itself: they are not scored."""
    shared: int = 0
    """Of the context's first tokens: their keys and values are kept for the next job that begins so."""
    logits: bool = False
    """Whether the whole distributions are wanted too; of one continuation alone."""

    def __post_init__(self) -> None:
        check_whole("shared", self.shared, 0, len(self.context))
        check_whole("alternatives", self.alternatives, 0, MOST_ALTERNATIVES)
        if self.logits and (len(self.continuations) != 1 or any(self.given)):
            raise BadRequest("Whole distributions are given for one continuation alone. Ask for one at a time.")
        if not self.context:
            raise BadRequest("The context is empty: start it with the end-of-text token.")
        if not self.continuations or not all(self.continuations):
            raise BadRequest("Each continuation to score needs at least one token, and there must be one.")
        each = zip(self.given, self.continuations, strict=False)
        if self.given and (len(self.given) != len(self.continuations) or any(not 0 <= n < len(c) for n, c in each)):
            raise BadRequest("given must say for each continuation how many of its tokens are not scored; not all.")


@dataclass(frozen=True)
class Read:
    """Hidden states of a text, or a head's output on them. The result is a float32 tensor (T, C), or the head's."""

    tokens: tuple[int, ...]
    head: str | None = None
    """A name in the engine's heads; None gives the states after the last LayerNorm."""
    last_only: bool = False
    """Only the last token's row, (1, C) or the head's."""

    def __post_init__(self) -> None:
        if not self.tokens:
            raise BadRequest("There is no token to read.")


@dataclass(frozen=True)
class Token:
    """A token with the model's own opinion of it, before any sampling setting."""

    id: int
    logprob: float
    """Natural log of its probability among all columns of the output."""
    rank: int
    """1 for the likeliest token."""
    alternatives: tuple[tuple[int, float], ...] = ()
    """The likeliest (id, logprob), best first; columns without a token are left out."""
    emitted_at: float = field(default=0.0, compare=False, repr=False)
    """When the engine handed it out, on time.monotonic's clock in seconds; 0.0: not yet."""


@dataclass(frozen=True)
class Decoded:
    """A finished continuation."""

    tokens: tuple[Token, ...]
    finish_reason: str
    """"stop" (a stop token came), "ended" (`ends` said so) or "length" (max_new_tokens, or the context's end)."""
    stop_token: int | None = None
    """The stop token that came; not among the tokens."""
    drafted: int = field(default=0, compare=False)
    """Guesses that were computed; see `Decode.lookup`."""
    accepted: int = field(default=0, compare=False)
    """Of the tokens, those that were guessed."""
    stop: Token | None = field(default=None, compare=False)
    """The stop token with the model's opinion of it; beam search does not tell it."""


@dataclass(frozen=True)
class Scored:
    """One scored continuation."""

    tokens: tuple[Token, ...]
    logits: tuple["Tensor", ...] = field(default=(), compare=False, repr=False)
    """Where the job asked for them: what each token was predicted from, (T, V) in all, float32, in parts."""

    @property
    def loglikelihood(self) -> float:
        """Sum of the tokens' log-probabilities."""
        return math.fsum(token.logprob for token in self.tokens)

    @property
    def is_greedy(self) -> bool:
        """Whether each token was the likeliest."""
        return all(token.rank == 1 for token in self.tokens)


Job = Decode | Score | Read | Tree
Result = TypeVar("Result", Decoded, list[Scored], "Tensor", Grown)
