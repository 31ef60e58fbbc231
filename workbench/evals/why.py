"""Which pieces of a text carried a prediction: leave one out, ask again, and see what changes."""

import math
import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from workbench.evals.asking import Answerer, Method, ask_one
from workbench.evals.methods.labels import ClassPrediction, TextExample


@dataclass(frozen=True)
class Contribution:
    """What a piece of the text did for the prediction."""

    start: int
    """In characters of the text."""
    end: int
    text: str
    delta: float
    """The evidence of the whole text minus that without this piece: above 0 it spoke for the prediction."""


def leave_one_out(
    model: Answerer,
    method: Method[TextExample, ClassPrediction],
    example: TextExample,
    pieces: Sequence[tuple[int, int]],
    label: str | None = None,
) -> Generator[Contribution, None, None]:
    """Each piece's contribution in the text's order, as it is computed; the whole text is asked about first.

    Args:
        pieces: [start, end) of each in characters, a tokenizer's for instance. Those that overlap count as one; one
            that leaves nothing behind is passed over.
        label: whose evidence is watched; None for the likeliest one. Of no effect where the method gives a number.

    Raises:
        BadRequest: the text can't be asked about.
    """
    whole = ask_one(model, method, example)
    watched = whole.label if label is None else label
    before = evidence(whole, watched)
    for start, end in _apart(pieces):
        rest = example.text[:start] + example.text[end:]
        if rest.strip():
            without = ask_one(model, method, replace(example, text=rest))
            yield Contribution(start, end, example.text[start:end], before - evidence(without, watched))


def evidence(prediction: ClassPrediction, label: str | None) -> float:
    """How much speaks for a label: its log-probability, or its logit where a text may have several; or the number."""
    if prediction.number is not None:
        return prediction.number
    if label is None:
        raise ValueError("The prediction has neither a number nor a label to give reasons for.")
    if prediction.labels is not None:
        return prediction.logits[label]
    return math.log(max(prediction.scores[label], sys.float_info.min))


def _apart(pieces: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The pieces in order, those that overlap joined: tokens that share a character can't be left out one by one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(piece for piece in pieces if piece[0] < piece[1]):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
