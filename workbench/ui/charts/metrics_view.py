"""How good many predictions are: figures, confusion matrix, reliability diagram, each class, the worst mistakes."""

import math
from collections.abc import Sequence
from html import escape

from workbench.evals.methods.labels import ClassPrediction
from workbench.evals.metrics.calibration import Reliability, reliability
from workbench.evals.metrics.classification import (
    ClassRow,
    confident_mistakes,
    confusion_matrix,
    occurring,
    per_class,
    per_label,
)
from workbench.evals.metrics.summary import all_labels, summary
from workbench.ui.charts.charts import bar, chart, dot, line
from workbench.ui.classify.class_view import figures_row, percent

MOST_CLASSES = 24
"""Classes in the table and the matrix; of more, the most frequent ones are shown."""
MOST_MISTAKES = 12
_LARGE_CELLS = 4
"""A matrix of so few classes fills its frame."""
_NAMES = {
    "n": "Judged texts", "accuracy": "Accuracy", "macro_f1": "Macro-F1", "micro_f1": "Micro-F1",
    "subset_accuracy": "All labels right", "ece": "Calibration error (ECE)",
    "mse": "Mean squared error", "pearson": "Pearson correlation", "spearman": "Spearman correlation",
}  # fmt: skip


def metrics_markup(predictions: Sequence[ClassPrediction]) -> str:
    """Everything that predictions with right answers tell; empty without any."""
    figures = summary(predictions)
    if not figures:
        return ""
    facts = [(_NAMES.get(name, name), _figure(name, value)) for name, value in figures.items()]
    single = single_label(predictions)
    several = [one for one in predictions if one.error is None and one.gold_labels is not None]
    parts = [figures_row(facts)]
    if single:
        parts += [_strangers(single), side_by_side(confusion_figure(single), _reliability(single))]
        parts += [_class_table(class_rows(single)), _mistakes(single)]
    elif several:
        parts.append(_class_table(class_rows(several)))
    return f'<section class="metrics" aria-label="Metrics">{"".join(parts)}</section>'


def single_label(predictions: Sequence[ClassPrediction]) -> list[ClassPrediction]:
    """The predictions of one label whose right answer is known."""
    return [
        one
        for one in predictions
        if one.error is None and one.label is not None and one.gold is not None and one.gold_labels is None
    ]


def class_rows(predictions: Sequence[ClassPrediction]) -> list[ClassRow]:
    """Each class's figures."""
    if predictions[0].gold_labels is not None:
        gold = [one.gold_labels or () for one in predictions]
        return per_label(gold, [one.labels or () for one in predictions], all_labels(predictions))
    pairs = [(one.gold or "", one.label or "") for one in predictions]
    right, got = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return per_class(right, got, occurring(right, got, list(predictions[0].scores)))


