"""Every promise holds in its short form, and every check notices the guards that are taken away."""

import pytest

from tests.reliability.__main__ import every_goal
from tests.reliability.goal import Goal, Mutant, caught, tried

GOALS = every_goal()
MUTANTS = [(goal, mutant) for goal in GOALS.values() for mutant in goal.mutants]


@pytest.mark.parametrize("goal", GOALS.values(), ids=GOALS)
def test_the_promise_holds(goal: Goal) -> None:
    assert not tried(goal, goal.short).failures


@pytest.mark.parametrize(("goal", "mutant"), MUTANTS, ids=[f"{goal.name}: {mutant.name}" for goal, mutant in MUTANTS])
def test_the_check_notices(goal: Goal, mutant: Mutant) -> None:
    assert caught(goal, mutant)


@pytest.mark.parametrize("goal", GOALS.values(), ids=GOALS)
def test_each_check_is_known_to_fail_where_a_guard_is_missing(goal: Goal) -> None:
    assert goal.mutants
