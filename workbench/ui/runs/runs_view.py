"""The leaderboard: every run of a task, others' published figures below them, and the values with their intervals."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from workbench.evals.metrics.estimates import interval
from workbench.evals.metrics.metric import Estimate, Metric
from workbench.evals.metrics.statistics import mean
from workbench.evals.runs.run import Run
from workbench.evals.task import Task
from workbench.evaluating import all_tasks
from workbench.ui.benchmark.metric_words import meanings_markup
from workbench.ui.benchmark.published_view import CHANCE, nearest_references, published_notes, published_rows
from workbench.ui.charts.run_plots import Mark, interval_plot
from workbench.ui.parts import bytes_text, chip, seconds_text
from workbench.ui.runs.run_pictures import run_pictures
from workbench.ui.runs.run_words import NO_VALUE, model_text, shots_text, value_text

EMPTY = (
    '<p class="empty">There are no runs yet. Run a task on the <b>Benchmark</b> tab, or with '
    "<code>python -m workbench evaluate</code>: each run appears here and stays.</p>"
)
BOARD_JS = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-do]");
  if (button) trigger("press", { name: button.dataset.do + ":" + button.dataset.name });
});
element.addEventListener("change", (event) => {
  if (event.target.matches("input[data-run]"))
    trigger("press", { name: (event.target.checked ? "pick:" : "drop:") + event.target.dataset.run });
});
"""
_MOST_PLOTTED = 12
_MOST_TASKS_PLOTTED = 2
"""Of more tasks the tables alone are shown."""


def run_metrics(run: Run) -> list[Metric]:
    """The metrics of a run as its task has them now; of a task that is gone, as the run itself tells them."""
    task = all_tasks().get(run.task)
    if task is not None:
        return list(task.method.metrics)
    return [
        Metric(name, (name,), mean, bool(about.get("higher_is_better")), is_share=bool(about.get("is_share")))
        for name, about in run.record.get("metrics", {}).items()
    ]


def settings_text(run: Run) -> str:
    """What a run was asked with, beside its model."""
    data = run.record["data"]
    shots = int(run.record["shots"].get("count", 0))
    rows = {"samples": "samples", "file": f"file {data.get('path')}"}.get(str(data.get("origin")), "")
    return " · ".join(filter(None, (shots_text(shots), rows)))


def run_title(run: Run) -> str:
    """A run in one line, for lists."""
    number = run.name.rpartition("-")[2][:6]
    return f"{run.task} · {model_text(run.record['model'])} · {settings_text(run)} · n {run.n:,} · {number}"


def when_text(began: str) -> str:
    """A day and a time, UTC, for people."""
    try:
        return datetime.fromisoformat(began).strftime("%d %b %Y, %H:%M")
    except ValueError:
        return NO_VALUE


def board_markup(runs: Sequence[Run], picked: Sequence[str], only: str = "", figure: str = "") -> str:
    """A table and a plot for each task.

    Args:
        picked: the folders' names of the runs that are ticked, in the order they were.
        only: a task's name; empty: all.
        figure: the name of the metric that orders and is plotted; where a task lacks it, its first one is.
    """
    by_task: dict[str, list[Run]] = {}
    for run in runs:
        if only in ("", run.task):
            by_task.setdefault(run.task, []).append(run)
    if not by_task:
        return EMPTY
    plotted = len(by_task) <= _MOST_TASKS_PLOTTED
    return "".join(_task(name, found, picked, plotted, figure) for name, found in sorted(by_task.items()))