def _figure(name: str, value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if name == "n" else f"{value:.3f}" if name != "accuracy" else f"{100 * value:.1f} %"


def _strangers(predictions: Sequence[ClassPrediction]) -> str:
    """A word about right answers that are not among the labels: such a text can't be got right."""
    known = set(predictions[0].scores)
    strange = sorted({one.gold or "" for one in predictions if one.gold not in known})
    if not strange:
        return ""
    count = sum(one.gold not in known for one in predictions)
    names = ", ".join(f"“{name[:40]}”" for name in strange[:5]) + ("…" if len(strange) > 5 else "")
    return (
        f'<div class="notice plain" role="status"><strong>{count:,} right answers are not among the labels</strong>'
        f"<p>{escape(names)}: these texts count as wrong. Labels must be spelt as in the file.</p></div>"
    )


def side_by_side(*figures: str) -> str:
    """Figures beside each other where there is room."""
    return f'<div class="metric-figures">{"".join(figures)}</div>'


def _shown_labels(predictions: Sequence[ClassPrediction]) -> list[str]:
    rows = class_rows(predictions)
    if len(rows) <= MOST_CLASSES:
        return [row.label for row in rows]
    frequent = sorted(rows, key=lambda row: -(row.support + row.predicted))[:MOST_CLASSES]
    kept = {row.label for row in frequent}
    return [row.label for row in rows if row.label in kept]


def confusion_figure(predictions: Sequence[ClassPrediction]) -> str:
    """Which right answers were predicted as what, for predictions of one label."""
    labels = _shown_labels(predictions)
    counts = confusion_matrix([one.gold or "" for one in predictions], [one.label or "" for one in predictions], labels)
    head = "".join(f'<th scope="col"><span>{escape(label)}</span></th>' for label in labels)
    body = ""
    for label, row in zip(labels, counts.tolist(), strict=True):
        total = sum(row)
        cells = "".join(_cell(label, other, count, total) for other, count in zip(labels, row, strict=True))
        body += f'<tr><th scope="row">{escape(label)}</th>{cells}</tr>'
    size = "large" if len(labels) <= _LARGE_CELLS else ""
    note = f" The {MOST_CLASSES} most frequent classes." if len(labels) == MOST_CLASSES else ""
    return (
        '<figure class="confusion"><figcaption>Confusion matrix <span>rows: right answer, columns: prediction.'
        f'{note}</span></figcaption><div class="scroller" tabindex="0" role="group" aria-label="Confusion matrix">'
        f'<table class="{size}"><thead><tr><td class="corner"></td>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div></figure>"
    )


def _cell(gold: str, predicted: str, count: int, total: int) -> str:
    """A count, as dark as its share of the row."""
    share = count / total if total else 0.0
    kind = ("hit" if gold == predicted else "miss") if count else ""
    words = f"{count:,} of {total:,} “{gold}” predicted as “{predicted}”"
    return (
        f'<td class="{kind}" style="--share:{100 * share:.0f}%" title="{escape(words)}">{count:,}'
        f"<small>{percent(share) if count else ''}</small></td>"
    )


def _reliability(predictions: Sequence[ClassPrediction]) -> str:
    confidences = [one.scores[one.label or ""] for one in predictions]
    return reliability_figure("Reliability", confidences, [one.label == one.gold for one in predictions])


def reliability_figure(title: str, confidences: Sequence[float], right: Sequence[bool]) -> str:
    """How often answers of each probability are right, beside how often they should be."""
    diagram = reliability(confidences, right)
    words = f"{title}, a reliability diagram: expected calibration error {diagram.ece:.3f}. " + " ".join(
        f"Confidence {one.low:.2f} to {one.high:.2f}: {one.count} texts, {percent(one.accuracy)} right."
        for one in diagram.bins
        if one.count
    )
    layers = [*_bin_layers(diagram), line([(0, 0), (1, 1)], "ideal")]
    picture = chart(words, "Probability of the answer", "Share right", layers)
    return (
        f'<figure class="reliability"><figcaption>{escape(title)} <span>ECE {diagram.ece:.3f}: how far probabilities '
        f"are from the share that is right; on the line they are honest.</span></figcaption>{picture}"
        '<p class="hint"><i class="key share"></i>share right <i class="key gap"></i>gap to the line '
        '<i class="key count"></i>dots: how many texts</p></figure>'
    )


def _bin_layers(diagram: Reliability) -> list[str]:
    most = max((one.count for one in diagram.bins), default=1) or 1
    layers = []
    for one in diagram.bins:
        if not one.count:
            continue
        words = f"{one.low:.2f} to {one.high:.2f}: {one.count} texts, {percent(one.accuracy)} right"
        layers.append(bar(one.low, one.high, 0.0, one.accuracy, "share", words))
        layers.append(bar(one.low, one.high, one.accuracy, one.confidence, "gap", words))
        layers.append(dot((one.low + one.high) / 2, one.count / most, "count"))
    return layers


def _class_table(rows: Sequence[ClassRow]) -> str:
    shown = sorted(rows, key=lambda row: -row.support)[:MOST_CLASSES]
    kept = {row.label for row in shown}
    body = "".join(
        f'<tr><th scope="row">{escape(row.label)}</th>{_share(row.precision)}{_share(row.recall)}{_share(row.f1)}'
        f"<td>{row.support:,}</td><td>{row.predicted:,}</td></tr>"
        for row in rows
        if row.label in kept
    )
    names = ("Class", "Precision", "Recall", "F1", "Right answers", "Predicted")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return (
        '<figure class="per-class"><figcaption>Each class</figcaption><div class="scroller" tabindex="0" role="group" '
        f'aria-label="Figures of each class"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        "</div></figure>"
    )


def _share(value: float) -> str:
    return f'<td class="share"><i style="width:{100 * value:.0f}%"></i><span>{value:.3f}</span></td>'


def _mistakes(predictions: Sequence[ClassPrediction]) -> str:
    worst = confident_mistakes(predictions, MOST_MISTAKES)
    if not worst:
        return '<figure class="mistakes"><figcaption>Mistakes</figcaption><p class="hint">There are none.</p></figure>'
    items = "".join(
        f'<li><span class="said"><b>{escape(one.label or "")}</b> {percent(one.scores[one.label or ""])}</span>'
        f'<span class="was">is {escape(one.gold or "")}</span><span class="text">{escape(one.text[:300])}</span></li>'
        for one in worst
    )
    return (
        '<figure class="mistakes"><figcaption>Most confident mistakes <span>the surest first: often a wrong label in '
        f"the file, or a class that the template does not name well.</span></figcaption><ol>{items}</ol></figure>"
    )
