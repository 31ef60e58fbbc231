"""A run as pictures: those that its kind of answers can be drawn as, from its predictions alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.ui.fake_runs import asked, finished
from workbench.evals.prediction import Prediction
from workbench.evals.runs.run import Run
from workbench.ui.charts.histogram import Group, histogram
from workbench.ui.runs.run_pictures import run_pictures

PAYLOAD = "<img src=x onerror=alert(1)>"


def run_of(*predictions: Prediction) -> Run:
    """A run of these."""
    run = Run(Path(), {})
    run.__dict__["predictions"] = predictions
    return run


def chosen(scores: list[float], gold: Any, texts: tuple[str, ...] = ("yes", "no")) -> Prediction:
    """An example that was answered by choosing."""
    choices = [{"text": text, "loglikelihood": score} for text, score in zip(texts, scores, strict=True)]
    return Prediction(prompt="Q", gold=gold, detail={"choices": choices})


def test_classes_have_a_confusion_matrix_and_choices_of_their_own_have_none(tmp_path: Path) -> None:
    assert 'class="confusion"' in run_pictures(finished(tmp_path, asked("ag_news")))
    piqa = run_pictures(finished(tmp_path, asked("piqa")))
    assert 'class="confusion"' not in piqa and 'class="reliability"' in piqa and 'class="histogram"' in piqa


def test_enough_examples_show_their_calibration_before_and_after() -> None:
    few = [chosen([-1.0, -2.0], place % 2) for place in range(19)]
    assert run_pictures(run_of(*few)).count('class="reliability"') == 1
    assert run_pictures(run_of(*few, few[0])).count('class="reliability"') == 2


def test_right_and_wrong_answers_are_counted_apart() -> None:
    shown = run_pictures(run_of(chosen([-1.0, -2.0], 0), chosen([-1.0, -2.0], "no"), chosen([-3.0, -2.0], 1)))
    assert 'aria-label="How sure, and how often right: 2 right, 1 wrong"' in shown


def test_what_failed_or_has_no_scores_is_left_out() -> None:
    failed = replace(chosen([-1.0, -2.0], 0), error="too long")
    unscored = Prediction(detail={"choices": [{"text": "a"}]}, gold=0)
    assert run_pictures(run_of(failed, unscored)) == ""


def test_texts_and_endings_show_their_log_likelihood_a_token() -> None:
    ending = Prediction(scores={"acc": 1.0, "loglikelihood": -4.0}, detail={"tokens": 2})
    shown = run_pictures(run_of(ending, replace(ending, scores={"acc": 0.0, "loglikelihood": -8.0})))
    assert "1 right, 1 wrong" in shown
    text = Prediction(scores={"loglikelihood": -4.0}, detail={"tokens": 2})
    assert "1 texts" in run_pictures(run_of(text))


def test_answers_in_words_show_how_near_they_come() -> None:
    assert "f1 of each example" in run_pictures(run_of(Prediction(scores={"exact_match": 0.0, "f1": 0.4})))


def test_names_of_classes_are_escaped() -> None:
    bad = [chosen([-1.0, -2.0], 0, (PAYLOAD, "no")) for _ in range(3)]
    assert PAYLOAD not in run_pictures(run_of(*bad))


@pytest.mark.parametrize("values", [[0.0], [1.0, 1.0], [-5.0, 3.0], [0.3] * 7, [1e6, -1e-6], [1e-9, 2e-9]])
def test_every_value_stands_in_one_bar(values: list[float]) -> None:
    shown = histogram("t", [Group("all of them", "all", values)], "x")
    titles = [part.partition("</title>")[0] for part in shown.split("<title>")[1:]]
    assert sum(int(title.rpartition(": ")[2].split()[0]) for title in titles) == len(values)


def test_what_is_no_number_is_left_out() -> None:
    assert histogram("t", [Group("none", "all", [float("nan"), float("-inf")])], "x") == ""
