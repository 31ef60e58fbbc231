"""The example browser: which examples a filter lets through, a search finds, a page shows, and how one looks."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ui.fake_runs import asked, finished
from workbench.evals.metrics.metric import Metric
from workbench.evals.metrics.statistics import mean
from workbench.evals.prediction import Prediction
from workbench.evals.runs.run import Run
from workbench.ui.runs.example_browser import (
    FILTERS,
    PAGE_EXAMPLES,
    Pair,
    Sought,
    filter_choices,
    judged_by,
    page_markup,
    pages,
    paired_examples,
    sought_examples,
)
from workbench.ui.runs.example_view import answers_markup, measured, right

PAYLOAD = "<img src=x onerror=alert(1)>"
KINDS = {"a_only", "b_only", "both", "neither"}


def one(acc: float, name: str = "x", **changes: object) -> Prediction:
    """An example that was right or wrong."""
    return Prediction(prompt=f"Question {name}", gold=0, answer=int(acc), scores={"acc": acc}, id=name, **changes)  # type: ignore[arg-type]


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Run, Run]:
    """The same examples through two models."""
    return finished(tmp_path, asked(shots=1)), finished(tmp_path, asked(shots=1, precision="int8"))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_who_is_right_sorts_every_example_into_one_of_four(found: list[tuple[bool, bool]]) -> None:
    pairs: list[Pair] = [(one(a, str(n)), one(b, str(n))) for n, (a, b) in enumerate(found)]
    sorted_pairs = [pair for kind in KINDS for pair in sought_examples(pairs, Sought(kind))]
    assert sorted(pair[0].id for pair in sorted_pairs) == sorted(pair[0].id for pair in pairs)
    assert len(sought_examples(pairs, Sought("a_only"))) == sum(a and not b for a, b in found)


def test_failed_and_truncated_examples_of_either_run_are_found() -> None:
    pairs: list[Pair] = [(one(1), one(0, error="too long")), (one(1, unseen_tokens=3), one(1)), (one(1), one(1))]
    assert sought_examples(pairs, Sought("errors")) == pairs[:1]
    assert sought_examples(pairs, Sought("truncated")) == pairs[1:2]


def test_an_example_with_worked_examples_of_its_own_shows_them() -> None:
    shown = page_markup([(one(1, prefix="Mine\n\n"), None), (one(1, "y"), None)], 1, Sought(), "The run's\n\n")
    assert shown.count("Mine") == 1 and shown.count("The run&#x27;s") == 1


def test_a_search_reads_prompts_answers_and_choices() -> None:
    pairs: list[Pair] = [(one(1, "apple"), None), (one(0, "b", detail={"choices": [{"text": "Pear"}]}), None)]
    assert sought_examples(pairs, Sought(text="APPLE ")) == pairs[:1]
    assert sought_examples(pairs, Sought(text="pear")) == pairs[1:]
    assert sought_examples(pairs, Sought(text="plum")) == []


def test_filters_tell_how_many_they_let_through() -> None:
    pairs: list[Pair] = [(one(1), one(0)), (one(1), one(1))]
    judged = Sought(metric="acc")
    assert ("A right, B wrong (1)", "a_only") in filter_choices(pairs, judged, two=True)
    assert [key for _, key in filter_choices(pairs, judged, two=False)] == [
        "all",
        "right",
        "wrong",
        "errors",
        "truncated",
    ]


def test_pages_hold_every_example_once() -> None:
    pairs: list[Pair] = [(one(1, f"n{number}-"), None) for number in range(2 * PAGE_EXAMPLES + 1)]
    shown = "".join(page_markup(pairs, page, Sought()) for page in range(1, pages(len(pairs)) + 1))
    assert all(shown.count(f"Question {pair[0].id}<") == 1 for pair in pairs) and pages(len(pairs)) == 3
    assert page_markup(pairs, 99, Sought()) == page_markup(pairs, 3, Sought())


def test_no_example_says_what_to_do() -> None:
    assert "Choose another filter" in page_markup([], 1, Sought())


def test_only_examples_with_the_same_content_are_paired(runs: tuple[Run, Run]) -> None:
    a, b = runs
    assert len(paired_examples(a, b)) == a.n
    changed = replace(b)
    changed.__dict__["predictions"] = (
        tuple(replace(found, digest="0") for found in b.predictions[:3]) + b.predictions[3:]
    )
    assert len(paired_examples(a, changed)) == a.n - 3


def test_an_example_shows_its_prompt_the_worked_examples_folded_and_both_runs_scores(runs: tuple[Run, Run]) -> None:
    a, b = runs
    prefix = a.record["shots"]["prefix"]
    shown = page_markup(paired_examples(a, b), 1, Sought(), prefix)
    assert prefix and "<summary>Worked examples before it</summary>" in shown
    assert shown.count('class="track"') == PAGE_EXAMPLES * 2 * 2 * 5  # choices, runs, measures
    assert shown.count("right answer") == PAGE_EXAMPLES


@pytest.mark.parametrize(
    "measure, score", [("loglikelihood", -8.0), ("characters", -2.0), ("bytes", -1.0), ("unconditional", 2.0)]
)
def test_a_choices_scores_are_the_metrics_own(measure: str, score: float) -> None:
    choice = {"loglikelihood": -8.0, "characters": 4, "bytes": 8, "unconditional": -10.0}
    assert measured(choice, measure) == score


def test_a_score_by_no_length_is_none() -> None:
    assert measured({"loglikelihood": -1.0, "characters": 0}, "characters") is None and measured({}, "logit") is None


def test_right_is_told_by_the_metric_that_is_asked_for() -> None:
    prediction = one(1)
    assert right(prediction) and right(prediction, "acc") and right(prediction, "f1") is None
    assert right(Prediction(scores={"exact_match": 0.0, "f1": 0.5})) is False and right(Prediction()) is None


def test_what_counts_right_and_wrong_judges_and_what_is_between_does_not() -> None:
    acc, f1 = Metric("acc", ("acc",), mean), Metric("f1", ("f1",), mean)
    found = [Prediction(scores={"f1": 0.5, "acc": 1.0}), Prediction(scores={"f1": 1.0, "acc": 0.0})]
    assert judged_by((f1, acc), found) == "acc" and judged_by((f1,), found) is None
    kinds = [key for _, key in filter_choices([(found[0], found[1])], Sought(), two=True)]
    assert kinds == ["all", "disagree", "errors", "truncated"]


def test_texts_from_outside_are_escaped() -> None:
    bad = one(0, PAYLOAD, error=PAYLOAD, detail={"choices": [{"text": PAYLOAD}], "n_best": [{"text": PAYLOAD}]})
    spoken = Prediction(
        prompt=PAYLOAD, gold=[PAYLOAD], answer=PAYLOAD, scores={"f1": 0.5}, detail={"n_best": [{"text": PAYLOAD}]}
    )
    shown = page_markup([(bad, bad), (spoken, None)], 1, Sought(), PAYLOAD) + answers_markup([("", spoken)])
    assert PAYLOAD not in shown


def test_every_filter_takes_an_example_of_one_run() -> None:
    for kind in FILTERS:
        sought_examples([(one(1), None)], Sought(kind))
