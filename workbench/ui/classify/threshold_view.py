"""A threshold on one class's probability: precision, recall and F1 at each, without asking the model again."""

from collections.abc import Sequence
from html import escape

import numpy as np

from workbench.evals.methods.labels import ClassPrediction
from workbench.evals.metrics.classification import threshold_sweep
from workbench.ui.charts.charts import chart, dot, line, upright
from workbench.ui.classify.class_view import figures_row

_STEPS = 101
_LINES = ("precision", "recall", "f1")


def sweepable(predictions: Sequence[ClassPrediction]) -> list[str]:
    """The classes that a threshold can be drawn for: those of predictions with right answers; the rarest first."""
    judged = _judged(predictions)
    if not judged:
        return []
    counts = dict.fromkeys(judged[0].scores, 0)
    for one in judged:
        for label in _right(one):
            if label in counts:
                counts[label] += 1
    return sorted((label for label in counts if counts[label]), key=lambda label: counts[label])


def best_threshold(predictions: Sequence[ClassPrediction], label: str) -> float:
    """The threshold with the best F1 for a class, on the slider's scale."""
    sweep = threshold_sweep(*_flags(_judged(predictions), label), np.linspace(0, 1, _STEPS).tolist())
    return float(sweep.thresholds[sweep.best])


def threshold_markup(predictions: Sequence[ClassPrediction], label: str, threshold: float) -> str:
    """The curves of a class, its figures at a threshold, and where F1 is best."""
    judged = _judged(predictions)
    if not judged or label not in judged[0].scores:
        return ""
    positive, scores = _flags(judged, label)
    sweep = threshold_sweep(positive, scores, np.linspace(0, 1, _STEPS).tolist())
    here = int(np.argmin(np.abs(sweep.thresholds - threshold)))
    at = sweep.thresholds.tolist()
    values = {name: getattr(sweep, name).tolist() for name in _LINES}
    layers = [line(list(zip(at, values[name], strict=True)), f"curve {name}") for name in _LINES]
    layers.append(upright(at[here], "chosen"))
    layers += [dot(at[here], values[name][here], f"mark {name}") for name in _LINES]
    words = f"Precision, recall and F1 of {label} at each threshold; best F1 at {at[sweep.best]:.2f}"
    given = [probability >= at[here] for probability in scores]
    alarms = sum(said and not right for said, right in zip(given, positive, strict=True))
    missed = sum(right and not said for said, right in zip(given, positive, strict=True))
    facts = [(name.capitalize(), f"{values[name][here]:.3f}") for name in _LINES]
    facts += [("Given", f"{sum(given):,}"), ("Wrongly given", f"{alarms:,}"), ("Missed", f"{missed:,}")]
    return (
        f'<figure class="sweep"><figcaption>“{escape(label)}” from {at[here]:.2f} on <span>best F1 '
        f"{values['f1'][sweep.best]:.3f} at {at[sweep.best]:.2f}</span></figcaption>"
        f'<div class="sweep-body">{chart(words, "Threshold", "Value", layers)}<div>{figures_row(facts)}'
        '<p class="hint"><i class="key precision"></i>precision <i class="key recall"></i>recall '
        '<i class="key f1"></i>F1</p></div></div></figure>'
    )


def _judged(predictions: Sequence[ClassPrediction]) -> list[ClassPrediction]:
    return [
        one
        for one in predictions
        if one.error is None and one.scores and (one.gold is not None or one.gold_labels is not None)
    ]


def _right(prediction: ClassPrediction) -> tuple[str, ...]:
    if prediction.gold_labels is not None:
        return prediction.gold_labels
    return () if prediction.gold is None else (prediction.gold,)


def _flags(predictions: Sequence[ClassPrediction], label: str) -> tuple[list[bool], list[float]]:
    """Whether the class is a right answer of each text, and its probability there."""
    return [label in _right(one) for one in predictions], [one.scores[label] for one in predictions]
