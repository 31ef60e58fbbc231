"""How far the predictions of one precision are from another's, in figures with intervals.

The same checkpoint computes, in each precision, the distribution of the next token after every token of the same texts.
The Kullback-Leibler divergence KL(reference || other) of two such distributions is what the other loses, in nats, where
the reference is right; see Kullback and Leibler (1951). Tokens of one text are no independent draws, so the intervals
resample whole texts, or whole stretches of a text.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.evals.metrics.estimates import bootstrap_stderr, interval
from workbench.evals.metrics.metric import Estimate, Metric, Values
from workbench.evals.metrics.statistics import mean, ratio
from workbench.evals.prediction import Prediction
from workbench.json_values import json_value

Rows = NDArray[np.floating]
"""Logits (T, V)."""
RESAMPLES = 10_000
FEWEST_RESAMPLED = 10
"""Texts; where there are fewer, stretches of them are resampled, and where those are fewer too there is no interval."""
STRETCH_TOKENS = 32
"""The most of a stretch; texts with few tokens are cut into shorter ones."""
WIDEST_FIRST = ("float32", "bfloat16", "float16", "int8", "nf4", "int4")
KL = Metric("kl", ("kl", "tokens"), ratio, higher_is_better=False, stderr="bootstrap", is_share=False)
SAME_BEST = Metric("same_best", ("same", "tokens"), ratio, stderr="bootstrap")
FLIPPED = Metric("flipped", ("flipped",), mean, higher_is_better=False)
_ROWS_AT_ONCE = 32
"""In float64 beside each other: few enough for a processor's cache."""


@dataclass(frozen=True)
class Divergence:
    """How far one precision's predictions after the tokens of a text are from the reference's."""

    kl: Values
    """KL(reference || other) after each token, (T,), in nats."""
    same_best: NDArray[np.bool_]
    """Whether both hold the same next token for the likeliest, (T,)."""


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval."""

    value: float
    stderr: float | None
    """None: there is too little to resample."""
    low: float | None
    high: float | None
    n: int
    """Tokens or rows that it is of."""


@dataclass(frozen=True)
class Flip:
    """A row of which two precisions say something else."""

    id: str
    prompt: str
    gold: object
    reference: object
    """The reference's answer."""
    other: object
    became: str
    """"right", "wrong", or empty where it was wrong before and after, or nothing tells."""


def divergence(reference: Rows, computed: Rows) -> Divergence:
    """How far logits (T, V) are from a reference's, computed in float64."""
    kl, same = np.empty(len(reference)), np.empty(len(reference), dtype=np.bool_)
    for start in range(0, len(reference), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        log_p, log_q = log_probabilities(reference[rows]), log_probabilities(computed[rows])
        # Never below 0 but for the last digit of a sum.
        kl[rows] = np.maximum((np.exp(log_p) * (log_p - log_q)).sum(axis=-1), 0.0)
        same[rows] = log_p.argmax(axis=-1) == log_q.argmax(axis=-1)
    return Divergence(kl, same)


def log_probabilities(logits: Rows) -> Values:
    """(T, V) -> (T, V): the natural logarithm of the softmax, in float64."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted


def joined(parts: Sequence[Divergence]) -> Divergence:
    """One text's divergence from those of its pieces, in order."""
    empty = Divergence(np.empty(0), np.empty(0, dtype=np.bool_))
    all_parts = [empty, *parts]
    return Divergence(
        np.concatenate([part.kl for part in all_parts]), np.concatenate([part.same_best for part in all_parts])
    )


def kl_figure(texts: Sequence[Divergence]) -> Figure | None:
    """Mean KL of a token, over all texts; None without a token."""
    return _of_clusters(KL, [one.kl for one in texts])


def same_best_figure(texts: Sequence[Divergence]) -> Figure | None:
    """Share of tokens after which both hold the same one for the likeliest; None without a token."""
    return _of_clusters(SAME_BEST, [one.same_best for one in texts])


def flipped_figure(reference: Sequence[Prediction], other: Sequence[Prediction]) -> Figure | None:
    """Share of rows with another answer than the reference's; None where no row has an answer."""
    told = [float(changed) for _, _, changed in _answered(reference, other)]
    if not told:
        return None
    sample = np.array(told)[:, None]
    stderr = float(sample.std(ddof=1)) / len(told) ** 0.5 if len(told) > 1 else None
    return _figure(FLIPPED, Estimate(float(sample.mean()), stderr, len(told)))


def flips(reference: Sequence[Prediction], other: Sequence[Prediction], headline: str) -> list[Flip]:
    """The rows with another answer than the reference's, in the data's order.

    Args:
        headline: the column of the scores that tells right (1) from wrong (0).
    """
    return [
        Flip(mine.id, mine.prompt, mine.gold, told.answer, mine.answer, _became(told, mine, headline))
        for told, mine, changed in _answered(reference, other)
        if changed
    ]


def first_parting(a: Sequence[int], b: Sequence[int]) -> int | None:
    """The place of the first token in which two texts differ; None where they are the same to the end of both."""
    for place, (one, other) in enumerate(zip(a, b, strict=False)):
        if one != other:
            return place
    return None if len(a) == len(b) else min(len(a), len(b))


def widest_first(names: Iterable[str]) -> list[str]:
    """The precisions, each once; the first is the one that the others are measured against."""
    order = {name: place for place, name in enumerate(WIDEST_FIRST)}
    return sorted(dict.fromkeys(names), key=lambda name: order.get(name, len(order)))


def stretch_tokens(lengths: Sequence[int]) -> int:
    """Tokens of the stretches that an interval resamples, of texts so long; 0: whole texts are resampled."""
    if sum(length > 0 for length in lengths) >= FEWEST_RESAMPLED:
        return 0
    return max(1, min(STRETCH_TOKENS, sum(lengths) // FEWEST_RESAMPLED))


def _of_clusters(metric: Metric, texts: Sequence[Values] | Sequence[NDArray[np.bool_]]) -> Figure | None:
    size = stretch_tokens([len(text) for text in texts])
    pieces = [
        text[start : start + step]
        for text in texts
        if (step := size or len(text))
        for start in range(0, len(text), step)
    ]
    if not pieces:
        return None
    sample = np.array([[piece.sum(), len(piece)] for piece in pieces], dtype=np.float64)
    stderr = bootstrap_stderr(metric.statistic, sample, RESAMPLES) if len(sample) >= FEWEST_RESAMPLED else None
    return _figure(metric, Estimate(float(metric.statistic(sample)), stderr, int(sample[:, 1].sum())))


def _figure(metric: Metric, found: Estimate) -> Figure:
    low, high = interval(metric, found) or (None, None)
    return Figure(found.value, found.stderr, low, high, found.n)


def _answered(
    reference: Sequence[Prediction], other: Sequence[Prediction]
) -> list[tuple[Prediction, Prediction, bool]]:
    """The rows that both were asked and one at least answered, and whether the answers differ."""
    told = {one.id: one for one in reference}
    pairs = [(told[one.id], one) for one in other if one.id in told]
    return [(a, b, _written(a.answer) != _written(b.answer)) for a, b in pairs if (a.answer, b.answer) != (None, None)]


def _became(before: Prediction, after: Prediction, headline: str) -> str:
    was, now = (one.scores.get(headline) == 1.0 for one in (before, after))
    return "" if was is now else "right" if now else "wrong"


def _written(answer: object) -> str:
    """Answers are compared as they are recorded."""
    return json.dumps(json_value(answer), sort_keys=True)