def _task(name: str, runs: Sequence[Run], picked: Sequence[str], plotted: bool, figure: str) -> str:
    task, metrics = all_tasks().get(name), run_metrics(runs[0])
    headline = next((metric for metric in metrics if metric.name == figure), metrics[0] if metrics else None)
    ordered = sorted(runs, key=lambda run: _place(run, headline))
    about = f"<p>{escape(task.about)}</p>" if task is not None else ""
    plot = _plot(ordered, headline, task, picked) if plotted and headline else ""
    kind = chip(f"{len(runs)} run{'' if len(runs) == 1 else 's'}")
    return (
        f'<section class="board" aria-label="Runs of {escape(name)}"><div class="card-head"><h3>{escape(name)}</h3>'
        f"{kind}</div>{about}{_table(ordered, metrics, task, picked)}{plot}{meanings_markup(metrics)}"
        f"{published_notes(task, metrics)}</section>"
    )


def _place(run: Run, metric: Metric | None) -> tuple[bool, float]:
    """Finished runs first, the best in front."""
    found = run.metrics.get(metric.name) if metric is not None else None
    if found is None or metric is None:
        return True, 0.0
    return False, -found.value if metric.higher_is_better else found.value


def _table(runs: Sequence[Run], metrics: Sequence[Metric], task: Task[Any] | None, picked: Sequence[str]) -> str:
    names = "".join(f'<th scope="col">{escape(_headed(metric))}</th>' for metric in metrics)
    head = (
        f'<th scope="col"><span class="sr">Compare</span></th><th scope="col">Model</th>{names}'
        '<th scope="col">n</th><th scope="col">Time</th><th scope="col">When (UTC)</th><th></th>'
    )
    rows = "".join(_row(run, metrics, picked) for run in runs)
    return (
        '<div class="scroller" tabindex="0" role="group" aria-label="Table of runs"><table><thead><tr>'
        f"{head}</tr></thead><tbody>{rows}{published_rows(task, metrics)}</tbody></table></div>"
    )


def _headed(metric: Metric) -> str:
    return f"{metric.name} {'↑' if metric.higher_is_better else '↓'}"


def _row(run: Run, metrics: Sequence[Metric], picked: Sequence[str]) -> str:
    name, estimates, cost = run.name, run.metrics, run.cost
    ticked = " checked" if name in picked else ""
    letter = f'<i class="side {letter_of(name, picked).lower()}">{letter_of(name, picked)}</i> ' if ticked else ""
    title = escape(run_title(run))
    values = "".join(f"<td>{_value(estimates.get(metric.name), metric)}</td>" for metric in metrics)
    state = "" if run.is_done else chip("running" if run.state == "running" else "unfinished", "device")
    again = "" if run.is_done or run.state == "running" else _key("resume", name, "Resume", title)
    return (
        f'<tr class="{"picked" if ticked else ""}"><td><input type="checkbox" data-run="{escape(name)}"{ticked} '
        f'aria-label="Compare {title}"></td><th scope="row">{letter}{escape(model_text(run.record["model"]))}'
        f"<small>{escape(settings_text(run))} {state}</small></th>{values}<td>{run.n:,}{_flaws(run)}</td>"
        f"<td>{seconds_text(cost.seconds) if cost.sittings else NO_VALUE}</td>"
        f"<td>{_when(cost.began)}</td>"
        f'<td class="keys-cell">{_key("open", name, "Open", title)}{again}</td></tr>'
    )


def _when(began: str) -> str:
    day, _, time = when_text(began).partition(", ")
    return f"{day}<small>{time}</small>"


def _flaws(run: Run) -> str:
    """Errors and truncated prompts, where there are any."""
    words = [f"{run.errors:,} failed"] if run.errors else []
    words += [f"{run.truncated:,} truncated"] if run.truncated else []
    return f'<small class="bad">{", ".join(words)}</small>' if words else ""


def letter_of(name: str, picked: Sequence[str]) -> str:
    """A, B, C, ... for the runs that are ticked, in their order."""
    return chr(ord("A") + list(picked).index(name) % 26)


def _key(what: str, name: str, words: str, title: str) -> str:
    return (
        f'<button type="button" data-do="{what}" data-name="{escape(name)}" aria-label="{words} {title}">'
        f"{words}</button>"
    )


