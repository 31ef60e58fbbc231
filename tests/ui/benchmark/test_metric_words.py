"""Every figure that a task comes to is told in words."""

import pytest

from workbench.evals.metrics.metric import Metric
from workbench.evals.metrics.statistics import mean
from workbench.evaluating import all_tasks
from workbench.ui.benchmark.metric_words import ERROR, MEANINGS, meanings_markup


@pytest.mark.parametrize("task", all_tasks().values(), ids=lambda task: task.name)
def test_no_figure_of_a_task_stands_unexplained(task) -> None:  # type: ignore[no-untyped-def]
    shown = meanings_markup(task.method.metrics)
    assert shown.count("<dt>") == len(task.method.metrics) and ERROR in shown


def test_no_meaning_is_of_a_figure_that_no_task_has() -> None:
    assert set(MEANINGS) == {metric.name for task in all_tasks().values() for metric in task.method.metrics}


def test_figures_that_nobody_knows_are_left_out() -> None:
    assert meanings_markup([Metric("<b>", ("<b>",), mean)]) == ""
