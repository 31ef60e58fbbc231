"""The Benchmark tab's pictures: what a task asks, what stands on the desk, and the figures so far."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from workbench.evals.metrics.metric import Estimate
from workbench.evals.runs.progress import Progress
from workbench.evals.task import Task
from workbench.evaluating import SAMPLES, Evaluation
from workbench.ui.bench import spec_name
from workbench.ui.benchmark.bench_desk import ENDED, Line
from workbench.ui.benchmark.benchmark_form import METHODS
from workbench.ui.benchmark.metric_words import meanings_markup
from workbench.ui.parts import chip, progress_bar, seconds_text
from workbench.ui.runs.compare_view import MOST_COMPARED
from workbench.ui.runs.run_words import NO_VALUE, estimate_text, shots_text

_STATES = {
    "waiting": "waits", "running": "running", "stopping": "stopping", "done": "done", "stopped": "stopped",
    "failed": "failed",
}  # fmt: skip
_CELL_CHARACTERS = 400
_LONGEST_FIRST = (
    '<p class="keys">The longest examples come first, so the figures of a run that has not ended are not those of a '
    "fair part of its rows.</p>"
)
EMPTY_DESK = (
    '<p class="empty">Nothing runs yet. Tick tasks and press <b>Run</b>: the sides above are asked. The runs go on '
    "when this page is closed; its address brings you back to them.</p>"
)
DESK_JS = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-do]");
  if (!button) return;
  if (button.dataset.do === "copy") {
    const address = new URL(button.dataset.query, location.href).href;
    navigator.clipboard?.writeText(address);
    button.textContent = "Copied";
  } else {
    button.disabled = true;
    trigger("press", { name: button.dataset.do + ":" + button.dataset.name });
  }
});
"""
"""A press of a line's button becomes an event whose name is "what:which"."""


def task_markup(task: Task[Any] | None) -> str:
    """What a task asks, of which rows, and a row as an example."""
    if task is None:
        return '<p class="empty">Tick a task: what it asks and a sample of its rows are shown here.</p>'
    source = task.source
    place = f"{len(task.samples)} that come with the project" if task.complete else "a file of your own"
    if source is not None:
        pinned = f" @ {source.revision[:10]}" if source.revision else ""
        place = f"{source.path}{f' / {source.name}' if source.name else ''}, {source.split}{pinned}"
    facts = {
        "Rows": place,
        "Figures": ", ".join(metric.name for metric in task.method.metrics),
        "Columns": ", ".join(task.columns),
    }
    if task.references:
        facts["Published"] = f"{len(task.references):,} of others' figures, shown on the Runs tab"
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(fact)}</dd></div>" for name, fact in facts.items())
    return (
        f'<section class="task-card" aria-label="The task {escape(task.name)}"><div class="card-head">'
        f"<h3>{escape(task.name)}</h3>{chip(METHODS.get(task.method.name, task.method.name))}</div>"
        f'<p>{escape(task.about)}</p><dl class="card-facts">{cells}</dl>'
        f"{meanings_markup(task.method.metrics)}"
        f"<details><summary>A made-up sample row, as a file has it</summary>{row_markup(task.samples[0])}</details>"
        "</section>"
    )


def row_markup(row: Mapping[str, Any]) -> str:
    """A row's cells under their columns."""
    cells = "".join(f"<tr><th scope='row'>{escape(name)}</th><td>{_cell(value)}</td></tr>"
                    for name, value in row.items())  # fmt: skip
    return f'<div class="scroller"><table class="row-table">{cells}</table></div>'


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return escape(text if len(text) <= _CELL_CHARACTERS else text[:_CELL_CHARACTERS] + "…")


