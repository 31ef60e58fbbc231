"""Exact match, F1 and best thresholds are those of the official SQuAD scripts."""

import json

import pytest

from tests.evals.squad_cases import GOLDEN, THRESHOLDS, XQUAD, Case, answerable, real_questions, texts_of_words
from workbench.errors import BadRequest
from workbench.evals.metrics.squad import exact_match, f1, normalize, squad_v1, squad_v2

OFFICIAL = json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.fixture(params=["words", "real"], scope="module")
def case(request: pytest.FixtureRequest) -> tuple[Case, dict]:
    """Predictions, and what the official scripts say of them."""
    if request.param == "real" and not XQUAD.exists():
        pytest.skip(f"{XQUAD} is not here")
    return {"words": texts_of_words, "real": real_questions}[request.param](), OFFICIAL[request.param]


def test_there_are_more_than_a_thousand_predictions_with_and_without_answers(case: tuple[Case, dict]) -> None:
    references = case[0].references
    assert len(references) > 1000
    assert 100 < sum(not answers for answers in references.values()) < len(references) - 100


def test_each_prediction_scores_as_the_official_script_scores_it(case: tuple[Case, dict]) -> None:
    drawn, official = case
    golds = [[text for text in answers if normalize(text)] or [""] for answers in drawn.references.values()]
    pairs = list(zip(drawn.predictions.values(), golds, strict=True))
    assert "".join(str(exact_match(*pair)) for pair in pairs) == official["exact"]
    assert [f1(*pair) for pair in pairs] == pytest.approx(official["f1"], abs=1e-12)


def test_the_figures_of_version_1_are_the_official_ones(case: tuple[Case, dict]) -> None:
    with_answers = answerable(case[0])
    assert squad_v1(with_answers.predictions, with_answers.references) == pytest.approx(case[1]["v1"], abs=1e-9)


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_the_figures_of_version_2_are_the_official_ones(case: tuple[Case, dict], threshold: float) -> None:
    drawn, official = case
    figures = squad_v2(drawn.predictions, drawn.null_scores, drawn.references, threshold)
    assert figures == pytest.approx(official["v2"][str(threshold)], abs=1e-9)


def test_the_figures_without_null_scores_are_the_official_ones(case: tuple[Case, dict]) -> None:
    drawn, official = case
    assert squad_v2(drawn.predictions, None, drawn.references) == pytest.approx(
        official["v2 without null scores"], abs=1e-9
    )


@pytest.mark.parametrize(
    "text, expected",
    [("The  Cat's, hat!", "cats hat"), ("a-an the", "aan"), ("", ""), ("...", ""), ("Ａ the", "ａ"), ("“Hi”", "“hi”")],
)
def test_normalization_drops_case_ascii_punctuation_articles_and_spaces(text: str, expected: str) -> None:
    assert normalize(text) == expected


def test_two_empty_answers_agree_by_the_second_rules_only() -> None:
    assert f1("the", ["..."]) == 1
    assert f1("the", ["..."], empty_can_match=False) == 0


def test_a_question_without_a_prediction_scores_nothing_in_version_1() -> None:
    assert squad_v1({"a": "king"}, {"a": ["king"], "b": ["queen"]}) == {"exact_match": 50.0, "f1": 50.0}


def test_version_1_knows_no_unanswerable_question() -> None:
    with pytest.raises(BadRequest, match="'b' has no answer"):
        squad_v1({}, {"a": ["king"], "b": []})


def test_version_2_wants_every_prediction_and_null_score() -> None:
    for predictions, nulls in (({}, None), ({"a": "x"}, {})):
        with pytest.raises(BadRequest, match="'a' has no prediction, or no null score"):
            squad_v2(predictions, nulls, {"a": []})


def test_nothing_to_measure_is_said() -> None:
    with pytest.raises(BadRequest, match="no question"):
        squad_v1({}, {})
    with pytest.raises(BadRequest, match="no question"):
        squad_v2({}, None, {})
