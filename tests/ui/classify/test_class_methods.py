"""Plain values become the way of classifying that was meant, or an error that names the value."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ui.fake_classes import ClassifyingManager, class_card
from workbench.errors import BadRequest
from workbench.evals.methods.head import HeadMethod
from workbench.evals.methods.labels import TEMPLATE, LabelLikelihood, TextExample
from workbench.manager import ModelSpec
from workbench.ui.classify.class_methods import (
    Asked,
    build_asked,
    head_method,
    label_list,
    tokens_read,
    worked_examples,
)

DEMO = ModelSpec("demo")
a_label = st.text().map(lambda text: " ".join(text.split())).filter(lambda text: len(text.splitlines()) == 1)


def method_of(manager: ClassifyingManager, asked: Asked, texts: tuple[str, ...] = ()) -> Any:
    """The method, ready to be asked."""
    return asked.method(manager, DEMO, manager.model, texts)  # type: ignore[arg-type]


@pytest.mark.parametrize("labels", ["a, b ,c", "a\nb\n\n c ", ["a", "b", "c"], ("a", "b", "c")])
def test_labels_come_as_a_list_or_a_text(labels: Any) -> None:
    assert tuple(label.strip() for label in label_list(labels)) == ("a", "b", "c")


def test_a_label_a_line_may_hold_commas() -> None:
    assert label_list("yes, really\nno") == ("yes, really", "no")


@given(st.lists(a_label, min_size=2))
def test_labels_a_line_come_back_as_they_were_written(labels: list[str]) -> None:
    assert label_list("\n".join(labels)) == tuple(labels)


def test_empty_rows_of_the_examples_are_left_out() -> None:
    assert worked_examples([["fine", "good"], ["", ""], [None, None]]) == (("fine", "good"),)


@pytest.mark.parametrize("rows", [[["fine", ""]], [["", "good"]], [["a", "b", "c"]]])
def test_a_row_that_is_filled_in_part_is_told(rows: list[list[str]]) -> None:
    with pytest.raises(BadRequest, match="Example 1 must have a text and a label"):
        worked_examples(rows)


@pytest.mark.parametrize("given, message", [
    ({"labels": ""}, "No labels are given"),
    ({"labels": "a"}, "at least two labels"),
    ({"labels": "a,a"}, "there twice"),
    ({"labels": 5}, "labels is 5"),
    ({"labels": ["a", 2]}, "A label is 2"),
    ({"template": "no slot"}, "exactly once"),
    ({"template": 5}, "template is 5"),
    ({"settings": {"heat": 1}}, "no setting 'heat'"),
    ({"settings": {"head": "x"}}, "no setting 'head'"),
    ({"settings": {"normalization": "loud"}}, "normalization must be one of"),
    ({"settings": {"calibration": 3}}, "calibration is 3"),
    ({"settings": {"shots": "x"}}, "shots is 'x'"),
    ({"settings": {"shots": [["x", "elsewhere"]]}}, "not among the labels"),
    ({"settings": {"sample_texts": [1]}}, "A sample text is 1"),
    ({"settings": {"domain_premise": 1}}, "domain_premise is 1"),
    ({"settings": {"seed": "x"}}, "seed must be a whole number"),
    ({"settings": {"threshold": float("nan")}}, "threshold must be a number"),
])  # fmt: skip
def test_a_wrong_value_is_told_by_name(given: dict[str, Any], message: str) -> None:
    values: dict[str, Any] = {"labels": "a,b", "template": "", "settings": {}} | given
    with pytest.raises(BadRequest, match=message):
        build_asked(None, **values)


def test_what_is_not_given_has_its_default() -> None:
    asked = build_asked(None, "a,b", "", {"seed": 3.0})
    assert asked.template == TEMPLATE and asked.calibration == "none" and asked.seed == 3


def test_a_head_needs_no_labels_of_the_caller() -> None:
    manager = ClassifyingManager()
    method = method_of(manager, build_asked("sms-probe", "", "", {"threshold": 0.3}))
    assert isinstance(method, HeadMethod) and method.labels == ("ham", "spam") and method.threshold == 0.3
    assert manager.used == ["sms-probe"]


def test_a_head_that_answers_questions_classifies_nothing() -> None:
    with pytest.raises(BadRequest, match="it classifies nothing"):
        head_method(class_card(kind="answer", labels=(), problem=None), 0.5)


def test_a_calibration_is_measured_before_the_first_text() -> None:
    asked = build_asked(None, "positive,negative", "", {"calibration": "contextual"})
    method = method_of(ClassifyingManager(), asked)
    assert isinstance(method, LabelLikelihood) and method.log_prior is not None
    assert method.log_prior[0] > method.log_prior[1]


def test_the_domain_calibration_draws_its_words_from_the_texts() -> None:
    manager = ClassifyingManager()
    method_of(manager, build_asked(None, "positive,negative", "", {"calibration": "domain"}), ("zebra",))
    assert all("zebra" in request.context for request in manager.model.asked)  # type: ignore[attr-defined]


def test_a_context_that_several_labels_follow_is_counted_once() -> None:
    model = ClassifyingManager().model
    method = build_asked(None, "a,b c", "{text}", {}).method(ClassifyingManager(), DEMO, model, ())  # type: ignore[arg-type]
    assert tokens_read(model, method.requests(TextExample("1", "one two"))) == 2 + 1 + 2  # type: ignore[arg-type]
