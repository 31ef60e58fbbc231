"""Runs as files for other programs: lm-evaluation-harness's, spreadsheets, data frames, papers.

Each file is written whole or not at all.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.errors import BadRequest
from workbench.evals.exports.lm_eval import file_date, results_record, sample_records
from workbench.evals.exports.predictions import frame, prepare_folder, write_csv, written_whole
from workbench.evals.exports.tables import latex_table, markdown_table, results_rows
from workbench.evals.metrics.metric import Metric
from workbench.evals.runs.run import Run
from workbench.json_values import json_value


def write_tables(run: Run, folder: Path) -> tuple[Path, Path]:
    """A run's predictions as CSV, where no cell is a formula, and as Parquet, where every text is as it is.

    Raises:
        BadRequest: the folder can't be used. NotSaved: the disk is full.
    """
    prepare_folder(folder)
    table = frame(run.predictions)
    csv, parquet = (folder / f"{run.name}.predictions.{ending}" for ending in ("csv", "parquet"))
    with written_whole(csv) as part:
        write_csv(table, part)
    with written_whole(parquet) as part:
        _one_type_each(table).to_parquet(part, index=False)
    return csv, parquet


def write_lm_eval(run: Run, metrics: Sequence[Metric], folder: Path) -> tuple[Path, Path]:
    """A run that is done in lm-evaluation-harness's two files, results and samples, in a folder of the run's name.

    Args:
        metrics: of the task's method.

    Raises:
        BadRequest: the run is not done, or the folder can't be used. NotSaved: the disk is full.
    """
    if not run.is_done:
        raise BadRequest(f"{run.name} is not done: lm-eval's format is for whole runs. Finish it first.")
    home = folder / run.name
    prepare_folder(home)
    results = home / f"results_{file_date(run)}.json"
    samples = home / f"samples_{run.task}_{file_date(run)}.jsonl"
    lines = (json.dumps(json_value(one), ensure_ascii=False) + "\n" for one in sample_records(run, metrics))
    _write_text(results, [json.dumps(json_value(results_record(run, metrics)), ensure_ascii=False, indent=2) + "\n"])
    _write_text(samples, lines)
    return results, samples


def write_results(runs: Sequence[Run], path: Path) -> Path:
    """The results of several runs, by the path's ending: .csv and .json (a line for each metric), .tex, .md (a table).

    Raises:
        BadRequest: none of the runs is done, another ending, or the folder can't be used. NotSaved: the disk is full.
    """
    writers: dict[str, Callable[[Path], None]] = {
        ".csv": lambda part: write_csv(pd.DataFrame(results_rows(runs), dtype=object), part),
        ".json": partial(_json_to, results_rows(runs)),
        ".tex": lambda part: _text_to([latex_table(runs)], part),
        ".md": lambda part: _text_to([markdown_table(runs)], part),
    }
    if path.suffix.lower() not in writers:
        raise BadRequest(f"Results can't be written as {path.name!r}. Its name must end in {', '.join(writers)}.")
    if not any(run.metrics for run in runs):
        raise BadRequest("None of the runs is done, so there are no results to write. Finish one first.")
    prepare_folder(path.parent)
    with written_whole(path) as part:
        writers[path.suffix.lower()](part)
    return path


def _json_to(rows: list[dict[str, Any]], path: Path) -> None:
    _text_to([json.dumps(json_value(rows), ensure_ascii=False, indent=2) + "\n"], path)


def _write_text(path: Path, pieces: Iterable[str]) -> None:
    with written_whole(path) as part:
        _text_to(pieces, part)


def _text_to(pieces: Iterable[str], path: Path) -> None:
    """What UTF-8 can't hold, half of a surrogate pair, becomes the escape that JSON has for it."""
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
        stream.writelines(pieces)


def _one_type_each(table: pd.DataFrame) -> pd.DataFrame:
    """The table with columns that Parquet can hold: one whose cells are of several types becomes one of texts."""
    return pd.DataFrame({name: _of_one_type(column) for name, column in table.items()})


def _of_one_type(column: "pd.Series[Any]") -> "pd.Series[Any]":
    there = column[column.notna()]
    types = {type(cell) for cell in there}
    if len(types) < 2 or types == {int, float}:
        return column.infer_objects()
    return column.where(column.isna(), column.map(str))
