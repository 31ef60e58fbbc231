"""Labels as continuations of a prompt, beside transformers' log-softmax."""

import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evals.answering import StandIn
from tests.gptj.oracle import their_model
from tests.text.tiny import STORY, TOKENIZER, tiny_language_model, tiny_network
from workbench.errors import BadRequest
from workbench.evals.asking import Answer, Request, ask, ask_one
from workbench.evals.methods.labels import (
    CALIBRATIONS,
    MOST_LABELS,
    NORMALIZATIONS,
    LabelLikelihood,
    TextExample,
)
from workbench.text.language_model import LanguageModel
from workbench.text.requests import Scored, TokenText

LABELS = ("good", "very bad indeed", "naïve \U0001f984")
TEXT = TextExample("1", "The old king slept.", "good")
TEMPLATE = "Review: {text}\nIt was"
SHOTS = (("A café was open.", "good"), ("Nobody answered.", "very bad indeed"))


class Model(StandIn):
    """A LanguageModel as an Answerer, and how often it was asked."""

    def __init__(self, model: LanguageModel):
        self.model, self.asked = model, 0

    def answers(self, requests: Sequence[Request]) -> Sequence[Answer]:
        self.asked += len(requests)
        return self.model.answers(requests)


@pytest.fixture(scope="module")
def language_model() -> Iterator[LanguageModel]:
    with (tiny := tiny_language_model(n_positions=128)).engine:
        yield tiny


@pytest.fixture
def model(language_model: LanguageModel) -> Model:
    return Model(language_model)


@pytest.fixture(scope="module")
def theirs() -> Any:
    ours = tiny_network(n_positions=128)
    return their_model("causal", ours.config, ours)


class Table(StandIn):
    """Answers by a table of log-likelihoods: (context, continuation) -> number, one token each."""

    def __init__(self, table: dict[tuple[str, str], float]):
        self.table = table

    def answers(self, requests: Sequence[Request]) -> Sequence[Answer]:
        found = [self.table[request.context, request.continuation] for request in requests]  # type: ignore[union-attr]
        return [Scored(value, False, (TokenText(0, "", value),)) for value in found]


@torch.no_grad()
def direct(theirs: Any, context: str, label: str) -> tuple[float, int]:
    """A label's log-likelihood after a context by transformers' log-softmax, and its number of tokens."""
    before = TOKENIZER.encode(context) or [TOKENIZER.eos_id]
    tail = TOKENIZER.encode(context + " " + label)[len(TOKENIZER.encode(context)) :]
    logprobs = theirs(torch.tensor([before + tail])).logits[0].float().log_softmax(-1)
    places = range(len(before) - 1, len(before) + len(tail) - 1)
    return sum(float(logprobs[place, token]) for place, token in zip(places, tail, strict=True)), len(tail)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("shots", [(), SHOTS])
def test_probabilities_are_those_of_transformers(
    model: Model, theirs: Any, normalization: str, shots: tuple[tuple[str, str], ...]
) -> None:
    context = "".join(f"Review: {text}\nIt was {label}\n\n" for text, label in shots)
    context += "Review: The old king slept.\nIt was"
    found = {label: direct(theirs, context, label) for label in LABELS}
    divided = {
        "none": lambda label: found[label][0],
        "characters": lambda label: found[label][0] / len(label),
        "bytes": lambda label: found[label][0] / len(label.encode()),
        "tokens": lambda label: found[label][0] / found[label][1],
        "pmi": lambda label: found[label][0] - direct(theirs, "It was", label)[0],
    }
    expected = np.exp([divided[normalization](label) for label in LABELS])
    method = LabelLikelihood(LABELS, TEMPLATE, shots, normalization)
    prediction = ask_one(model, method, TEXT)
    assert list(prediction.scores) == list(LABELS)
    assert list(prediction.scores.values()) == pytest.approx(expected / expected.sum(), abs=1e-5)
    assert list(prediction.loglikelihoods.values()) == pytest.approx([found[label][0] for label in LABELS], abs=1e-5)
    assert prediction.label == LABELS[int(expected.argmax())]
    assert (prediction.gold, prediction.error, prediction.uncalibrated) == ("good", None, None)


