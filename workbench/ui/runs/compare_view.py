"""Two or more runs of a task side by side: differences with intervals, tests, flips, agreement, and what each cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from workbench.errors import BadRequest
from workbench.evals.agreement import Agreement, agreement
from workbench.evals.metrics.metric import Metric
from workbench.evals.paired import Comparison, Outcomes, Side, compare
from workbench.evals.runs.run import Run
from workbench.ui.charts.run_plots import Mark, interval_plot
from workbench.ui.parts import bytes_text, notice, seconds_text
from workbench.ui.runs.run_words import NO_VALUE, model_text, signed_text, value_text
from workbench.ui.runs.runs_view import letter_of, run_metrics, settings_text

MOST_COMPARED = 6


@dataclass(frozen=True)
class Compared:
    """Runs of one task against the first of them."""

    runs: tuple[Run, ...]
    metrics: tuple[Metric, ...]
    comparisons: Mapping[str, tuple[Comparison | None, ...]]
    """By metric: the first run against each other; None where they share nothing that counts for it."""
    agreement: Agreement | None


def compared(runs: Sequence[Run]) -> Compared:
    """Compares every run with the first, by every metric of the task.

    Raises:
        BadRequest: fewer than two runs, too many, of different tasks, or without a common example.
    """
    if len(runs) > MOST_COMPARED:
        raise BadRequest(f"{len(runs)} runs are ticked; at most {MOST_COMPARED} are shown side by side.")
    sides = [Side(letter, run.task, run.predictions) for letter, run in zip(letters(runs), runs, strict=True)]
    metrics = run_metrics(runs[0])
    try:
        agreed = agreement(sides)
    except BadRequest:
        if len({run.task for run in runs}) > 1 or len(runs) < 2:
            raise
        agreed = None  # texts without answers can still be compared by their likelihood
    first, others = sides[0], sides[1:]
    found = {metric.name: tuple(_compare(metric, first, other) for other in others) for metric in metrics}
    if not any(one for ones in found.values() for one in ones):
        compare(metrics[0], first.predictions, others[0].predictions)  # says what they lack in common
    return Compared(tuple(runs), tuple(metrics), found, agreed)


def letters(runs: Sequence[Run]) -> list[str]:
    """A, B, C, ..."""
    return [chr(ord("A") + place) for place in range(len(runs))]


def _compare(metric: Metric, a: Side, b: Side) -> Comparison | None:
    try:
        return compare(metric, a.predictions, b.predictions)
    except BadRequest:
        return None


def compared_markup(found: Compared) -> str:
    """The whole comparison."""
    names = [run.name for run in found.runs]
    heads = "".join(
        f'<li><i class="side {letter_of(name, names).lower()}">{letter_of(name, names)}</i> '
        f"<b>{escape(model_text(run.record['model']))}</b> {escape(settings_text(run))}</li>"
        for name, run in zip(names, found.runs, strict=True)
    )
    return (
        f'<section class="compared" aria-label="Side by side"><h3>{escape(found.runs[0].task)}, side by side</h3>'
        f'<ul class="sides">{heads}</ul><p class="keys">The letters are those of the runs, in the order they were '
        f"picked, and not of the sides above.</p>{_protocol_differences(found.runs)}{_plots(found)}{_tests(found)}"
        f'<div class="metric-figures">{_flips(found)}{_agreement(found)}{_cost(found.runs)}</div></section>'
    )


def _protocol_differences(runs: Sequence[Run]) -> str:
    """What, beside the model, is not the same: then it is not the model alone that is compared."""
    parts = {"task": "task version or settings", "shots": "worked examples", "data": "data", "code": "code"}
    other = [words for part, words in parts.items() if any(run.record[part] != runs[0].record[part] for run in runs)]
    if not other:
        return ""
    words = "The runs also differ in their " + ", ".join(other) + ". Only the examples they share are compared."
    return notice("plain", "Not only the model differs", words)


def _plots(found: Compared) -> str:
    """Each run's difference from the first one, by metric."""
    plots = []
    for share in (True, False):
        marks = [
            _mark(metric, letter, comparison)
            for metric in found.metrics
            if metric.is_share is share
            for letter, comparison in zip(letters(found.runs)[1:], found.comparisons[metric.name], strict=True)
            if comparison is not None
        ]
        unit = "percentage points" if share else "in the metric's unit"
        note = f"{unit}; the line is the paired 95 % interval; where it misses 0 the runs differ"
        plots.append(interval_plot("A minus the other", marks, share, zero=True, note=note))
    return f'<div class="metric-figures">{"".join(plots)}</div>'


def _mark(metric: Metric, letter: str, comparison: Comparison) -> Mark:
    unit = " pp" if metric.is_share else ""
    words = signed_text(comparison.difference, metric.is_share) + unit
    if comparison.low is not None and comparison.high is not None:
        ends = (signed_text(end, metric.is_share) for end in (comparison.low, comparison.high))
        words += f" [{', '.join(ends)}]"
    name = f"{metric.name}, A − {letter}"
    return Mark(name, comparison.difference, comparison.low, comparison.high, words, letter.lower())


