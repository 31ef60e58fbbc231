"""Runs side by side: what differs, whether it may be chance, who flipped, and what each cost."""

from pathlib import Path

import pytest

from tests.ui.fake_runs import asked, finished
from workbench.errors import BadRequest
from workbench.evals.runs.run import Run
from workbench.ui.runs.compare_view import compared, compared_markup, p_text


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    """The same task in three precisions."""
    return [finished(tmp_path, asked(precision=precision)) for precision in ("float32", "int8", "nf4")]


def test_every_metric_is_compared_with_the_first_run(runs: list[Run]) -> None:
    found = compared(runs)
    assert all(len(others) == 2 and all(others) for others in found.comparisons.values())
    assert set(found.comparisons) == set(runs[0].metrics)


def test_the_page_shows_differences_tests_flips_agreement_and_cost(runs: list[Run]) -> None:
    shown = compared_markup(compared(runs))
    for words in ("A minus the other", "exact McNemar", "paired bootstrap", "Flips", "Same answer", "Cost", "A and C"):
        assert words in shown
    assert 'class="zero"' in shown


def test_a_run_beside_itself_in_another_place_differs_in_nothing(tmp_path: Path) -> None:
    pair = [finished(tmp_path / name, asked()) for name in ("one", "other")]
    comparison = compared(pair).comparisons["acc"][0]
    assert comparison is not None and comparison.difference == 0 and comparison.p_value == 1


def test_other_settings_than_the_model_are_told(tmp_path: Path) -> None:
    runs = [finished(tmp_path, asked(shots=shots)) for shots in (0, 2)]
    assert "also differ in their worked examples" in compared_markup(compared(runs))
    assert "also differ" not in compared_markup(compared([runs[0], runs[0]]))


def test_texts_without_answers_are_compared_by_their_likelihood(tmp_path: Path) -> None:
    runs = [finished(tmp_path, asked("wikitext", precision)) for precision in ("float32", "int8")]
    shown = compared_markup(compared(runs))
    assert "word_perplexity" in shown and "Same answer" not in shown


def test_runs_that_can_not_be_compared_are_refused(runs: list[Run], tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="different tasks"):
        compared([runs[0], finished(tmp_path, asked("copa"))])
    with pytest.raises(BadRequest, match="at least two"):
        compared(runs[:1])
    with pytest.raises(BadRequest, match="at most 6"):
        compared(runs * 3)


@pytest.mark.parametrize("p_value, words", [(None, "–"), (1e-9, "< 0.0001"), (0.0312, "0.0312"), (0.5, "0.50")])
def test_a_p_value_reads_well(p_value: float | None, words: str) -> None:
    assert p_text(p_value) == words
