"""Multiple choice: what is asked, what each measure picks, and what is recorded."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import BadRequest
from workbench.evals.methods.multiple_choice import MEASURES, Choices, MultipleChoice
from workbench.evals.metrics.estimates import estimate
from workbench.text.requests import Answer, LogLikelihood, Scored, TokenText

EXAMPLE = Choices("Question: What barks?\nAnswer:", ("a dog", "a very old cat"), gold=0)
PARTIAL = Choices(("Sue thanked Sue", "Sue thanked Ann"), ("Sue", "Ann"), gold=1, continuation="for the cake.")
WITHIN = MultipleChoice(choices_in_prompt=True)


def scored(*loglikelihoods: float, tokens: Sequence[int] = (), unseen: int = 0) -> list[Answer]:
    """Scripted answers, each of so many tokens."""
    lengths = tokens or [1] * len(loglikelihoods)
    texts = [(TokenText(0, "", 0.0),) * length for length in lengths]
    pairs = zip(loglikelihoods, texts, strict=True)
    return [Scored(value, False, shown, unseen) for value, shown in pairs]


def test_each_choice_is_asked_after_prompt_and_delimiter_and_then_alone() -> None:
    assert MultipleChoice().requests(EXAMPLE) == [
        LogLikelihood("Question: What barks?\nAnswer:", " a dog"),
        LogLikelihood("Question: What barks?\nAnswer:", " a very old cat"),
        LogLikelihood("", " a dog"),
        LogLikelihood("", " a very old cat"),
    ]


def test_without_mutual_information_no_choice_is_asked_alone() -> None:
    method = MultipleChoice(mutual_info=False)
    assert len(method.requests(EXAMPLE)) == 2
    assert "acc_mutual_info" not in [metric.name for metric in method.metrics]


def test_choices_in_the_prompt_share_the_continuation() -> None:
    assert WITHIN.requests(PARTIAL) == [
        LogLikelihood("Sue thanked Sue", " for the cake."),
        LogLikelihood("Sue thanked Ann", " for the cake."),
    ]


def test_choices_in_the_prompt_are_measured_by_accuracy_alone() -> None:
    assert [metric.name for metric in WITHIN.metrics] == ["acc", "brier_score"]


def test_worked_examples_are_the_shared_beginning_of_every_prompt() -> None:
    method = MultipleChoice().with_shots([EXAMPLE, EXAMPLE])
    shot = "Question: What barks?\nAnswer: a dog\n\n"
    assert method.prefix == shot * 2
    first, *_, alone = method.requests(EXAMPLE)
    assert (first.context, first.shared) == (shot * 2 + "Question: What barks?\nAnswer:", shot * 2)
    assert (alone.context, alone.shared) == ("", "")


def test_worked_examples_with_choices_in_the_prompt_show_the_right_one() -> None:
    assert WITHIN.with_shots([PARTIAL]).prefix == "Sue thanked Ann for the cake.\n\n"


def test_a_prompt_with_its_own_worked_examples_takes_no_others() -> None:
    with pytest.raises(BadRequest, match="0 shots"):
        MultipleChoice(takes_shots=False).with_shots([EXAMPLE])


def test_each_measure_picks_by_its_own_length() -> None:
    example = Choices("?", ("ab", "äöü", "abcdefghij"), gold=1)
    answers = scored(-2.0, -2.4, -3.0, -0.5, -3.0, -0.1, tokens=(1, 1, 3, 1, 1, 3))
    prediction = MultipleChoice().judge(example, answers)
    assert prediction.detail["picked"] == {
        "acc": 0,  # -2.0
        "acc_norm": 2,  # -1.0, -0.8, -0.3
        "acc_bytes": 2,  # -1.0, -0.4, -0.3
        "acc_tokens": 2,  # -2.0, -2.4, -1.0
        "acc_mutual_info": 1,  # -1.5, 0.6, -2.9
    }
    assert [prediction.scores[name] for name in MEASURES] == [0.0, 0.0, 0.0, 0.0, 1.0]


def test_of_equal_choices_the_first_is_picked() -> None:
    assert MultipleChoice(mutual_info=False).judge(EXAMPLE, scored(-1.0, -1.0)).answer == 0


@given(st.lists(st.floats(-50, 0), min_size=2, max_size=5), st.data())
def test_brier_score_is_the_squared_distance_to_certainty(values: list[float], data: st.DataObject) -> None:
    gold = data.draw(st.integers(0, len(values) - 1))
    example = Choices("?", tuple("abcde"[: len(values)]), gold)
    weights = [math.exp(value) for value in values]
    wanted = sum((weight / sum(weights) - (place == gold)) ** 2 for place, weight in enumerate(weights))
    prediction = MultipleChoice(mutual_info=False).judge(example, scored(*values))
    assert prediction.scores["brier_score"] == pytest.approx(wanted, abs=1e-12)


def test_an_empty_choice_is_never_picked_by_length() -> None:
    example = Choices("?", ("", "long"), gold=1)
    prediction = MultipleChoice(mutual_info=False).judge(example, scored(-1.0, -9.0))
    assert (prediction.scores["acc"], prediction.scores["acc_norm"]) == (0.0, 1.0)


def test_each_choice_is_recorded_with_all_its_scores() -> None:
    prediction = MultipleChoice().judge(EXAMPLE, scored(-1.0, -2.0, -3.0, -4.0, unseen=5))
    assert prediction.detail["choices"][0] == {
        "text": "a dog",
        "loglikelihood": -1.0,
        "is_greedy": False,
        "tokens": 1,
        "characters": 5,
        "bytes": 5,
        "unconditional": -3.0,
    }
    assert prediction.unseen_tokens == 5


def test_choices_in_the_prompt_are_recorded_with_their_prompts() -> None:
    prediction = WITHIN.judge(PARTIAL, scored(-2.0, -1.0))
    assert [one["prompt"] for one in prediction.detail["choices"]] == list(PARTIAL.prompt)
    assert prediction.prompt == "Sue thanked Sue\nSue thanked Ann"


def test_the_recorded_prompt_is_without_the_worked_examples() -> None:
    method = MultipleChoice(mutual_info=False).with_shots([EXAMPLE])
    assert method.judge(EXAMPLE, scored(-1.0, -2.0)).prompt == EXAMPLE.prompt


def test_a_failed_example_is_wrong_and_has_no_likelihoods() -> None:
    prediction = MultipleChoice().failed(EXAMPLE, "too long")
    assert prediction.error == "too long"
    assert prediction.scores == dict.fromkeys(MEASURES, 0.0)


def test_a_failed_example_lowers_macro_f1() -> None:
    method = MultipleChoice(classes=2, mutual_info=False)
    (f1,) = [metric for metric in method.metrics if metric.name == "f1"]
    right = method.judge(EXAMPLE, scored(-1.0, -2.0))
    found = estimate(f1, [right, method.failed(EXAMPLE, "too long")], bootstrap=False)
    assert found is not None
    assert found.value == pytest.approx(2 * 1 / (2 + 1) / 2)


def test_the_headline_comes_first() -> None:
    assert MultipleChoice(headline="acc_norm").metrics[0].name == "acc_norm"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: Choices("?", ("a",), 0), "two choices"),
        (lambda: Choices("?", ("a", "b"), 2), "number 2"),
        (lambda: Choices("?", ("a", "b"), -1), "number -1"),
        (lambda: Choices(("x", "y"), ("a", "b", "c"), 0, "z"), "2 prompts for 3"),
        (lambda: Choices(("x", "y"), ("a", "b"), 0), "continuation"),
        (lambda: MultipleChoice().requests(PARTIAL), "inside a prompt"),
        (lambda: WITHIN.requests(EXAMPLE), "inside a prompt"),
    ],
)
def test_what_does_not_fit_is_refused(wrong, told: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadRequest, match=told):
        wrong()
