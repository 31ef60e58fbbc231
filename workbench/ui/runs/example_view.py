"""One example as it was asked and answered: the exact prompt, the right answer, and each choice's scores as bars."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from workbench.evals.prediction import Prediction

_MOST_CHOICES = 20
_MOST_SPANS = 5
MEASURES = {
    "probability": "probability",
    "logit": "logit",
    "loglikelihood": "acc: log-likelihood",
    "characters": "acc_norm: a character",
    "bytes": "acc_bytes: a byte",
    "tokens": "acc_tokens: a token",
    "unconditional": "acc_mutual_info: less without prompt",
}
"""A choice's scores by the metrics that look at them: as they are, by a length, or less that without the prompt."""
_AS_THEY_ARE = ("probability", "logit", "loglikelihood")
_SHOWN_DETAIL = ("loglikelihood", "is_greedy", "words", "characters", "bytes", "tokens", "finish_reason")


def prompt_markup(prompt: str, prefix: str = "") -> str:
    """The exact prompt; worked examples before it are folded."""
    shots = ""
    if prefix:
        shots = f"<details><summary>Worked examples before it</summary><pre>{escape(prefix)}</pre></details>"
    return f'<div class="prompt">{shots}<pre>{escape(prompt)}</pre></div>'


def right(prediction: Prediction, metric: str | None = None) -> bool | None:
    """Whether an example was got right: all of its share of the metric; None where nothing says so."""
    if metric is not None:
        value = prediction.scores.get(metric)
    else:
        value = next((prediction.scores[name] for name in _RIGHT if name in prediction.scores), None)
    return None if value is None else value >= 1.0


_RIGHT = ("acc", "exact_match", "exact")
"""Scores that are 1 for a right answer, in the order they are looked for."""


def verdict_markup(prediction: Prediction, metric: str | None = None) -> str:
    """Right, wrong, failed, or the figure that stands for it."""
    if prediction.error is not None:
        return '<span class="bad">failed</span>'
    known = right(prediction, metric)
    if known is not None:
        return '<span class="good">right</span>' if known else '<span class="bad">wrong</span>'
    name, value = next(iter(prediction.scores.items()), ("", None))
    return "" if value is None else f'<span class="figure">{escape(name)} {value:,.2f}</span>'


def answers_markup(sides: Sequence[tuple[str, Prediction]]) -> str:
    """What each run said of the same example, side by side.

    Args:
        sides: a run's letter (empty for a single one) and its prediction.
    """
    choices = [prediction.detail.get("choices") for _, prediction in sides]
    if all(isinstance(found, list) and found for found in choices):
        return _choices(sides)
    columns = "".join(
        f'<div class="said"><h5>{_letter(letter)}{verdict_markup(prediction)}</h5>{_said(prediction)}</div>'
        for letter, prediction in sides
    )
    return f'<div class="said-columns">{columns}</div>{_gold(sides[0][1])}'


def _letter(letter: str) -> str:
    return f'<i class="side {letter.lower()}">{escape(letter)}</i> ' if letter else ""


def _gold(prediction: Prediction) -> str:
    """The right answer, or several."""
    gold = prediction.gold
    if gold is None or gold == "" or gold == []:
        return ""
    shown = gold if isinstance(gold, (list, tuple)) else [gold]
    texts = " / ".join(escape(str(one)) for one in dict.fromkeys(map(str, shown)))
    return f'<p class="gold-answer"><span>Right answer</span> {texts}</p>'


def _said(prediction: Prediction) -> str:
    if prediction.error is not None:
        return f'<p class="desk-error">{escape(prediction.error)}</p>'
    return _answer(prediction) + _spans(prediction) + _details(prediction) + _unseen(prediction)


def _answer(prediction: Prediction) -> str:
    if prediction.answer is not None:
        return f"<pre>{escape(str(prediction.answer))}</pre>"
    if prediction.gold is None:
        return ""
    words = "it would have written something else" if "is_greedy" in prediction.detail else "no answer"
    return f'<p class="none">{words}</p>'


def _spans(prediction: Prediction) -> str:
    """The best spans, or the classes by their probability."""
    spans = prediction.detail.get("n_best")
    if isinstance(spans, list) and spans:
        rows = "".join(_span(one) for one in spans[:_MOST_SPANS] if isinstance(one, Mapping))
        return f'<ol class="n-best-few">{rows}</ol>'
    return ""


def _span(span: Mapping[str, Any]) -> str:
    probability = span.get("probability", span.get("score"))
    shown = f"{probability:.3f}" if isinstance(probability, (int, float)) else ""
    return f"<li><span>{escape(str(span.get('text', '')) or 'no answer')}</span> <b>{shown}</b></li>"


