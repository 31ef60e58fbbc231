"""A run as pictures: which answers are mistaken for which, how far its probabilities can be trusted, how scores lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.evals.methods.labels import ClassPrediction
from workbench.evals.metrics.temperature import LEAST_EXAMPLES, cross_fitted, softmaxed
from workbench.evals.prediction import Prediction
from workbench.evals.runs.run import Run
from workbench.ui.charts.histogram import Group, histogram
from workbench.ui.charts.metrics_view import confusion_figure, reliability_figure, side_by_side

_PER_EXAMPLE = ("f1", "rougeL", "rouge1", "exact_match")
"""Scores from 0 to 1 that lie between right and wrong, in the order they are looked for."""


@dataclass(frozen=True)
class Chosen:
    """An example that was answered by choosing."""

    texts: tuple[str, ...]
    scores: tuple[float, ...]
    """Of each choice, on a logarithmic scale."""
    gold: int
    """The right one's place."""


def run_pictures(run: Run) -> str:
    """The figures that the run's predictions can be drawn as; empty where there is none."""
    chosen = [found for found in map(_chosen, run.predictions) if found is not None]
    figures = _of_choices(chosen) if chosen else _of_scores(run.predictions)
    if not any(figures):
        return ""
    drawn = side_by_side(*filter(None, figures))
    return f'<section class="metrics run-pictures" aria-label="Pictures of the run">{drawn}</section>'


def _of_choices(chosen: Sequence[Chosen]) -> list[str]:
    before = [list(row) for row in softmaxed([one.scores for one in chosen])]
    picked = [max(range(len(row)), key=row.__getitem__) for row in before]
    right = [place == one.gold for place, one in zip(picked, chosen, strict=True)]
    sure = [row[place] for row, place in zip(before, picked, strict=True)]
    figures = [_confusion(chosen, before, picked), _distribution(sure, right)]
    figures.append(reliability_figure("Reliability, as the model says", sure, right))
    if len(chosen) >= LEAST_EXAMPLES:
        after = cross_fitted([one.scores for one in chosen], [one.gold for one in chosen])
        calibrated = [float(row[place]) for row, place in zip(after, picked, strict=True)]
        figures.append(
            reliability_figure("After calibration by a temperature, fitted on the other half", calibrated, right)
        )
    return figures


def _of_scores(predictions: Sequence[Prediction]) -> list[str]:
    """Where nothing was chosen: how good or how likely each example was."""
    known = [one for one in predictions if one.error is None]
    figures = []
    name = next((name for name in _PER_EXAMPLE if any(name in one.scores for one in known)), None)
    if name is not None:
        values = [one.scores[name] for one in known if name in one.scores]
        figures.append(histogram(f"{name} of each example", [Group("examples", "all", values)], name, whole=True))
    by_token = [(_by_token(one), one.scores.get("acc")) for one in known]
    likely = [(value, acc) for value, acc in by_token if value is not None]
    groups = [Group(name, kind, [v for v, acc in likely if acc == share]) for name, kind, share in _VERDICTS]
    title = "Log-likelihood a token, of each example"
    figures.append(histogram(title, [one for one in groups if one.values], "nats; 0 is certain"))
    return figures


_VERDICTS = (("right", "right", 1.0), ("wrong", "wrong", 0.0), ("texts", "all", None))


def _by_token(prediction: Prediction) -> float | None:
    whole, tokens = prediction.scores.get("loglikelihood"), prediction.detail.get("tokens")
    return whole / tokens if whole is not None and isinstance(tokens, int) and tokens else None


def _chosen(prediction: Prediction) -> Chosen | None:
    """The example's choices with their scores; None where there are none, or the right one is not among them."""
    choices = [one for one in prediction.detail.get("choices") or () if isinstance(one, Mapping)]
    scores = [one.get("loglikelihood", one.get("logit")) for one in choices]
    if prediction.error is not None or not choices or not all(isinstance(score, int | float) for score in scores):
        return None
    texts = tuple(str(one.get("text", "")) for one in choices)
    gold = (
        prediction.gold
        if isinstance(prediction.gold, int)
        else texts.index(prediction.gold)
        if prediction.gold in texts
        else -1
    )
    return Chosen(texts, tuple(map(float, scores)), gold) if 0 <= gold < len(texts) else None


def _confusion(chosen: Sequence[Chosen], probabilities: Sequence[Sequence[float]], picked: Sequence[int]) -> str:
    """The matrix, where every example has the same choices: classes."""
    if len({frozenset(one.texts) for one in chosen}) > 1 or len(chosen) < 2:
        return ""
    predictions = [
        ClassPrediction("", "", one.texts[place], dict(zip(one.texts, row, strict=True)), gold=one.texts[one.gold])
        for one, row, place in zip(chosen, probabilities, picked, strict=True)
    ]
    return confusion_figure(predictions)


def _distribution(sure: Sequence[float], right: Sequence[bool]) -> str:
    groups = [
        Group(name, kind, [value for value, verdict in zip(sure, right, strict=True) if verdict == (kind == "right")])
        for name, kind in (("right", "right"), ("wrong", "wrong"))
    ]
    note = "by the choices' scores as they are, which acc counts"
    return histogram("How sure, and how often right", groups, "probability of the answer", note, whole=True)
