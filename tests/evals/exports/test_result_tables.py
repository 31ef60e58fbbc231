"""Tables of several runs."""

from pathlib import Path
from typing import Any

import pytest

from workbench.errors import BadRequest
from workbench.evals.exports.tables import latex_table, markdown_table, results_rows, results_table
from workbench.evals.metrics.metric import Estimate
from workbench.evals.runs.run import Run

ACCURACY = {"higher_is_better": True, "is_share": True}
LOSS = {"higher_is_better": False, "is_share": False}


def run(model: str, task: str = "piqa", shots: int = 0, limit: int | None = None, **metrics: Any) -> Run:
    """A run with values and standard errors; without any it is not done."""
    kinds = {"acc": ACCURACY, "perplexity": LOSS}
    found = {
        name: {"value": value, "stderr": stderr, "n": 100, **kinds[name]} for name, (value, stderr) in metrics.items()
    }
    record = {
        "model": {"checkpoint": model, "precision": "float32", "revision": None, "head": None},
        "shots": {"count": shots, "seed": 0},
        "task": {"name": task},
        "limit": limit,
        "metrics": found,
    }
    return Run(Path(f"{task}-{model}-{shots}"), record)


def test_a_row_is_a_metric_of_a_task_and_a_column_a_model() -> None:
    table = results_table([run("a", acc=(0.5, 0.1), perplexity=(9.0, 1.0)), run("b", "sst2", acc=(0.75, None))])
    assert table.columns == ("a float32, 0-shot", "b float32, 0-shot")
    assert [(one.task, one.metric) for one in table.lines] == [("piqa", "acc"), ("piqa", "perplexity"), ("sst2", "acc")]
    assert table.cells == (
        (Estimate(0.5, 0.1, 100), None),
        (Estimate(9.0, 1.0, 100), None),
        (None, Estimate(0.75, None, 100)),
    )


def test_the_metrics_of_a_task_stand_together_whatever_the_order_of_runs() -> None:
    runs = [run("a", acc=(0.5, 0.1)), run("a", "sst2", acc=(0.5, 0.1)), run("b", acc=(0.5, 0.1), perplexity=(9.0, 1.0))]
    assert [one.task for one in results_table(runs).lines] == ["piqa", "piqa", "sst2"]


def test_runs_that_would_share_a_cell_have_columns_of_their_own() -> None:
    first, second = run("a", acc=(0.5, 0.1)), Run(Path("other"), run("a", acc=(0.6, 0.1)).record)
    assert results_table([first, second]).columns == ("a float32, 0-shot, piqa-a-0", "a float32, 0-shot, other")


def test_shots_and_limit_make_another_column() -> None:
    columns = results_table([run("a", acc=(0.5, 0.1)), run("a", shots=5, limit=1000, acc=(0.6, 0.1))]).columns
    assert columns == ("a float32, 0-shot", "a float32, 5-shot, first 1,000")


@pytest.mark.parametrize("metric, best", [("acc", 1), ("perplexity", 0)])
def test_the_best_is_the_highest_share_and_the_lowest_loss(metric: str, best: int) -> None:
    table = results_table([run("a", **{metric: (0.25, 0.1)}), run("b", **{metric: (0.5, 0.1)})])
    assert [table.is_best(0, column) for column in range(2)] == [column == best for column in range(2)]


def test_one_run_alone_is_not_the_best() -> None:
    assert not results_table([run("a", acc=(0.5, 0.1))]).is_best(0, 0)


def test_latex_is_escaped_and_bold_where_best() -> None:
    text = latex_table(
        [run("x_1 & 50%", acc=(0.6731, 0.0042)), run(r"b\~", acc=(0.5, None)), run("c", "sst2", acc=(1, 0))]
    )
    names = r"x\_1 \& 50\% float32, 0-shot & b\textbackslash{}\textasciitilde{} float32, 0-shot & c float32, 0-shot"
    assert rf"Task & Metric & {names} \\" in text
    assert r"piqa & acc (\%) & \textbf{67.3} $\pm$ 0.4 & 50.0 & – \\" in text
    assert r"sst2 & acc (\%) & – & – & 100.0 $\pm$ 0.0 \\" in text
    assert r"\begin{tabular}{llrrr}" in text


def test_latex_takes_no_name_for_the_length_or_the_star_of_a_lines_end() -> None:
    text = latex_table([run("a", "[b]", acc=(0.5, 0.1)), run("a", "*c", acc=(0.6, 0.1))])
    assert "\n{[}b] & acc" in text and "\n{*}c & acc" in text


def test_a_task_is_named_once() -> None:
    text = markdown_table([run("a", acc=(0.5, 0.1), perplexity=(9.0, 1.0))])
    assert "| piqa | acc (%) | 50.0 ± 10.0 |\n|  | perplexity | 9.000 ± 1.000 |" in text


def test_markdown_is_escaped_and_bold_where_best() -> None:
    text = markdown_table([run("a|b\nc", perplexity=(12.3456, 0.5)), run("d", perplexity=(13.0, None))])
    assert "| Task | Metric | a\\|b c float32, 0-shot | d float32, 0-shot |" in text
    assert "| piqa | perplexity | **12.35** ± 0.50 | 13.00 |" in text


@pytest.mark.parametrize("value, shown", [(0.12345, "0.123"), (45.678, "45.68"), (456.78, "456.8"), (4567.8, "4568")])
def test_a_loss_has_fewer_decimals_the_larger_it_is(value: float, shown: str) -> None:
    assert f"| {shown} |" in markdown_table([run("a", perplexity=(value, None))])


def test_a_line_names_the_protocol() -> None:
    (line,) = results_rows([run("a", shots=3, acc=(0.5, 0.1))])
    assert {name: line[name] for name in ("task", "model", "precision", "shots", "metric", "value", "stderr", "n")} == {
        "task": "piqa",
        "model": "a",
        "precision": "float32",
        "shots": 3,
        "metric": "acc",
        "value": 0.5,
        "stderr": 0.1,
        "n": 100,
    }


def test_runs_that_are_not_done_have_no_results() -> None:
    with pytest.raises(BadRequest, match="None of the runs is done"):
        latex_table([run("a")])
