"""Classification as a benchmark: labels by likelihood or by a trained head."""

import pytest

from workbench.errors import BadRequest
from workbench.evals.methods.classification import Classification
from workbench.evals.methods.labels import TextExample
from workbench.text.requests import Answer, Classified, Classify, LogLikelihood, Scored

METHOD = Classification(("bad", "good"), "{text}\nMood:")
EXAMPLE = TextExample("1", "A sunny day.", "good")


def test_each_label_is_asked_after_the_filled_template() -> None:
    assert METHOD.requests(EXAMPLE) == [
        LogLikelihood("A sunny day.\nMood:", " bad"),
        LogLikelihood("A sunny day.\nMood:", " good"),
    ]


def test_worked_examples_are_the_shared_beginning_of_every_prompt() -> None:
    method = METHOD.with_shots([TextExample("2", "Rain.", "bad"), EXAMPLE])
    assert method.prefix == "Rain.\nMood: bad\n\nA sunny day.\nMood: good\n\n"
    first, second = method.requests(EXAMPLE)
    assert first == LogLikelihood(method.prefix + "A sunny day.\nMood:", " bad", method.prefix)
    assert second == LogLikelihood(method.prefix + "A sunny day.\nMood:", " good", method.prefix)


@pytest.mark.parametrize(("loglikelihoods", "label"), [((-2.0, -1.0), "good"), ((-1.0, -1.0), "bad")])
def test_the_likeliest_label_is_the_answer_of_equal_ones_the_first(
    loglikelihoods: tuple[float, float], label: str
) -> None:
    answers: list[Answer] = [Scored(value, False) for value in loglikelihoods]
    prediction = METHOD.judge(EXAMPLE, answers)
    assert prediction.answer == label
    assert prediction.scores == {"acc": float(label == "good"), "gold": 1.0, "answer": float(label == "good")}


def test_each_label_is_recorded_with_its_probability_and_likelihood() -> None:
    prediction = METHOD.judge(EXAMPLE, [Scored(-2.0, False), Scored(-1.0, False)])
    bad, good = prediction.detail["choices"]
    assert (bad["text"], bad["loglikelihood"]) == ("bad", -2.0)
    assert bad["probability"] + good["probability"] == pytest.approx(1.0)
    assert prediction.prompt == "A sunny day.\nMood:"


def test_a_head_is_asked_about_the_text_alone() -> None:
    assert METHOD.with_head("mood#1", ("bad", "good")).requests(EXAMPLE) == [Classify("A sunny day.", "mood#1")]


def test_a_head_does_not_read_the_spaces_around_a_text() -> None:
    method = METHOD.with_head("mood#1", ("bad", "good"))
    assert method.requests(TextExample("1", " A sunny day. \n", "good")) == [Classify("A sunny day.", "mood#1")]


def test_a_heads_labels_may_differ_in_order_and_capitals() -> None:
    method = METHOD.with_head("mood#1", ("Good", "bad"))
    prediction = method.judge(EXAMPLE, [Classified((3.0, 1.0), tokens=4)])
    assert prediction.answer == "good"
    assert [one["logit"] for one in prediction.detail["choices"]] == [3.0, 1.0]


def test_labels_that_differ_in_capitals_alone_are_told_apart() -> None:
    method = Classification(("us", "US")).with_head("who#1", ("US", "us"))
    assert method.head is not None
    assert method.head.labels == ("US", "us")


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (("bad", "fine"), "single_label_classification"),
        (("bad", "good"), "multi_label_classification"),
        (("x",), "regression"),
    ],
)
def test_a_head_of_another_kind_is_refused(labels: tuple[str, ...], problem: str) -> None:
    with pytest.raises(BadRequest, match="head"):
        METHOD.with_head("mood#1", labels, problem)


def test_a_head_takes_no_worked_examples() -> None:
    with pytest.raises(BadRequest, match="0 shots"):
        METHOD.with_head("mood#1", ("bad", "good")).with_shots([EXAMPLE])


@pytest.mark.parametrize("label", ["fine", None])
def test_a_right_label_that_is_none_of_the_labels_is_refused(label: str | None) -> None:
    with pytest.raises(BadRequest, match="none of bad, good"):
        METHOD.requests(TextExample("1", "A sunny day.", label))


def test_a_failed_example_is_wrong_and_no_class() -> None:
    assert METHOD.failed(EXAMPLE, "too long").scores == {"acc": 0.0, "gold": 1.0, "answer": -1.0}
