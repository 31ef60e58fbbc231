"""One prediction as bars: each label's probability, what calibration changed, and what it took to ask."""

from dataclasses import dataclass
from html import escape

from workbench.evals.methods.labels import ClassPrediction
from workbench.ui.parts import seconds_text

MOST_BARS = 30
"""Labels shown with a bar each; of more, the rest is told in one line."""
_SHOWN_TEXT = 400

EMPTY = (
    '<section class="lens verdict" aria-label="Prediction"><div class="lens-bar"><h2>Prediction</h2></div>'
    '<p class="lens-empty">Press <b>Classify</b>: each label\'s probability appears here.</p></section>'
)


@dataclass(frozen=True)
class Cost:
    """What a prediction took."""

    requests: int
    tokens: int
    """Of the requests: each context once, and each label."""
    seconds: float


def prediction_markup(prediction: ClassPrediction, cost: Cost | None = None) -> str:
    """A prediction's section; without its cost where it comes from a batch."""
    body = f'<p class="lens-empty">{escape(prediction.error)}</p>' if prediction.error else _body(prediction)
    return (
        f'<section class="lens verdict" aria-label="Prediction"><div class="lens-bar"><h2>Prediction</h2>'
        f'<p class="found-verdict" role="status">{_verdict(prediction)}</p></div>'
        f'<p class="verdict-text">{escape(_shortened(prediction.text))}</p>{body}'
        f"{_unseen(prediction)}{_figures(prediction, cost)}</section>"
    )


def percent(probability: float) -> str:
    """A probability for people: 83 %, 4.2 %, < 0.1 %."""
    value = 100 * probability
    if 0 < value < 0.1:
        return "< 0.1 %"
    return f"{value:.{1 if value < 9.95 or 99 < value < 100 else 0}f} %"


def by_head(prediction: ClassPrediction) -> bool:
    """Whether a trained head made it; else the language model did."""
    return bool(prediction.logits)


def answer_words(prediction: ClassPrediction) -> str:
    """The answer as one text: a label, several labels, or a number."""
    if prediction.error:
        return ""
    if prediction.number is not None:
        return f"{prediction.number:.4g}".replace("-", "−")
    if prediction.labels is not None:
        return ", ".join(prediction.labels) or "none of the labels"
    return prediction.label or ""


def gold_words(prediction: ClassPrediction) -> str:
    """The right answer as one text; empty where it is not known."""
    if prediction.gold_number is not None:
        return f"{prediction.gold_number:g}"
    if prediction.gold_labels is not None:
        return ", ".join(prediction.gold_labels)
    return prediction.gold or ""


def is_right(prediction: ClassPrediction) -> bool | None:
    """Whether the answer is the right one; None where that is not known, or it is a number."""
    if prediction.error or prediction.number is not None:
        return None
    if prediction.gold_labels is not None:
        return set(prediction.labels or ()) == set(prediction.gold_labels)
    return None if prediction.gold is None else prediction.gold == prediction.label


def _verdict(prediction: ClassPrediction) -> str:
    if prediction.error:
        return "<b>No prediction</b>"
    words = f"<b>{escape(answer_words(prediction))}</b>"
    if prediction.label is not None and prediction.labels is None:
        words += f" {percent(prediction.scores[prediction.label])}"
    right = is_right(prediction)
    if right is None:
        return words
    mark = "good" if right else "bad"
    said = "right" if right else f"wrong: it is {escape(gold_words(prediction))}"
    return f'{words} <span class="{mark}">{said}</span>'


def _body(prediction: ClassPrediction) -> str:
    if prediction.number is not None:
        gold = "" if prediction.gold_number is None else f" <small>right: {prediction.gold_number:g}</small>"
        return f'<p class="number">{answer_words(prediction)}{gold}</p>'
    ranked = sorted(prediction.scores.items(), key=lambda pair: -pair[1])
    rows = "".join(_row(prediction, label, score) for label, score in ranked[:MOST_BARS])
    rest = ranked[MOST_BARS:]
    more = ""
    if rest:
        together = percent(sum(score for _, score in rest))
        more = f'<p class="hint">and {len(rest):,} more labels, together {together}</p>'
    return f'<ol class="scores" aria-label="Labels by probability">{rows}</ol>{more}{_legend(prediction)}'


def _row(prediction: ClassPrediction, label: str, score: float) -> str:
    chosen = label in prediction.labels if prediction.labels is not None else label == prediction.label
    before = None if prediction.uncalibrated is None else prediction.uncalibrated[label]
    second = "" if before is None else f'<i class="before" style="width:{100 * before:.2f}%"></i>'
    was = "" if before is None else f"<small>was {percent(before)}</small>"
    return (
        f'<li class="{"chosen" if chosen else ""}"><span class="label">{escape(label)}</span>'
        f'<span class="track"><i class="now" style="width:{100 * score:.2f}%"></i>{second}</span>'
        f'<span class="p">{percent(score)}{was}</span>{_evidence(prediction, label)}</li>'
    )


def _evidence(prediction: ClassPrediction, label: str) -> str:
    """What the probability was made from: a log-probability of the language model, or a head's logit."""
    for name, values in (("log p", prediction.loglikelihoods), ("logit", prediction.logits)):
        if label in values:
            return f'<span class="evidence">{name} {_signed(values[label])}</span>'
    return '<span class="evidence"></span>'


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _legend(prediction: ClassPrediction) -> str:
    if prediction.uncalibrated is None:
        return ""
    first = max(prediction.uncalibrated, key=prediction.uncalibrated.__getitem__)
    changed = (
        "The answer stayed the same."
        if first == prediction.label
        else f"Without calibration the answer would have been <b>{escape(first)}</b>."
    )
    return (
        '<p class="hint legend"><i class="key now"></i>after calibration <i class="key before"></i>before it. '
        f"{changed}</p>"
    )


def _unseen(prediction: ClassPrediction) -> str:
    """A word about what the model did not read."""
    count = prediction.unseen_tokens
    if not count:
        return ""
    if by_head(prediction):
        return (
            f'<p class="hint"><b>The last {count:,} tokens were not read</b>: '
            "the head reads as much of a text as it was trained on.</p>"
        )
    return (
        f'<p class="hint"><b>The model did not see the first {count:,} tokens</b>: examples, template and text '
        "together are longer than its context. Shorten the text, or leave out worked examples.</p>"
    )


def _figures(prediction: ClassPrediction, cost: Cost | None) -> str:
    facts = [("Labels", f"{len(prediction.scores):,}")] if prediction.scores else []
    if prediction.labels is None and len(prediction.scores) > 1:
        first, second = sorted(prediction.scores.values(), reverse=True)[:2]
        facts.insert(0, ("Ahead of the next by", f"{100 * (first - second):.1f} points"))
    if cost is not None:
        facts += [("Requests", f"{cost.requests:,}"), ("Tokens read", f"{cost.tokens - prediction.unseen_tokens:,}")]
        facts.append(("Time", seconds_text(cost.seconds)))
    return figures_row(facts)


def figures_row(facts: list[tuple[str, str]]) -> str:
    """Numbers side by side under their names; both may hold anything."""
    if not facts:
        return ""
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    return f'<dl class="figures few">{cells}</dl>'


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_TEXT else text[:_SHOWN_TEXT] + "…"