def _value(estimate: Estimate | None, metric: Metric) -> str:
    if estimate is None:
        return NO_VALUE
    error = "" if estimate.stderr is None else value_text(estimate.stderr, None, metric.is_share).removesuffix(" %")
    number = value_text(estimate.value, None, metric.is_share)
    return f"<b>{number}</b>" + (f"<small>± {error}</small>" if error else "")


def _plot(runs: Sequence[Run], metric: Metric, task: Task[Any] | None, picked: Sequence[str]) -> str:
    """A metric's values and intervals, the published ones among them."""
    marks = [_mark(run, metric, run.metrics[metric.name], picked) for run in runs if metric.name in run.metrics]
    marks = marks[:_MOST_PLOTTED]
    if not marks:
        return ""
    for reference in nearest_references(task):
        if reference.metric == metric.name:
            words = value_text(reference.value, None, metric.is_share)
            whose = "" if reference.model == CHANCE else ", published"
            marks.append(Mark(f"{reference.model}{whose}", reference.value, None, None, words, "published"))
    unit = "percent" if metric.is_share else ""
    better = "higher is better" if metric.higher_is_better else "lower is better"
    note = ", ".join(filter(None, (unit, better, "lines are 95 % intervals")))
    return interval_plot(metric.name, marks, metric.is_share, note=note)


def _mark(run: Run, metric: Metric, estimate: Estimate, picked: Sequence[str]) -> Mark:
    low, high = interval(metric, estimate) or (None, None)
    words = value_text(estimate.value, estimate.stderr, metric.is_share)
    kind, name = "ours", run.name
    title = f"{model_text(run.record['model'])}, {settings_text(run)}"
    if name in picked:
        letter = letter_of(name, picked)
        kind, title = letter.lower(), f"{letter}: {title}"
    return Mark(title, estimate.value, low, high, words, kind)


def opened_markup(run: Run) -> str:
    """One run: each figure with its error and its 95 % interval, and what it took."""
    metrics, cost = run_metrics(run), run.cost
    marks: dict[bool, list[Mark]] = {True: [], False: []}
    for metric in metrics:
        if metric.name in run.metrics:
            found = run.metrics[metric.name]
            low, high = interval(metric, found) or (None, None)
            words = value_text(found.value, found.stderr, metric.is_share)
            marks[metric.is_share].append(Mark(metric.name, found.value, low, high, words))
    facts = {
        "Examples": f"{run.n:,} of {run.rows:,}",
        "Failed": f"{run.errors:,}",
        "Truncated": f"{run.truncated:,}",
        "Time": seconds_text(cost.seconds),
        "Tokens": f"{cost.tokens:,}" if cost.tokens else NO_VALUE,
        "Weights": bytes_text(cost.model_bytes),
        "Begun (UTC)": when_text(cost.began),
    }
    cells = "".join(f"<div><dt>{name}</dt><dd>{escape(fact)}</dd></div>" for name, fact in facts.items())
    plots = interval_plot("Figures", marks[True], True, note="percent; lines are 95 % intervals") + interval_plot(
        "Figures in their own unit", marks[False], False, note="lines are 95 % intervals"
    )
    asked = escape(f"{model_text(run.record['model'])}, {settings_text(run)}")
    return (
        f'<section class="compared" aria-label="The run"><h3>{escape(run.task)} <span>{asked}</span></h3>'
        f'<dl class="figures few">{cells}</dl>'
        f'<div class="metric-figures">{plots}</div>{run_pictures(run)}</section>'
    )


def protocol_facts(record: Mapping[str, Any]) -> dict[str, str]:
    """Every field of a run's protocol as one flat list: "model.precision" and what it is."""
    found: dict[str, str] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{inner}": text for inner, text in protocol_facts(value).items()}
        elif isinstance(value, list):
            found[name] = ", ".join(map(str, value)) if len(value) <= 20 else f"{len(value):,} values"
        else:
            found[name] = "–" if value is None else str(value)
    return found
