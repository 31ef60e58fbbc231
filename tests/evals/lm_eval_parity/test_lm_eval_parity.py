"""Our numbers beside lm-evaluation-harness 0.4.13's, which golden.json keeps."""

import json
from typing import Any

import pytest

from tests.evals.lm_eval_parity.cases import GOLDEN, Case, cases
from tests.evals.lm_eval_parity.ours import our_numbers
from tests.evals.lm_eval_parity.side_numbers import (
    LOGLIKELIHOOD_TOLERANCE,
    Numbers,
    different_metrics,
    from_json,
    largest_difference,
)
from tests.evals.lm_eval_parity.tiny_model import fingerprint, our_model
from tests.tasks.shared_rows import DATA

CONTENT = json.loads(GOLDEN.read_text(encoding="utf-8"))
SETS = sorted({tuple(key.split(", ")[:2]) for key in CONTENT["cases"]})
each_set = pytest.mark.parametrize(("name", "origin"), SETS)


@pytest.fixture(scope="module")
def compared() -> Any:
    """Both sides' numbers of a task's cases, computed once."""
    found: dict[tuple[str, str], list[tuple[Case, Numbers, Numbers]]] = {}

    def of(name: str, origin: str) -> list[tuple[Case, Numbers, Numbers]]:
        if origin == "shared" and not DATA.is_dir():
            pytest.skip("the data sets of ../shared/data are not here")
        if (name, origin) not in found:
            found[name, origin] = [_both(case) for case in cases(name, origin)]
        return found[name, origin]

    return of


def _both(case: Case) -> tuple[Case, Numbers, Numbers]:
    golden = CONTENT["cases"][case.key]
    assert golden["rows_sha256"] == case.digest, "other rows: make the golden file anew"
    model = our_model(case.context_tokens)
    try:
        return case, our_numbers(case, model), from_json(golden)
    finally:
        model.engine.close()


@each_set
def test_every_loglikelihood_is_theirs(name: str, origin: str, compared: Any) -> None:
    for case, ours, theirs in compared(name, origin):
        assert largest_difference(ours, theirs) <= LOGLIKELIHOOD_TOLERANCE, case.key


@each_set
def test_every_metric_and_standard_error_is_theirs(name: str, origin: str, compared: Any) -> None:
    for case, ours, theirs in compared(name, origin):
        assert different_metrics(ours, theirs) == [], case.key


@each_set
def test_every_generated_text_is_theirs(name: str, origin: str, compared: Any) -> None:
    for case, ours, theirs in compared(name, origin):
        assert ours.texts == theirs.texts, case.key


def test_the_tiny_model_is_that_of_the_golden_file() -> None:
    assert fingerprint() == CONTENT["made_by"]["model"]


@pytest.mark.parametrize("name", ["copa", "boolq", "lambada_standard"])
def test_worked_examples_change_the_numbers(name: str) -> None:
    without, with_shots = (CONTENT["cases"][case.key]["loglikelihoods"] for case in cases(name, "samples"))
    assert without != with_shots
