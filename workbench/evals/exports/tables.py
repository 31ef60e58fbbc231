"""The results of several runs as a table for a paper (LaTeX with booktabs), for a README (Markdown) and for a program.

In a table for people a row is a metric of a task, all of a task's below each other, and a column a model asked in one
way. A cell is the value with its standard error; shares are in percent, and the best value of a row is bold. Where two
runs would share a cell, their columns have the runs' names.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.errors import BadRequest
from workbench.evals.metrics.metric import Estimate
from workbench.evals.runs.run import Run

NO_VALUE = "–"
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{sign: "\\" + sign for sign in "&%$#_{}"},
    **{sign: f"{{{sign}}}" for sign in "[*"},  # which a line's end would take for its own
}


@dataclass(frozen=True)
class Line:
    """A metric of a task."""

    task: str
    metric: str
    higher_is_better: bool
    is_share: bool


@dataclass(frozen=True)
class ResultTable:
    """The runs' estimates by metric and by how the model was asked."""

    lines: tuple[Line, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[Estimate | None, ...], ...]
    """(lines, columns); None: no run, or nothing that counts."""

    def is_best(self, line: int, column: int) -> bool:
        """Whether a cell has the best value of its line, of at least two."""
        values = [cell.value for cell in self.cells[line] if cell is not None]
        cell, best = self.cells[line][column], max if self.lines[line].higher_is_better else min
        return cell is not None and len(values) > 1 and cell.value == best(values)


def results_rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """A line for each run and metric, with what names the protocol."""
    return [
        {
            "run": run.name,
            "task": run.task,
            "model": run.record["model"]["checkpoint"],
            "revision": run.record["model"]["revision"],
            "precision": run.record["model"]["precision"],
            "head": (run.record["model"]["head"] or {}).get("name"),
            "shots": run.record["shots"]["count"],
            "limit": run.record["limit"],
            "seed": run.record["shots"]["seed"],
            "metric": name,
            "value": found.value,
            "stderr": found.stderr,
            "n": found.n,
            "higher_is_better": run.record["metrics"][name]["higher_is_better"],
        }
        for run in runs
        for name, found in run.metrics.items()
    ]


def results_table(runs: Sequence[Run]) -> ResultTable:
    """The table of runs that are done, in their order; of each task first the metric to look at first.

    Raises:
        BadRequest: none of the runs is done.
    """
    done = [run for run in runs if run.metrics]
    if not done:
        raise BadRequest("None of the runs is done, so there are no results to show. Finish one first.")
    asked = Counter((run.task, _asked(run)) for run in done)
    clashing = {label for (_, label), count in asked.items() if count > 1}
    found: dict[str, dict[tuple[str, str], Estimate]] = {}
    for run in done:
        label = _asked(run) if _asked(run) not in clashing else f"{_asked(run)}, {run.name}"
        found.setdefault(label, {}).update({(run.task, name): estimate for name, estimate in run.metrics.items()})
    of_tasks = sorted(done, key=lambda run: list(dict.fromkeys(one.task for one in done)).index(run.task))
    lines = tuple(dict.fromkeys(line for run in of_tasks for line in _lines(run)))
    cells = tuple(tuple(of_model.get((line.task, line.metric)) for of_model in found.values()) for line in lines)
    return ResultTable(lines, tuple(found), cells)


def latex_table(runs: Sequence[Run]) -> str:
    r"""A tabular environment for the booktabs package.

    Raises:
        BadRequest: none of the runs is done.
    """
    table = results_table(runs)
    head, *body = (" & ".join(map(_latex, labels)) for labels in _labels(table))
    cells = _texts(table, _latex_cell)
    lines = [
        "% Needs \\usepackage{booktabs}.",
        f"\\begin{{tabular}}{{ll{'r' * len(table.columns)}}}",
        "\\toprule",
        " & ".join([head, *map(_latex, table.columns)]) + r" \\",
        "\\midrule",
        *(" & ".join([labels, *values]) + r" \\" for labels, values in zip(body, cells, strict=True)),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def markdown_table(runs: Sequence[Run]) -> str:
    """A table as GitHub shows it.

    Raises:
        BadRequest: none of the runs is done.
    """
    table = results_table(runs)
    head, *body = _labels(table)
    rule = _markdown_line(["---", "---", *["---:"] * len(table.columns)], escape=False)
    cells = zip(body, _texts(table, _markdown_cell), strict=True)
    lines = [_markdown_line([*head, *table.columns]), rule]
    return "\n".join([*lines, *(_markdown_line([*labels, *values]) for labels, values in cells)]) + "\n"


def _lines(run: Run) -> list[Line]:
    """All metrics of a run that is done."""
    told = run.record["metrics"]
    return [
        Line(run.task, name, bool(told[name]["higher_is_better"]), bool(told[name].get("is_share", False)))
        for name in run.metrics
    ]


def _labels(table: ResultTable) -> list[tuple[str, str]]:
    """What the head and each line begin with; a task is named once."""
    tasks = [line.task for line in table.lines]
    named = [task if place == 0 or tasks[place - 1] != task else "" for place, task in enumerate(tasks)]
    return [("Task", "Metric"), *zip(named, map(_unit, table.lines), strict=True)]


def _asked(run: Run) -> str:
    """The model, and how it was asked."""
    shots, limit = run.record["shots"]["count"], run.record["limit"]
    first = "" if limit is None else f", first {limit:,}"
    return f"{run.model}, {shots}-shot{first}"


def _unit(line: Line) -> str:
    return f"{line.metric} (%)" if line.is_share else line.metric


def _texts(table: ResultTable, cell: Callable[[str, str, bool], str]) -> list[list[str]]:
    """Each cell as `cell` writes a value, an error and whether it is the best."""
    return [
        [
            NO_VALUE if found is None else cell(*_rounded(found, line), table.is_best(row, column))
            for column, found in enumerate(table.cells[row])
        ]
        for row, line in enumerate(table.lines)
    ]


def _rounded(found: Estimate, line: Line) -> tuple[str, str]:
    """Value and standard error with as many decimals as say something; the error is empty where there is none."""
    scale = 100.0 if line.is_share else 1.0
    decimals = 1 if line.is_share else sum(abs(found.value) < bound for bound in (10, 100, 1000))
    stderr = "" if found.stderr is None else f"{scale * found.stderr:.{decimals}f}"
    return f"{scale * found.value:.{decimals}f}", stderr


def _latex_cell(value: str, stderr: str, is_best: bool) -> str:
    shown = rf"\textbf{{{value}}}" if is_best else value
    return rf"{shown} $\pm$ {stderr}" if stderr else shown


def _markdown_cell(value: str, stderr: str, is_best: bool) -> str:
    shown = f"**{value}**" if is_best else value
    return f"{shown} ± {stderr}" if stderr else shown


def _latex(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in " ".join(text.split()))


def _markdown_line(cells: Sequence[str], escape: bool = True) -> str:
    written = [" ".join(cell.split()).replace("|", r"\|") if escape else cell for cell in cells]
    return f"| {' | '.join(written)} |"
