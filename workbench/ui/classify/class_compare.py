"""Predictions of several sides beside each other: of one text, and of many as rows and figures."""

from collections.abc import Sequence
from html import escape
from itertools import combinations

from workbench.evals.methods.labels import ClassPrediction
from workbench.evals.metrics.metric import Metric
from workbench.evals.metrics.statistics import mean
from workbench.evals.prediction import Prediction
from workbench.ui.classify.class_view import answer_words, gold_words, is_right, percent
from workbench.ui.sides.asking_compare import Judged, Mark, comparison_markup, marks_against

Pair = tuple[str, ClassPrediction]
"""A side's letter and what it says."""

MOST_LABELS = 8
"""Labels in the table of one text; of more, those that any side finds likeliest."""
_CELL_CHARACTERS = 300
"""Of a text in a table; the downloads have all of it."""
_NOTHING = "no prediction"


def answer_marks(pairs: Sequence[Pair]) -> list[Mark]:
    """Of each side how its answer stands to those before it, in words, and whether it differs; of the first nothing."""
    return marks_against(pairs, _mark)


def _mark(first: Pair, other: Pair) -> Mark:
    differs = _said(other[1]) != _said(first[1])
    return f"≠ other answer than {first[0]}" if differs else f"= same answer as {first[0]}", differs


def predictions_markup(pairs: Sequence[Pair]) -> str:
    """Of one text: whether the sides say the same, and each label's probability by side."""
    answers = [_said(prediction) for _, prediction in pairs]
    letters = [letter for letter, _ in pairs]
    if len(set(answers)) == 1:
        verdict = f"{_listed(letters)} say the same: <b>{escape(answers[0])}</b>."
    else:
        said = (f"{letter} says <b>{escape(answer)}</b>" for letter, answer in zip(letters, answers, strict=True))
        verdict = f"The answers differ: {', '.join(said)}."
    return (
        '<section class="lens side-by-side" aria-label="The sides compared"><div class="lens-bar"><h2>Side by side</h2>'
        f'<p class="found-verdict" role="status">{verdict}</p></div>{_probabilities(pairs)}</section>'
    )


def _probabilities(pairs: Sequence[Pair]) -> str:
    """Each label's probability by side, and how far the sides are from each other."""
    labels = list(dict.fromkeys(label for _, prediction in pairs for label in prediction.scores))
    labels.sort(key=lambda label: -max(prediction.scores.get(label, 0.0) for _, prediction in pairs))
    if not labels:
        return ""
    twos = list(combinations(pairs, 2))
    rows = "".join(
        f'<tr><th scope="row">{escape(label)}</th>{"".join(_cell(prediction, label) for _, prediction in pairs)}'
        f"{''.join(_change(one, other, label) for (_, one), (_, other) in twos)}</tr>"
        for label in labels[:MOST_LABELS]
    )
    names = ["Label", *(letter for letter, _ in pairs), *(f"{other} − {one}" for (one, _), (other, _) in twos)]
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    rest = len(labels) - MOST_LABELS
    more = f'<p class="hint">and {rest:,} more labels</p>' if rest > 0 else ""
    return (
        '<div class="scroller" tabindex="0" role="group" aria-label="Probabilities by side"><table><thead><tr>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table></div>{more}"
    )


def _cell(prediction: ClassPrediction, label: str) -> str:
    if label not in prediction.scores:
        return "<td><small>no label here</small></td>"
    chosen = label in prediction.labels if prediction.labels is not None else label == prediction.label
    shown = percent(prediction.scores[label])
    return f"<td><b>{shown}</b><small>its answer</small></td>" if chosen else f"<td>{shown}</td>"


def _change(first: ClassPrediction, other: ClassPrediction, label: str) -> str:
    """In percentage points."""
    if label not in first.scores or label not in other.scores:
        return "<td>–</td>"
    points = 100 * (other.scores[label] - first.scores[label])
    return f"<td>{points:+.1f}</td>".replace("-", "−")


def batch_columns(letters: Sequence[str]) -> tuple[list[str], list[str | int]]:
    """The names of the columns of a table with a prediction a side, and their widths."""
    names = ["#", "Text", *letters, "Same", "Right answer", "Note"]
    return names, ["52px", "300px", *(["140px"] * len(letters)), "90px", "120px", "150px"]


def batch_rows(texts: Sequence[str], sides: Sequence[tuple[str, Sequence[ClassPrediction]]]) -> list[list[str]]:
    """A row for each text that any side has reached; everything in it is text.

    Args:
        texts: at least as many as any side has predictions.
        sides: each one's letter and its predictions so far, in the order of the texts.
    """
    count = max(len(predictions) for _, predictions in sides)
    return [
        [str(place + 1), shown_text(texts[place]), *_row([(letter, some[place] if place < len(some) else None)
                                              for letter, some in sides])]
        for place in range(count)
    ]  # fmt: skip


def shown_text(text: str) -> str:
    """A text as a table has it: on one line, and cut."""
    line = text[: _CELL_CHARACTERS + 1].replace("\n", " ")
    return line if len(line) <= _CELL_CHARACTERS else line[:_CELL_CHARACTERS] + "…"


def _row(pairs: Sequence[tuple[str, ClassPrediction | None]]) -> list[str]:
    """Each side's answer, whether they are the same, the right one, and a note."""
    there = [(letter, prediction) for letter, prediction in pairs if prediction is not None]
    cells = ["…" if prediction is None else _answer(prediction) for _, prediction in pairs]
    answers = {_said(prediction) for _, prediction in there}
    same = "" if len(there) < len(pairs) else "same" if len(answers) == 1 else "differ"
    notes = [words for letter, prediction in there if (words := _note(letter, prediction))]
    gold = next((gold for _, prediction in there if (gold := gold_words(prediction))), "")
    return [*cells, same, gold, "; ".join(notes)]


def _answer(prediction: ClassPrediction) -> str:
    words = answer_words(prediction)
    if prediction.label is not None and prediction.label in prediction.scores and prediction.labels is None:
        return f"{words} {percent(prediction.scores[prediction.label])}"
    return words or "–"


def _note(letter: str, prediction: ClassPrediction) -> str:
    if prediction.error:
        return f"{letter}: {prediction.error}"
    right = is_right(prediction)
    return "" if right is None else f"{letter} {'right' if right else 'wrong'}"


def batches_markup(sides: Sequence[tuple[str, Sequence[ClassPrediction]]]) -> str:
    """How often the sides agree and, where the right answers are known, whether one is right more often."""
    judged = [Judged(letter, [_judged(one) for one in predictions]) for letter, predictions in sides]
    several = any(one.gold_labels is not None for _, predictions in sides for one in predictions)
    return comparison_markup(judged, [("All labels right" if several else "Accuracy", Metric("acc", ("acc",), mean))])


def _judged(prediction: ClassPrediction) -> Prediction:
    right = is_right(prediction)
    return Prediction(
        prompt=prediction.text,
        answer=None if prediction.error else _said(prediction),
        scores={} if right is None else {"acc": float(right)},
        error=prediction.error,
        id=prediction.id,
    )


def _said(prediction: ClassPrediction) -> str:
    return _NOTHING if prediction.error else answer_words(prediction)


def _listed(letters: Sequence[str]) -> str:
    return f"{', '.join(letters[:-1])} and {letters[-1]}"
