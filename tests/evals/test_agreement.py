"""How often runs say the same."""

import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import BadRequest
from workbench.evals.agreement import agreement, cohens_kappa
from workbench.evals.paired import Side
from workbench.evals.prediction import Prediction

answers = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=25)


def side(name: str, given_answers: list[Any], task: str = "t") -> Side:
    return Side(name, task, [Prediction(answer=one, id=str(row)) for row, one in enumerate(given_answers)])


@settings(deadline=None)
@given(pairs=answers)
def test_kappa_is_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    a, b = zip(*pairs, strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of one class alone
        expected = sklearn.cohen_kappa_score(a, b)
    found = cohens_kappa(a, b)
    if found is None:
        assert len({*a, *b}) == 1
    else:
        assert found == pytest.approx(expected)


def test_the_matrix_is_symmetric_with_whole_agreement_of_each_with_itself() -> None:
    found = agreement([side("x", [0, 1, 1]), side("y", [0, 1, 0]), side("z", [1, 0, 0])])
    assert found.names == ("x", "y", "z")
    assert found.share == ((1, 2 / 3, 0), (2 / 3, 1, 1 / 3), (0, 1 / 3, 1))
    assert [row[place] for place, row in enumerate(found.kappa)] == [1, 1, 1]


def test_answers_that_are_always_one_and_the_same_have_no_kappa() -> None:
    assert agreement([side("x", [1, 1]), side("y", [1, 1])]).kappa == ((None, None), (None, None))


def test_lists_and_tuples_of_equal_answers_are_equal_answers() -> None:
    assert agreement([side("x", [["a", "b"]]), side("y", [("a", "b")])]).share[0][1] == 1


def test_only_examples_that_all_share_and_one_answered_count() -> None:
    found = agreement([side("x", [0, None, 1, 2]), side("y", [0, None, 1]), side("z", [0, None, None])])
    assert found.n == 2


def test_runs_without_answers_are_refused() -> None:
    with pytest.raises(BadRequest, match="no answered example in common"):
        agreement([side("x", [None]), side("y", [None])])


def test_runs_of_different_tasks_are_refused() -> None:
    with pytest.raises(BadRequest, match="different tasks"):
        agreement([side("x", [1]), side("y", [1], task="u")])
