"""The results of several runs as a table for a paper (LaTeX with booktabs), for a README (Markdown) and for a program.

In a table for people a row is a model asked in one way, a column a task's first metric, a cell the value with its
standard error; shares are in percent, and the best value of a column is bold. Where two runs would share a cell, their
rows have the runs' names.
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
class Column:
    """A metric of a task."""

    task: str
    metric: str
    higher_is_better: bool
    is_share: bool


@dataclass(frozen=True)
class ResultTable:
    """The runs' estimates by how the model was asked and by metric."""

    columns: tuple[Column, ...]
    rows: tuple[str, ...]
    cells: tuple[tuple[Estimate | None, ...], ...]
    """(rows, columns); None: no run, or nothing that counts."""

    def is_best(self, row: int, column: int) -> bool:
        """Whether a cell has the best value of its column, of at least two."""
        of_column = [cells[column] for cells in self.cells]
        values = [cell.value for cell in of_column if cell is not None]
        cell, best = of_column[row], max if self.columns[column].higher_is_better else min
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
    """The table of runs that are done, in their order, with the metric that each task looks at first.

    Raises:
        BadRequest: none of the runs is done.
    """
    done = [run for run in runs if run.metrics]
    if not done:
        raise BadRequest("None of the runs is done, so there are no results to show. Finish one first.")
    columns = tuple(dict.fromkeys(map(_column, done)))
    asked = Counter((run.task, _asked(run)) for run in done)
    clashing = {label for (_, label), count in asked.items() if count > 1}
    found: dict[str, dict[tuple[str, str], Estimate]] = {}
    for run in done:
        label = _asked(run) if _asked(run) not in clashing else f"{_asked(run)}, {run.name}"
        found.setdefault(label, {}).update({(run.task, name): estimate for name, estimate in run.metrics.items()})
    cells = tuple(tuple(of_row.get((column.task, column.metric)) for column in columns) for of_row in found.values())
    return ResultTable(columns, tuple(found), cells)


def latex_table(runs: Sequence[Run]) -> str:
    r"""A tabular environment for the booktabs package.

    Raises:
        BadRequest: none of the runs is done.
    """
    table = results_table(runs)
    cells = _texts(table, _latex_cell)
    head = " & ".join(["Model", *(f"{_latex(column.task)} {_latex(_unit(column))}" for column in table.columns)])
    body = [" & ".join([_latex(label), *of_row]) for label, of_row in zip(table.rows, cells, strict=True)]
    lines = [
        "% Needs \\usepackage{booktabs}.",
        f"\\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        "\\toprule",
        head + r" \\",
        "\\midrule",
        *(line + r" \\" for line in body),
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
    head = ["Model", *(f"{column.task} {_unit(column)}" for column in table.columns)]
    body = [[label, *cells] for label, cells in zip(table.rows, _texts(table, _markdown_cell), strict=True)]
    lines = [_markdown_line(head), _markdown_line(["---", *["---:"] * len(table.columns)], escape=False)]
    return "\n".join([*lines, *map(_markdown_line, body)]) + "\n"


def _column(run: Run) -> Column:
    """The first metric of a run that is done."""
    name = next(iter(run.metrics))
    about = run.record["metrics"][name]
    return Column(run.task, name, bool(about["higher_is_better"]), bool(about.get("is_share", False)))


def _asked(run: Run) -> str:
    """The model, and how it was asked."""
    shots, limit = run.record["shots"]["count"], run.record["limit"]
    first = "" if limit is None else f", first {limit:,}"
    return f"{run.model}, {shots}-shot{first}"


def _unit(column: Column) -> str:
    return f"{column.metric} (%)" if column.is_share else column.metric


def _texts(table: ResultTable, cell: Callable[[str, str, bool], str]) -> list[list[str]]:
    """Each cell as `cell` writes a value, an error and whether it is the best."""
    return [
        [
            NO_VALUE if found is None else cell(*_rounded(found, column), table.is_best(row, place))
            for place, (column, found) in enumerate(zip(table.columns, of_row, strict=True))
        ]
        for row, of_row in enumerate(table.cells)
    ]


def _rounded(found: Estimate, column: Column) -> tuple[str, str]:
    """Value and standard error with as many decimals as say something; the error is empty where there is none."""
    scale = 100.0 if column.is_share else 1.0
    decimals = 1 if column.is_share else sum(abs(found.value) < bound for bound in (10, 100, 1000))
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
