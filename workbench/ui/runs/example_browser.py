"""The examples of a run, or of two beside each other: which of them are shown, and how."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from workbench.evals.metrics.metric import Metric
from workbench.evals.metrics.statistics import mean
from workbench.evals.prediction import Prediction
from workbench.evals.runs.run import Run
from workbench.ui.runs.example_view import answers_markup, prompt_markup, right, verdict_markup

PAGE_EXAMPLES = 8

Pair = tuple[Prediction, Prediction | None]
"""An example as the first run answered it, and the second where there is one and it has the same example."""


@dataclass(frozen=True)
class Sought:
    """Which examples a visitor wants to see."""

    kind: str = "all"
    """A key of `FILTERS`."""
    text: str = ""
    """That stands in the prompt, the id or an answer."""
    metric: str | None = None
    """What tells right from wrong; None: the method's own."""


def _right(prediction: Prediction | None, sought: Sought) -> bool | None:
    return None if prediction is None else right(prediction, sought.metric)


def _outcome(a: bool, b: bool) -> Callable[[Pair, Sought], bool]:
    return lambda pair, sought: (_right(pair[0], sought), _right(pair[1], sought)) == (a, b)


FILTERS: dict[str, tuple[str, Callable[[Pair, Sought], bool]]] = {
    "all": ("All", lambda pair, sought: True),
    "right": ("Right", lambda pair, sought: _right(pair[0], sought) is True),
    "wrong": ("Wrong", lambda pair, sought: _right(pair[0], sought) is False),
    "a_only": ("A right, B wrong", _outcome(True, False)),
    "b_only": ("B right, A wrong", _outcome(False, True)),
    "neither": ("Both wrong", _outcome(False, False)),
    "both": ("Both right", _outcome(True, True)),
    "disagree": ("Other answers", lambda pair, sought: pair[1] is not None and pair[0].answer != pair[1].answer),
    "errors": ("Failed", lambda pair, sought: any(one is not None and one.error is not None for one in pair)),
    "truncated": ("Truncated", lambda pair, sought: any(one is not None and one.unseen_tokens > 0 for one in pair)),
}
"""What a filter is called, and which examples it lets through."""
_ALONE = ("all", "right", "wrong", "errors", "truncated")
_BY_VERDICT = ("right", "wrong", "a_only", "b_only", "neither", "both")
_TOGETHER = ("all", "a_only", "b_only", "neither", "both", "disagree", "errors", "truncated")


def filter_choices(pairs: Sequence[Pair], sought: Sought, two: bool) -> list[tuple[str, str]]:
    """Label, with how many examples there are, and key of each filter for one run or two.

    Where nothing tells right from wrong, there is no filter by it.
    """
    found = []
    for kind in _TOGETHER if two else _ALONE:
        if sought.metric is None and kind in _BY_VERDICT:
            continue
        name, fits = FILTERS[kind]
        count = sum(fits(pair, sought) for pair in pairs)
        found.append((f"{name} ({count:,})", kind))
    return found


def paired_examples(a: Run, b: Run | None) -> list[Pair]:
    """The first run's examples in the data's order; with a second run those alone that both have."""
    if b is None:
        return [(prediction, None) for prediction in a.predictions]
    others = {(one.id, one.digest): one for one in b.predictions}
    pairs = [(one, others.get((one.id, one.digest))) for one in a.predictions]
    return [pair for pair in pairs if pair[1] is not None]


def judged_by(metrics: Sequence[Metric], predictions: Sequence[Prediction]) -> str | None:
    """The column of the first metric by which every example is right or wrong; None where there is none."""
    for metric in metrics:
        found = {one.scores.get(metric.columns[0]) for one in predictions}
        if metric.statistic is mean and metric.higher_is_better and found <= {0.0, 1.0}:
            return metric.columns[0]
    return None


def sought_examples(pairs: Sequence[Pair], sought: Sought) -> list[Pair]:
    """The examples that fit."""
    fits, words = FILTERS.get(sought.kind, FILTERS["all"])[1], sought.text.strip().lower()
    return [pair for pair in pairs if fits(pair, sought) and (not words or words in _texts(pair))]


def _texts(pair: Pair) -> str:
    parts = [pair[0].id, pair[0].prompt, str(pair[0].gold)]
    for one in pair:
        if one is not None:
            parts.append(str(one.answer))
            choices = one.detail.get("choices")
            parts += [str(choice.get("text")) for choice in choices or () if isinstance(choice, dict)]
    return "\n".join(parts).lower()


def pages(count: int) -> int:
    """How many pages so many examples fill; at least one."""
    return max(1, -(-count // PAGE_EXAMPLES))


def page_markup(pairs: Sequence[Pair], page: int, sought: Sought, prefix: str = "", looks: bool = False) -> str:
    """A page of examples.

    Args:
        page: from 1.
        prefix: the worked examples before every prompt that has none of its own.
        looks: whether each has a button by which its tokens are looked at.
    """
    if not pairs:
        return '<p class="empty">There is no such example. Choose another filter, or search for something else.</p>'
    first = (min(max(1, page), pages(len(pairs))) - 1) * PAGE_EXAMPLES
    shown = pairs[first : first + PAGE_EXAMPLES]
    items = "".join(_example(pair, sought, prefix, looks) for pair in shown)
    words = f"{first + 1:,} to {first + len(shown):,} of {len(pairs):,} examples"
    return f'<section class="examples" aria-label="Examples"><p class="keys" role="status">{words}</p>{items}</section>'


def _example(pair: Pair, sought: Sought, prefix: str, looks: bool) -> str:
    a, b = pair
    two = b is not None
    sides = [("A" if two else "", a), *([("B", b)] if b is not None else [])]
    verdicts = " ".join(
        (f'<i class="side {letter.lower()}">{letter}</i> ' if letter else "") + verdict_markup(one, sought.metric)
        for letter, one in sides
    )
    look = ""
    if looks:
        label = f"Look at the tokens of example {escape(a.id)}"
        look = f'<button type="button" data-look="{a.row}" aria-label="{label}">Look at the tokens</button>'
    return (
        f'<article class="example" aria-label="Example {escape(a.id)}"><header><h4>{escape(a.id)}</h4>'
        f"<span>{verdicts}</span>{look}</header>"
        f"{prompt_markup(a.prompt, prefix if a.prefix is None else a.prefix)}{answers_markup(sides)}</article>"
    )
