"""The leaderboard: every run, the best in front, others' figures marked as theirs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ui.fake_runs import asked, finished, stopped
from workbench.evals.runs.run import Run
from workbench.evaluating import all_tasks
from workbench.ui.benchmark.published_view import published_notes
from workbench.ui.runs import runs_view
from workbench.ui.runs.runs_view import EMPTY, board_markup, opened_markup, protocol_facts, run_metrics, run_title

PAYLOAD = "<img src=x onerror=alert(1)>"


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    """Two runs of piqa, one of wikitext."""
    return [finished(tmp_path, one) for one in (asked(), asked(precision="int8"), asked("wikitext"))]


def test_without_runs_it_says_how_to_make_one() -> None:
    assert board_markup([], []) == EMPTY and "Benchmark" in EMPTY


def test_a_board_has_a_row_for_each_run_and_a_section_for_each_task(runs: list[Run]) -> None:
    shown = board_markup(runs, [])
    assert shown.count("<input") == 3 and shown.count('<section class="board"') == 2


def test_one_tasks_runs_can_be_shown_alone(runs: list[Run]) -> None:
    shown = board_markup(runs, [], "wikitext")
    assert "piqa" not in shown and shown.count("<input") == 1


def test_the_best_run_stands_first(runs: list[Run]) -> None:
    best, worst = sorted(runs[:2], key=lambda run: -run.metrics["acc"].value)
    assert best.metrics["acc"].value > worst.metrics["acc"].value, "the models' salts must tell them apart"
    shown = board_markup(runs, [], "piqa")
    assert shown.index(best.name) < shown.index(worst.name)


def test_the_figure_that_is_asked_for_orders_the_runs_and_is_plotted(runs: list[Run]) -> None:
    best, worst = sorted(runs[:2], key=lambda run: run.metrics["brier_score"].value)
    shown = board_markup(runs, [], "piqa", "brier_score")
    assert shown.index(best.name) < shown.index(worst.name) and "<figcaption>brier_score" in shown


def test_a_task_without_that_figure_is_plotted_by_its_first(runs: list[Run]) -> None:
    shown = board_markup(runs, [], "wikitext", "acc")
    assert "<figcaption>word_perplexity" in shown


def test_published_figures_are_plotted_once_beside_runs_of_their_metric(runs: list[Run]) -> None:
    assert "GPT-J-6B, published" not in board_markup(runs, [], "piqa", "acc")
    assert board_markup(runs, [], "piqa", "acc_norm").count(">GPT-J-6B, published<") == 1


def test_ticked_runs_get_letters_in_the_order_they_were_ticked(runs: list[Run]) -> None:
    shown = board_markup(runs, [runs[1].name, runs[0].name], "piqa")
    assert shown.count(" checked") == 2 and '<i class="side a">A</i> demo · int8' in shown


def test_published_figures_are_marked_and_never_numbered_among_the_runs(runs: list[Run]) -> None:
    shown = board_markup(runs, [], "piqa")
    assert shown.count('<tr class="published">') == 2 and "not measured here" in shown
    assert "GPT-J-6B<small>" in shown and "76.5 %" in shown


def test_every_published_figure_stands_with_its_protocol() -> None:
    for task in all_tasks().values():
        notes = published_notes(task, task.method.metrics)
        assert notes.count("<li>") == len(task.references)
        assert all(reference.protocol[:40].replace("'", "&#x27;") in notes for reference in task.references)


def test_an_unfinished_run_can_be_resumed(tmp_path: Path) -> None:
    run = stopped(tmp_path, asked())
    shown = board_markup([run], [])
    assert "unfinished" in shown and f'data-do="resume" data-name="{run.name}"' in shown


def test_one_run_shows_each_figure_with_its_interval(runs: list[Run]) -> None:
    shown = opened_markup(runs[0])
    assert all(metric.name in shown for metric in run_metrics(runs[0])) and shown.count('class="whisker"') >= 6


def test_a_run_of_a_task_that_is_gone_is_still_shown(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_view, "all_tasks", dict)
    shown = board_markup(runs, [])
    assert "word_perplexity" in shown and "acc_norm" in shown


def test_texts_of_a_run_are_escaped(runs: list[Run]) -> None:
    record = json.loads(json.dumps(dict(runs[0].record)).replace("demo", PAYLOAD.replace('"', "")))
    bad = replace(runs[0], record=record)
    shown = board_markup([bad], [bad.name]) + opened_markup(bad)
    assert PAYLOAD not in shown and PAYLOAD in run_title(bad)


def test_every_field_of_the_protocol_is_listed(runs: list[Run]) -> None:
    facts = protocol_facts(runs[0].record)
    assert facts["model.precision"] == "float32" and facts["data.origin"] == "samples" and "code.sha256" in facts