def test_pmi_without_a_premise_starts_from_the_end_of_text_token(model: Model, theirs: Any) -> None:
    prediction = ask_one(model, LabelLikelihood(LABELS, "It was so: {text}", normalization="pmi"), TEXT)
    context = "It was so: The old king slept."
    each = [direct(theirs, context, label)[0] - direct(theirs, "", label)[0] for label in LABELS]
    assert list(prediction.scores.values()) == pytest.approx(np.exp(each) / np.exp(each).sum(), abs=1e-5)


def test_a_premise_of_ones_own_is_taken() -> None:
    method = LabelLikelihood(("a", "b"), "{text} x", normalization="pmi", domain_premise="one")
    assert [request.context for request in method.requests(TextExample("", "t"))] == ["t x", "t x", "one", "one"]


def test_a_prepared_premise_is_asked_for_once_and_changes_nothing(model: Model) -> None:
    method = LabelLikelihood(LABELS, TEMPLATE, normalization="pmi")
    prepared = method.prepared(model)
    model.asked = 0
    assert ask_one(model, prepared, TEXT).scores == ask_one(model, method, TEXT).scores
    assert model.asked == 3 * len(LABELS)


def test_equal_contexts_are_computed_once(model: Model) -> None:
    before = model.model.engine.steps
    ask_one(model, LabelLikelihood(LABELS, TEMPLATE), TEXT)
    assert model.model.engine.steps - before == 1


@pytest.mark.parametrize("ending", [" ", "\n"])
def test_a_template_that_ends_with_a_space_gets_no_second_one(ending: str) -> None:
    method = LabelLikelihood(("a", "b"), "{text}:" + ending, (("s", "a"),))
    first = method.requests(TextExample("", "t"))[0]
    assert (first.context, first.continuation) == (f"s:{ending}a\n\nt:{ending}", "a")


def test_a_text_with_braces_is_filled_in_as_it_is() -> None:
    method = LabelLikelihood(("a", "b"), "{text} {label}:")
    assert method.requests(TextExample("", "{text} {0}"))[0].context == "{text} {0} {label}:"


def test_contextual_calibration_is_that_of_the_worked_example() -> None:
    """Two labels; p(a) is 0.8, 0.6 and 0.7 for "N/A", "" and "[MASK]", so p_cf = (0.7, 0.3).

    A text with p = (0.6, 0.4) becomes W p = (0.6 / 0.7, 0.4 / 0.3) = (0.857, 1.333), normalised (0.391, 0.609): the
    second label, although the model says the first.
    """
    given = {"N/A": 0.8, "": 0.6, "[MASK]": 0.7, "The text.": 0.6}
    table = {}
    for text, p in given.items():
        table[f"{text} is", " a"], table[f"{text} is", " b"] = math.log(p), math.log(1 - p)
    method = LabelLikelihood(("a", "b"), "{text} is", calibration="contextual").prepared(Table(table))
    assert np.exp(method.log_prior) == pytest.approx([0.7, 0.3])
    prediction = ask_one(Table(table), method, TextExample("1", "The text."))
    assert prediction.label == "b"
    assert prediction.scores == pytest.approx({"a": 0.6 / 0.7 / (0.6 / 0.7 + 0.4 / 0.3), "b": 0.6086956522})
    assert prediction.uncalibrated == pytest.approx({"a": 0.6, "b": 0.4})


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_the_contextual_prior_is_the_mean_over_inputs_without_content(model: Model, normalization: str) -> None:
    method = LabelLikelihood(LABELS, TEMPLATE, SHOTS, normalization, calibration="contextual").prepared(model)
    plain = LabelLikelihood(LABELS, TEMPLATE, SHOTS, normalization)
    each = []
    for text in ("N/A", "", "[MASK]"):
        answers = model.answers(plain._about(text))
        each.append(list(plain.judge(TextExample("", text), answers).scores.values()))
    assert np.exp(method.log_prior) == pytest.approx(np.mean(each, axis=0), abs=1e-9)