def desk_markup(lines: Sequence[Line], batch: str = "", shared: bool = False) -> str:
    """Everything on the desk, the visitor's own batch marked; what to do when there is nothing.

    Args:
        shared: others use the page too, so its keys are for the visitor's own batch alone.
    """
    if not lines:
        return EMPTY_DESK
    waiting = sum(line.state == "waiting" for line in lines)
    ended = sum(line.state in ENDED for line in lines)
    words = f"{ended:,} of {len(lines):,} ended" + (f", {waiting:,} waiting" if waiting else "")
    stoppable = any(line.state not in ENDED and (line.batch == batch or not shared) for line in lines)
    stop = '<button type="button" data-do="stop-all">Stop all</button>' if stoppable else ""
    clear = '<button type="button" data-do="clear">Clear ended</button>' if ended and not shared else ""
    address = _address(batch) if batch else ""
    items = "".join(_line(line, line.batch == batch, shared) for line in sorted(lines, key=_urgency))
    return (
        f'<section class="desk" aria-label="Runs under way"><div class="desk-head"><h3>Runs asked for</h3>'
        f'<span role="status">{words}</span><span class="desk-keys">{stop}{clear}</span></div>'
        f"{address}{_comparisons(lines)}<ol>{items}</ol></section>"
    )


def _comparisons(lines: Sequence[Line]) -> str:
    """A key for each task of a batch that is done on several models: it opens them side by side."""
    by_task: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        by_task.setdefault((line.batch, line.evaluation.task.name), []).append(line)
    keys = ""
    for (_, task), group in by_task.items():
        runs = list(dict.fromkeys(line.run.name for line in group if line.run is not None))[:MOST_COMPARED]
        if len(runs) > 1 and all(line.state in ENDED for line in group):
            words, names = f"Compare {len(runs)} runs of {task}", ",".join(runs)
            keys += (
                f'<button type="button" class="desk-compare" data-do="open" data-name="{escape(names)}">'
                f"{escape(words)}</button>"
            )
    return f'<p class="desk-comparisons">{keys}</p>' if keys else ""


def _urgency(line: Line) -> tuple[int, int]:
    """What runs comes first, then what waits in its order, then what ended, the latest first."""
    if line.state in ENDED:
        return 2, -line.number
    return (1 if line.state == "waiting" else 0), line.number


def _address(batch: str) -> str:
    query = f"?batch={escape(batch)}"
    return (
        f'<p class="desk-address">Close the page if you like: <a href="{query}">this address</a> brings you back. '
        f'<button type="button" data-do="copy" data-query="{query}">Copy address</button></p>'
    )


def _line(line: Line, own: bool, shared: bool) -> str:
    evaluation, state = line.evaluation, _STATES[line.state]
    return (
        f'<li class="{line.state}{" own" if own else ""}"><div class="desk-line"><b>{escape(evaluation.task.name)}</b>'
        f'<span class="desk-model">{escape(asked_words(evaluation))}</span>{_keys(line, own or not shared)}'
        f'<span class="state">{state}</span></div>{_progress(line)}{_figures(line)}</li>'
    )


def asked_words(evaluation: Evaluation) -> str:
    """The model and the settings of an evaluation."""
    options = evaluation.options
    rows = "made-up samples" if evaluation.data == SAMPLES else "own file" if evaluation.data is not None else ""
    parts = [spec_name(evaluation.spec), shots_text(options.shots), rows]
    if evaluation.head:
        parts.append(f"head {evaluation.head}")
    if options.seed:
        parts.append(f"seed {options.seed}")
    return " · ".join(filter(None, parts))


def _keys(line: Line, may_change: bool) -> str:
    """What can be done with a line."""
    if may_change and line.state in ("waiting", "running"):
        return _key("stop", line.number, "Stop", line)
    if may_change and line.state in ("stopped", "failed"):
        return _key("again", line.number, "Resume" if line.state == "stopped" else "Try again", line)
    if line.run is not None:
        return _key("open", line.run.name, "Open", line)
    return ""


def _key(what: str, which: object, words: str, line: Line) -> str:
    label = escape(f"{words} {line.evaluation.task.name} on {spec_name(line.evaluation.spec)}")
    name = escape(str(which))
    return f'<button type="button" data-do="{what}" data-name="{name}" aria-label="{label}">{words}</button>'


