"""Calibration of label probabilities by what the model says where there is nothing to judge.

A label's probability is that of its whole token sequence, so labels of several tokens are calibrated as well; the
published programs ask for labels of one token.
"""

import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.errors import BadRequest

Vector = NDArray[np.float64]

CONTENT_FREE = ("N/A", "", "[MASK]")
"""Inputs without content, of Zhao et al. 2021, "Calibrate Before Use"."""
DOMAIN_TEXTS = 20
"""Texts of random words, of Fei et al. 2023, "Mitigating Label Biases for In-context Learning"."""


def domain_texts(sample_texts: Sequence[str], seed: int) -> list[str]:
    """Texts that have the sample's words and average length, and no meaning.

    Raises:
        BadRequest: the sample has no words.
    """
    words = [word for text in sample_texts for word in text.split()]
    if not words:
        raise BadRequest("Domain calibration draws words from sample texts, and there are none. Give it some texts.")
    length = max(1, round(len(words) / len(sample_texts)))
    draw = random.Random(seed)
    return [" ".join(draw.choices(words, k=length)) for _ in range(DOMAIN_TEXTS)]


def log_softmax(scores: Vector) -> Vector:
    """Log-probabilities (labels,) from scores."""
    shifted = scores - scores.max()
    logprobs: Vector = shifted - np.log(np.exp(shifted).sum())
    return logprobs


def log_prior(logprobs: Sequence[Vector]) -> Vector:
    """The mean of several probability distributions, as log-probabilities (labels,)."""
    stacked = np.stack(logprobs)
    largest = stacked.max(axis=0)  # very small probabilities are averaged without vanishing
    mean: Vector = largest + np.log(np.exp(stacked - largest).mean(axis=0))
    return log_softmax(mean)


def calibrated(logprobs: Vector, prior: Vector) -> Vector:
    """Probabilities divided by the prior's and normalised, all as logarithms: q = W p with W = diag(prior)^-1."""
    return log_softmax(logprobs - prior)
