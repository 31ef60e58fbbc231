"""From logits to the next token.

The steps and their order are the field's: penalties, bans, temperature, top-k, top-p, min-p, typical-p. A stream draws
from a generator of its own, so its tokens depend on its seed alone.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy
import torch
from torch import Tensor

from workbench.engine.jobs import Sampling, Token
from workbench.errors import BadRequest, NumericalFailure

NEVER = float("-inf")
LARGEST_LOGIT = 1e30
"""Tiny penalties and temperatures may push logits past float32; up to here differences survive."""
COLDEST = 1e-30
"""float32 has no temperature much below."""
SMALL_NUCLEUS = 64
"""How many of the first tokens are put in order before all are."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Keeps PyTorch to one CPU thread: over one row of logits, waking the others takes longer than their help saves."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Sampler:
    """Draws the tokens of one stream.

    Args:
        sampling: the settings.
        prompt: the tokens before the continuation, for the repetition penalty.
        seed: of the stream's own generator.
        known_tokens: ids from here on are columns without a token and never drawn.
        banned: ids never drawn.
        stop_tokens: ids not drawn before `min_new_tokens`.
    """

    def __init__(
        self,
        sampling: Sampling,
        prompt: Sequence[int],
        seed: int,
        known_tokens: int,
        banned: Iterable[int] = (),
        stop_tokens: Iterable[int] = (),
        min_new_tokens: int = 0,
    ):
        self.sampling = sampling
        self._prompt = torch.tensor(sorted(set(prompt)), dtype=torch.long)
        self._generator = torch.Generator().manual_seed(seed)
        self.known_tokens = known_tokens
        self._banned = torch.tensor(sorted(banned), dtype=torch.long)
        # Published configurations of small models name end tokens beyond their vocabulary; those never come.
        reachable = sorted(token for token in stop_tokens if 0 <= token < known_tokens)
        self._stops = torch.tensor(reachable, dtype=torch.long)
        self._min_new_tokens = min_new_tokens

    def adjusted(self, logits: Tensor, continuation: Sequence[int]) -> Tensor:
        """Logits (V,) after penalties and bans; what beam search and the draw both start from."""
        logits = penalised(logits.clone(), self.sampling, self._prompt, continuation)
        logits[self.known_tokens :] = NEVER
        logits[self._banned] = NEVER
        if len(continuation) < self._min_new_tokens:
            logits[self._stops] = NEVER
        return logits

    def choose(self, logits: Tensor, continuation: Sequence[int]) -> int:
        """The next token's id, from (V,) finite logits in float32.

        Raises:
            BadRequest: no token is left to draw.
        """
        logits = self.adjusted(logits, continuation)
        check_choice(logits)
        if self.sampling.greedy:
            return int(logits.numpy().argmax())  # several times as fast as PyTorch's
        return drawn(torch.softmax(filtered(logits, self.sampling), dim=-1), self._generator)


def penalised(logits: Tensor, sampling: Sampling, prompt: Tensor, continuation: Sequence[int]) -> Tensor:
    """Logits (V,) after repetition, presence and frequency penalties; changed in place.

    Args:
        prompt: distinct ids of the prompt, (N,).
    """
    if not sampling.penalises:
        return logits
    counts = Counter(continuation)
    seen = torch.tensor(sorted(counts), dtype=torch.long)
    if sampling.repetition_penalty != 1.0:
        both = torch.cat((prompt, seen)).unique()
        scores = logits[both]
        logits[both] = torch.where(
            scores < 0, scores * sampling.repetition_penalty, scores / sampling.repetition_penalty
        )
    if counts and (sampling.presence_penalty or sampling.frequency_penalty):
        times = torch.tensor([counts[int(token)] for token in seen], dtype=logits.dtype)
        logits[seen] -= sampling.presence_penalty + sampling.frequency_penalty * times
    return logits


def filtered(logits: Tensor, sampling: Sampling) -> Tensor:
    """Logits (V,) divided by the temperature, with the tokens that the filters drop at minus infinity."""
    logits = logits.clamp(max=LARGEST_LOGIT)
    # The largest becomes 0, so that no temperature makes it infinite.
    logits = (logits - logits.max()) / max(sampling.temperature, COLDEST)
    if 0 < sampling.top_k < logits.shape[-1]:
        least = torch.topk(logits, sampling.top_k).values[-1]
        logits = logits.masked_fill(logits < least, NEVER)
    if sampling.top_p < 1.0:
        logits = _keep_top_p(logits, sampling.top_p)
    if sampling.min_p > 0.0:
        probabilities = torch.softmax(logits, dim=-1)
        logits = logits.masked_fill(probabilities < sampling.min_p * probabilities.max(), NEVER)
    if sampling.typical_p < 1.0:
        logits = _keep_typical(logits, sampling.typical_p)
    return logits