def test_a_text_like_the_content_free_ones_gets_equal_probabilities(model: Model) -> None:
    method = LabelLikelihood(LABELS, TEMPLATE).prepared(model)
    scores = ask_one(model, method, TEXT).scores
    prior = tuple(math.log(score) for score in scores.values())
    same = LabelLikelihood(LABELS, TEMPLATE, calibration="contextual", log_prior=prior)
    assert list(ask_one(model, same, TEXT).scores.values()) == pytest.approx([1 / 3] * 3)


def test_domain_calibration_is_seeded(model: Model) -> None:
    method = LabelLikelihood(LABELS, TEMPLATE, calibration="domain")
    samples = [STORY[:40], STORY[40:90]]
    priors = [method.prepared(model, samples, seed).log_prior for seed in (1, 1, 2)]
    assert priors[0] == priors[1] != priors[2]


def test_domain_calibration_without_words_is_refused(model: Model) -> None:
    with pytest.raises(BadRequest, match="draws words from sample texts"):
        LabelLikelihood(LABELS, calibration="domain").prepared(model, [" "])


def test_a_calibration_that_was_not_measured_is_an_error() -> None:
    with pytest.raises(ValueError, match="prepared"):
        LabelLikelihood(LABELS, calibration="contextual").requests(TEXT)


odd_labels = st.lists(st.text(min_size=1, max_size=6).map(str.strip).filter(bool), min_size=2, max_size=5, unique=True)


@settings(max_examples=40, deadline=None)
@given(labels=odd_labels, normalization=st.sampled_from(NORMALIZATIONS), calibration=st.sampled_from(CALIBRATIONS))
def test_any_characters_make_a_label(
    language_model: LanguageModel, labels: list[str], normalization: str, calibration: str
) -> None:
    model = Model(language_model)
    method = LabelLikelihood(tuple(labels), normalization=normalization, calibration=calibration)
    prediction = ask_one(model, method.prepared(model, ["some words"]), TEXT)
    assert list(prediction.scores) == labels
    assert sum(prediction.scores.values()) == pytest.approx(1)


def test_ten_thousand_labels_are_judged() -> None:
    labels = tuple(f"label {number}" for number in range(MOST_LABELS))
    method = LabelLikelihood(labels, "{text}", normalization="tokens", calibration="contextual")
    numbers = random.Random(0)

    class Any10000(StandIn):
        def answers(self, requests: Sequence[Request]) -> Sequence[Answer]:
            values = [numbers.uniform(-90, -1) for _ in requests]
            return [Scored(value, False, (TokenText(0, "", value),)) for value in values]

    prediction = ask_one(Any10000(), method.prepared(Any10000()), TEXT)
    assert sum(prediction.scores.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    "labels, words",
    [
        ((), "at least two labels; got 0"),
        (("one",), "at least two labels; got 1"),
        (("a", " a"), "label 'a' is there twice"),
        (("a", " "), "Label 2 is empty"),
        (tuple(map(str, range(MOST_LABELS + 1))), "10,001 labels; at most 10,000"),
    ],
)
def test_labels_that_make_no_choice_are_refused(labels: tuple[str, ...], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        LabelLikelihood(labels)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"template": "Label:"}, r"must hold \{text\} exactly once"),
        ({"template": "{text}{text}"}, "exactly once"),
        ({"shots": (("x", "other"),)}, "label 'other', which is not among the labels"),
        ({"normalization": "words"}, "normalization must be one of none, characters"),
        ({"calibration": "all"}, "calibration must be one of none, contextual"),
    ],
)
def test_settings_out_of_their_range_are_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        LabelLikelihood(LABELS, **arguments)


def test_an_empty_text_is_an_error_of_its_row_alone(model: Model) -> None:
    examples = [TextExample("1", " \n", " good "), TEXT]
    first, second = ask(model, LabelLikelihood(LABELS), examples)
    assert (first.id, first.label, first.gold) == ("1", None, "good")
    assert first.error is not None
    assert "text is empty" in first.error
    assert second.label in LABELS
