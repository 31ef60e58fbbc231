"""The table that was published with GPT-J: scores of models of its time, none of them measured here."""

from typing import Literal

from workbench.evals.task import Reference

Column = Literal["lambada_perplexity", "lambada_acc", "winogrande", "hellaswag", "piqa"]

_COLUMNS: tuple[Column, ...] = ("lambada_perplexity", "lambada_acc", "winogrande", "hellaswag", "piqa")
_TABLE: dict[str, tuple[float | None, ...]] = {
    "GPT-J-6B":         (3.99, 69.7, 65.3, 66.1, 76.5),
    "GPT-2-1.5B":       (10.63, 51.21, 59.4, 50.9, 70.8),
    "GPT-Neo-1.3B":     (7.50, 57.2, 55.0, 48.9, 71.1),
    "GPT-Neo-2.7B":     (5.63, 62.2, 56.5, 55.8, 73.0),
    "GPT-3-Ada":        (9.95, 51.6, 52.9, 43.4, 70.5),
    "GPT-3-Babbage":    (5.58, 62.4, 59.0, 54.5, 75.5),
    "GPT-3-Curie":      (4.00, 69.3, 65.6, 68.5, 77.9),
    "GPT-3-Davinci":    (3.0, 75.0, 72.0, 78.0, 80.0),
    "Megatron-2.5B":    (None, 61.7, None, None, None),
    "Megatron-8.3B":    (None, 66.5, None, None, None),
    "GPT-3-1.3B":       (5.44, 63.6, 58.7, 54.7, 75.1),
    "GPT-3-2.7B":       (4.60, 67.1, 62.3, 62.8, 75.6),
    "GPT-3-6.7B":       (4.00, 70.3, 64.5, 67.4, 78.0),
    "GPT-3-13B":        (3.56, 72.5, 67.9, 70.9, 78.5),
    "GPT-3-175B":       (3.00, 76.2, 70.2, 78.9, 81.0),
    "Gopher-230B":      (None, 74.5, 70.1, 79.2, 81.8),
    "MT-NLG-530B":      (None, 76.6, 73.0, 80.2, 82.0),
}  # fmt: skip
"""Perplexities as they are, all else in percent."""

_OWN_NUMBERS = frozenset(
    {"Megatron-2.5B", "Megatron-8.3B", "GPT-3-1.3B", "GPT-3-2.7B", "GPT-3-6.7B", "GPT-3-13B", "GPT-3-175B"}
    | {"Gopher-230B", "MT-NLG-530B"}
)
"""Of models whose makers measured them."""

_HARNESS = (
    "Zero-shot, from the table in the README of mesh-transformer-jax (GPT-J's own), measured there with EleutherAI's "
    "lm-evaluation-harness of 2021. Its author chose for each model and task the protocol with the higher score."
)
_MAKERS = (
    "Zero-shot, from the table in the README of mesh-transformer-jax (GPT-J's own), which quotes the number of the "
    "model's makers; their protocol is not told there."
)


def published_scores(column: Column, metric: str, note: str = "") -> tuple[Reference, ...]:
    """One column of the table.

    Args:
        metric: the task's metric that the column stands beside.
        note: what else is known, or not known, of the column's protocol; a sentence.
    """
    scale = 1.0 if column == "lambada_perplexity" else 100.0
    found = []
    for model, row in _TABLE.items():
        value = row[_COLUMNS.index(column)]
        if value is not None:
            protocol = _MAKERS if model in _OWN_NUMBERS else _HARNESS
            found.append(Reference(model, metric, round(value / scale, 6), f"{protocol} {note}".strip()))
    return tuple(found)


def chance(choices: int) -> Reference:
    """What picking one of so many choices at random comes to."""
    return Reference("chance", "acc", 1 / choices, f"One of {choices} choices picked at random.")