def _keep_top_p(logits: Tensor, top_p: float) -> Tensor:
    """Keeps the likeliest tokens, up to and including the one that crosses `top_p` (Holtzman et al., 2020)."""
    probabilities = torch.softmax(logits, dim=-1)
    return _keep(logits, _nucleus(probabilities, probabilities, top_p))


def _keep_typical(logits: Tensor, typical_p: float) -> Tensor:
    """Keeps the tokens whose surprise is nearest the distribution's entropy, until they reach `typical_p`."""
    logprobs = torch.log_softmax(logits, dim=-1)
    probabilities = logprobs.exp()
    entropy = -torch.where(probabilities > 0, logprobs * probabilities, 0.0).sum()
    return _keep(logits, _nucleus(-(-logprobs - entropy).abs(), probabilities, typical_p))


def _nucleus(order: Tensor, probabilities: Tensor, mass: float) -> Tensor:
    """The first tokens by falling `order` (V,), up to and including the one whose probability crosses `mass`."""
    first = order.topk(min(SMALL_NUCLEUS, len(order))).indices
    missing = int((probabilities[first].cumsum(-1) < mass).sum())
    if missing < len(first) or len(first) == len(order):
        return first[: missing + 1]
    everything = torch.from_numpy((-order.numpy()).argsort())  # several times as fast as PyTorch's
    missing = int((probabilities[everything].cumsum(-1) < mass).sum())
    return everything[: missing + 1]


def _keep(logits: Tensor, tokens: Tensor) -> Tensor:
    return torch.full_like(logits, NEVER).index_copy_(0, tokens, logits[tokens])


def drawn(probabilities: Tensor, generator: torch.Generator) -> int:
    """A token drawn from (V,) probabilities, which need not add up to 1, by one number of the generator.

    The first token whose sum with all before it exceeds the number; one of probability 0 never does.
    """
    sums = probabilities.cumsum(-1, dtype=torch.float64)
    # Below 1 by 2^-53 at least, so that the product is below the last sum however it is rounded.
    number = torch.rand(1, generator=generator, dtype=torch.float64)
    return int(torch.searchsorted(sums, number * sums[-1], right=True))


def check_choice(logits: Tensor) -> None:
    """Raises BadRequest if no token is left to draw."""
    if logits.max() == NEVER:
        raise BadRequest("Every token is banned, so none can be drawn. Ban fewer tokens.")


def check_finite(logits: Tensor) -> None:
    """Raises NumericalFailure if a logit is NaN or infinite."""
    # Both ends carry a NaN, and are found much faster than all numbers are looked at.
    if not math.isfinite(logits.amin()) or not math.isfinite(logits.amax()):
        raise NumericalFailure(
            "The model's output is NaN or infinite. The weights may be damaged, or too large for this precision: "
            "try float32 or bfloat16."
        )


def describe_all(
    logits: Tensor, chosen: Sequence[int], alternatives: int, known_tokens: int | None = None
) -> list[Token]:
    """`describe` for many tokens at once: (T, V) raw logits for T tokens, or (1, V) for any number of rivals."""
    picked = torch.tensor(chosen)[:, None]
    everything = torch.log_softmax(logits, dim=-1)
    rows = logits.expand(len(chosen), -1)
    logprobs = everything.expand(len(chosen), -1).gather(1, picked)[:, 0].tolist()
    # As float32, whose sum is several times as fast as one over booleans, and exact.
    likelier = torch.gt(rows, rows.gather(1, picked), out=torch.empty(rows.shape))
    ranks = (1 + likelier.sum(-1)).tolist()
    best: list[tuple[tuple[int, float], ...]] = [()] * len(chosen)
    if alternatives:
        known = everything[:, :known_tokens]
        top = torch.topk(known, min(alternatives, known.shape[1]))
        told = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        each = [tuple(zip(tokens, values, strict=True)) for tokens, values in told]
        best = each * (len(chosen) // len(each))
    return [
        Token(token, logprob, int(rank), rivals)
        for token, logprob, rank, rivals in zip(chosen, logprobs, ranks, best, strict=True)
    ]


def describe(logits: Tensor, chosen: int, alternatives: int, known_tokens: int | None = None) -> Token:
    """The model's own opinion of a token: (V,) raw logits in float32 -> its log-probability, rank and rivals.

    Args:
        known_tokens: ids from here on are no rivals; None: all are.
    """
    logprobs = torch.log_softmax(logits, dim=-1)
    rank = 1 + int(numpy.count_nonzero(logits.numpy() > logits[chosen].item()))
    best: tuple[tuple[int, float], ...] = ()
    if alternatives:
        tokens = logprobs[:known_tokens]
        top = torch.topk(tokens, min(alternatives, len(tokens)))
        best = tuple(zip(top.indices.tolist(), top.values.tolist(), strict=True))
    return Token(chosen, logprobs[chosen].item(), rank, best)