def _details(prediction: Prediction) -> str:
    cells = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(_figure(prediction.detail[name]))}</dd></div>"
        for name in _SHOWN_DETAIL
        if name in prediction.detail
    )
    scores = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(_figure(value))}</dd></div>"
        for name, value in prediction.scores.items()
        if name not in prediction.detail
    )
    return f'<dl class="card-facts small">{scores}{cells}</dl>'


def _figure(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.4g}".replace("-", "−") if isinstance(value, float) else str(value)


def _unseen(prediction: Prediction) -> str:
    if not prediction.unseen_tokens:
        return ""
    return f'<p class="keys">{prediction.unseen_tokens:,} tokens of the prompt found no room in the context.</p>'


def _choices(sides: Sequence[tuple[str, Prediction]]) -> str:
    """Every choice with its scores in each run as bars, by each measure."""
    first = sides[0][1]
    count = len(first.detail["choices"])
    measures = [name for name in MEASURES if all(_has(prediction, name) for _, prediction in sides)]
    rows = "".join(_choice(sides, place, measures) for place in range(min(count, _MOST_CHOICES)))
    head = "".join(f'<th scope="col">{escape(MEASURES[name])}</th>' for name in measures)
    more = f'<p class="keys">{count - _MOST_CHOICES} more choices.</p>' if count > _MOST_CHOICES else ""
    verdicts = "".join(
        f"<span>{_letter(letter)}{_verdicts(prediction)}{_unseen(prediction)}</span>" for letter, prediction in sides
    )
    return (
        f'<p class="verdicts">{verdicts}</p><div class="scroller choices" tabindex="0" role="group" '
        f'aria-label="Scores of the choices"><table><thead><tr><th scope="col">Choice</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{more}"
    )


def _verdicts(prediction: Prediction) -> str:
    if prediction.error is not None:
        return f'<span class="bad">failed</span> {escape(prediction.error)}'
    picked = prediction.detail.get("picked")
    if not isinstance(picked, Mapping):
        return verdict_markup(prediction)
    by: dict[str, list[str]] = {"right": [], "wrong": []}
    for name, choice in picked.items():
        by["right" if choice == prediction.gold else "wrong"].append(name)
    return " ".join(
        f'<span class="{"good" if verdict == "right" else "bad"}">{verdict} by '
        f"{'every measure' if len(names) == len(picked) > 1 else escape(', '.join(names))}</span>"
        for verdict, names in by.items()
        if names
    )


def _has(prediction: Prediction, measure: str) -> bool:
    choices = prediction.detail.get("choices", ())
    needed = (measure,) if measure in _AS_THEY_ARE else ("loglikelihood", measure)
    return all(all(name in choice for name in needed) for choice in choices)


def measured(choice: Mapping[str, Any], measure: str) -> float | None:
    """A choice's score by a measure of `MEASURES`; None where it has none, such as per character of no text."""
    value = choice.get(measure if measure in _AS_THEY_ARE else "loglikelihood")
    if value is None or measure in _AS_THEY_ARE:
        return value
    other = choice.get(measure)
    if measure == "unconditional":
        return None if other is None else float(value - other)
    return float(value / other) if other else None


def _choice(sides: Sequence[tuple[str, Prediction]], place: int, measures: Sequence[str]) -> str:
    text = str(sides[0][1].detail["choices"][place].get("text", ""))
    gold = sides[0][1].gold in (place, text)
    cells = ""
    for name in measures:
        bars = "".join(_bar(letter, prediction, place, name) for letter, prediction in sides)
        cells += f"<td>{bars}</td>"
    mark = '<span class="gold-mark">right answer</span>' if gold else ""
    shown = f'<div class="choice-text">{escape(text)}</div>{mark}'
    return f'<tr class="{"gold" if gold else ""}"><th scope="row">{shown}</th>{cells}</tr>'


def _bar(letter: str, prediction: Prediction, place: int, measure: str) -> str:
    """A score's bar: full for the best choice of its run, empty for the worst."""
    scores = [measured(choice, measure) for choice in prediction.detail["choices"]]
    known = [score for score in scores if score is not None]
    score = scores[place]
    if score is None:
        return '<span class="score"><b>–</b></span>'
    low, high = min(known), max(known)
    share = (score - low) / (high - low) if high > low else 1.0
    best = " best" if score == high else ""
    number = f"{score:.2f}".replace("-", "−")
    return (
        f'<span class="score{best}">{_letter(letter)}<span class="track"><i class="{letter.lower()}" '
        f'style="width:{4 + 96 * share:.0f}%"></i></span><b>{number}</b></span>'
    )
