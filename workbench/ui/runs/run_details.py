"""A run on paper: its protocol field by field, and the files that others' programs read."""

import secrets
import shutil
from collections.abc import Sequence
from html import escape
from pathlib import Path

from workbench.errors import BadRequest
from workbench.evals.exports.downloads import write_lm_eval, write_results, write_tables
from workbench.evals.runs.run import Run
from workbench.ui.runs.runs_view import letter_of, protocol_facts, run_metrics

_FOLDED = 120
"""Characters of a field, beyond which it is folded."""


def protocol_markup(runs: Sequence[Run]) -> str:
    """Every field of run.json, the runs side by side; those in which they differ are marked."""
    if not runs:
        return ""
    names = [run.name for run in runs]
    facts = [protocol_facts(run.record) for run in runs]
    fields = list(dict.fromkeys(field for one in facts for field in one))
    head = "".join(f'<th scope="col">{letter_of(name, names) if len(runs) > 1 else ""} {escape(name)}</th>'
                   for name in names)  # fmt: skip
    rows = "".join(_field(field, [one.get(field, "–") for one in facts]) for field in fields)
    return (
        '<div class="scroller protocol" tabindex="0" role="group" aria-label="Protocol"><table><thead><tr>'
        f'<th scope="col">run.json</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _field(field: str, values: Sequence[str]) -> str:
    other = ' class="other"' if len(set(values)) > 1 else ""
    cells = "".join(f"<td>{_cell(value)}</td>" for value in values)
    return f'<tr{other}><th scope="row">{escape(field)}</th>{cells}</tr>'


def _cell(value: str) -> str:
    if len(value) <= _FOLDED:
        return escape(value)
    return f"<details><summary>{escape(value[:_FOLDED])}…</summary><pre>{escape(value)}</pre></details>"


def new_folder(cache: str) -> Path:
    """A folder in Gradio's cache that nobody can guess."""
    home = Path(cache) / secrets.token_hex(16)
    home.mkdir(parents=True)
    return home


def run_downloads(runs: Sequence[Run], cache: str) -> list[str]:
    """All files of the runs, in a new folder of Gradio's cache.

    Run folders as they are, predictions as CSV and Parquet, lm-evaluation-harness's two files, and a table of results
    for a spreadsheet and for a paper. What needs a finished run is left out of those that are not.

    Raises:
        BadRequest: nothing is open, or a run is damaged. NotSaved: the disk is full.
    """
    if not runs:
        raise BadRequest("No run is open. Open one first.")
    home, found = new_folder(cache), list[Path]()
    done = [run for run in runs if run.is_done]
    if done:
        found += [write_results(done, home / name) for name in ("results.csv", "results.tex", "results.md")]
    for run in runs:
        found += [*_copied(run, home), *write_tables(run, home)]
        if run.is_done:
            found += write_lm_eval(run, run_metrics(run), home)
    return [str(path) for path in found]


def _copied(run: Run, folder: Path) -> list[Path]:
    """The run's own files as they are, under its name."""
    found = []
    for name in ("run.json", "predictions.jsonl", "cost.json"):
        if (run.folder / name).is_file():
            found.append(folder / f"{run.name}.{name}")
            shutil.copyfile(run.folder / name, found[-1])
    return found