def _progress(line: Line) -> str:
    progress = line.progress
    if line.state == "failed":
        return f'<p class="desk-error" role="alert">{escape(line.error)}</p>'
    if line.state == "done":
        return _note(progress)
    if line.state == "waiting":
        return ""
    if progress is None:
        return "" if line.state == "stopped" else progress_bar("Starting", None)
    if not progress.total:
        return progress_bar(progress.note or "Starting", None)
    words = f"{progress.done:,} of {progress.total:,}"
    if progress.seconds_left is not None and line.state == "running":
        words += f", about {_rounded(progress.seconds_left)} left"
    if line.state == "stopped":
        words += " done and kept; Resume goes on from there"
    if line.state == "stopping":
        words += "; stopping after the examples at hand"
    return progress_bar(words, progress.done / progress.total) + _note(progress)


def _note(progress: Progress | None) -> str:
    """What the run says of itself: that it was done before, or goes on from where it stood."""
    return f'<p class="keys">{escape(progress.note)}</p>' if progress is not None and progress.note else ""


def _rounded(seconds: float) -> str:
    """A guess of a duration, without digits that it does not know."""
    return f"{max(1.0, seconds):.0f} s" if seconds < 120 else seconds_text(seconds)


def _figures(line: Line) -> str:
    """Each metric's value on the examples so far; those of a run that is done stand in the table."""
    found = _found(line)
    if not found or line.state == "done":
        return ""
    cells = "".join(
        f"<div><dt>{escape(metric.name)}</dt><dd>{estimate_text(metric, found.get(metric.name))}</dd></div>"
        for metric in line.evaluation.task.method.metrics
        if metric.name in found
    )
    return f'<dl class="desk-figures">{cells}</dl>'


def _found(line: Line) -> Mapping[str, Estimate]:
    """Its metrics: of the finished run, or so far."""
    if line.run is not None:
        return line.run.metrics
    return {} if line.progress is None else line.progress.metrics


def table_markup(lines: Sequence[Line]) -> str:
    """Tasks and their figures downwards, models sideways: the values so far."""
    shown = [line for line in lines if _found(line)]
    if not shown:
        return ""
    models = list(dict.fromkeys(asked_words(line.evaluation) for line in shown))
    by_task: dict[str, dict[str, Line]] = {}
    for line in shown:
        by_task.setdefault(line.evaluation.task.name, {})[asked_words(line.evaluation)] = line
    head = "".join(f'<th scope="col">{escape(model)}</th>' for model in models)
    body = "".join(_task_rows(name, columns, models) for name, columns in by_task.items())
    unfinished = any(line.state != "done" for line in shown)
    title, hint = ("So far", _LONGEST_FIRST) if unfinished else ("Results", "")
    return (
        f'<section class="so-far" aria-label="Figures so far"><h3>{title}</h3>{hint}<div class="scroller" tabindex="0" '
        f'role="group" aria-label="Figures so far"><table><thead><tr><th scope="col">Task</th><th scope="col">Figure'
        f"</th>{head}</tr></thead><tbody>{body}</tbody></table></div></section>"
    )


def _task_rows(name: str, columns: Mapping[str, Line], models: Sequence[str]) -> str:
    metrics = next(iter(columns.values())).evaluation.task.method.metrics
    rows = ""
    for place, metric in enumerate(metrics):
        cells = "".join(_value(columns.get(model), metric.name, not place) for model in models)
        task = f'<th scope="rowgroup" rowspan="{len(metrics)}">{escape(name)}</th>' if not place else ""
        rows += f"<tr>{task}<th scope='row'>{escape(metric.name)}</th>{cells}</tr>"
    return rows


def _value(line: Line | None, name: str, first: bool) -> str:
    if line is None:
        return f"<td>{NO_VALUE}</td>"
    metric = next(metric for metric in line.evaluation.task.method.metrics if metric.name == name)
    estimate = _found(line).get(name)
    words = "" if estimate is None or line.state == "done" or not first else f"<small>n {estimate.n:,}</small>"
    return f"<td>{escape(estimate_text(metric, estimate))}{words}</td>"