def _tests(found: Compared) -> str:
    """A row for each metric and run: values, difference, p-value."""
    rows = ""
    for metric in found.metrics:
        for letter, comparison in zip(letters(found.runs)[1:], found.comparisons[metric.name], strict=True):
            rows += _test(metric, letter, comparison)
    names = ("Figure", "A", "Other", "A minus the other", "95 % interval", "p", "Test", "n")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return (
        '<figure class="tests"><figcaption>Is it chance? <span>p: how often so large a difference would appear if the '
        "two runs were equally good. Below 0.05 is commonly called a difference.</span></figcaption>"
        f'<div class="scroller" tabindex="0" role="group" aria-label="Tests"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody>"
        "</table></div></figure>"
    )


_TESTS = {"mcnemar_mid_p": "exact McNemar, mid-p", "bootstrap": "paired bootstrap"}


def _test(metric: Metric, letter: str, comparison: Comparison | None) -> str:
    name = f"<th scope='row'>{escape(metric.name)} <small>A − {letter}</small></th>"
    if comparison is None:
        return f'<tr>{name}<td colspan="7"><small>not comparable</small></td></tr>'
    share = metric.is_share
    ends = NO_VALUE
    if comparison.low is not None and comparison.high is not None:
        ends = f"{signed_text(comparison.low, share)} … {signed_text(comparison.high, share)}"
    better = (comparison.difference > 0) is metric.higher_is_better
    clear = comparison.p_value is not None and comparison.p_value < 0.05
    kind = ("good" if better else "bad") if clear else ""
    words = str(comparison.left_out)
    left_out = f'<small title="{escape(words)}">, some left out</small>' if words else ""
    return (
        f"<tr>{name}<td>{value_text(comparison.a.value, comparison.a.stderr, share)}</td>"
        f"<td>{value_text(comparison.b.value, comparison.b.stderr, share)}</td>"
        f'<td class="{kind}"><b>{signed_text(comparison.difference, share)}{" pp" if share else ""}</b></td>'
        f"<td>{ends}</td><td>{p_text(comparison.p_value)}</td><td>{_TESTS.get(comparison.test, comparison.test)}</td>"
        f"<td>{comparison.n:,}{left_out}</td></tr>"
    )


def p_text(p_value: float | None) -> str:
    """A p-value for people."""
    if p_value is None:
        return NO_VALUE
    return "< 0.0001" if p_value < 0.0001 else f"{p_value:.4f}" if p_value < 0.1 else f"{p_value:.2f}"


def _flips(found: Compared) -> str:
    """Who has which examples right, for the first metric that counts right and wrong."""
    for metric in found.metrics:
        outcomes = [one.outcomes if one is not None else None for one in found.comparisons[metric.name]]
        if any(outcomes):
            break
    else:
        return ""
    rows = "".join(
        _flip(letter, one) for letter, one in zip(letters(found.runs)[1:], outcomes, strict=True) if one is not None
    )
    names = ("", "Both right", "A only", "Other only", "Both wrong")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return (
        f'<figure class="flips"><figcaption>Flips <span>by {escape(metric.name)}; the examples below can '
        f'be filtered by them.</span></figcaption><div class="scroller"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></figure>"
    )


def _flip(letter: str, outcomes: Outcomes) -> str:
    counts = [len(ids) for ids in (outcomes.both, outcomes.a_only, outcomes.b_only, outcomes.neither)]
    total = max(1, sum(counts))
    kinds = ("good", "a", letter.lower(), "bad")
    cells = "".join(f"<td>{count:,}<small>{100 * count / total:.0f} %</small></td>" for count in counts)
    bar = "".join(
        f'<i class="{kind}" style="flex-grow:{count}"></i>' for kind, count in zip(kinds, counts, strict=True) if count
    )
    return (
        f'<tr><th scope="row">A and {letter}</th>{cells}</tr>'
        f'<tr class="bar-row"><td colspan="5"><span class="flip-bar">{bar}</span></td></tr>'
    )


def _agreement(found: Compared) -> str:
    """How often each two give the same answer."""
    if found.agreement is None:
        return ""
    names, share, kappa = found.agreement.names, found.agreement.share, found.agreement.kappa
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(_agreed(share[row][column], kappa[row][column], row == column) for column in range(len(names)))
        + "</tr>"
        for row, name in enumerate(names)
    )
    return (
        '<figure class="agreement"><figcaption>Same answer <span>share of examples, right or wrong; κ: beyond chance.'
        f'</span></figcaption><div class="scroller"><table><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody>'
        "</table></div></figure>"
    )


def _agreed(share: float | None, kappa: float | None, itself: bool) -> str:
    if itself or share is None:
        return "<td>–</td>"
    small = "" if kappa is None else f"<small>κ {signed_text(kappa, share=False)}</small>"
    return f'<td style="--share:{100 * share:.0f}%" class="shaded">{100 * share:.1f} %{small}</td>'


def _cost(runs: Sequence[Run]) -> str:
    """What each run took."""
    rows = ""
    for letter, run in zip(letters(runs), runs, strict=True):
        cost = run.cost
        each = f"{1000 * cost.seconds / cost.examples:,.1f} ms" if cost.examples and cost.seconds else NO_VALUE
        rows += (
            f'<tr><th scope="row">{letter}</th><td>{seconds_text(cost.seconds)}</td><td>{each}</td>'
            f"<td>{f'{cost.tokens:,}' if cost.tokens else NO_VALUE}</td><td>{bytes_text(cost.model_bytes)}</td></tr>"
        )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("", "Time", "An example", "Tokens", "Weights"))
    return (
        '<figure class="costs"><figcaption>Cost <span>on this machine; tokens that were scored or written.</span>'
        f'</figcaption><div class="scroller"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        "</figure>"
    )
