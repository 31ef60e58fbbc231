"""What may be asked of /v1/completions, and that anything else is refused by name."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.api.asked import Ask, read_ask
from workbench.api.refusals import Refused
from workbench.engine.jobs import Sampling

LEAST = {"model": "demo", "prompt": "Once"}
FIELDS = (
    "model", "prompt", "max_tokens", "n", "stream", "stream_options", "stop", "seed", "echo", "logprobs", "best_of",
    "suffix", "logit_bias", "user", "temperature", "top_p", "top_k", "min_p", "typical_p", "repetition_penalty",
    "presence_penalty", "frequency_penalty", "nonsense",
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(-(10**400), 10**400) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def refused(**fields: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        read_ask({**LEAST, **fields})
    assert caught.value.status == 400
    return caught.value


def test_the_least_request_has_openais_defaults() -> None:
    ask = read_ask(LEAST)
    assert ask == Ask(
        "demo", ("Once",), max_tokens=16, n=1, echo=False, logprobs=None, stream=False, stop=(), seed=None
    )
    assert ask.sampling == Sampling(temperature=1.0, top_p=1.0)


def test_null_counts_as_not_given() -> None:
    assert read_ask({**LEAST, **dict.fromkeys(FIELDS[2:])}) == read_ask(LEAST)


def test_every_sampling_field_is_read() -> None:
    given = {
        "temperature": 0.5, "top_p": 0.9, "top_k": 7, "min_p": 0.1, "typical_p": 0.8, "repetition_penalty": 1.2,
        "presence_penalty": -1, "frequency_penalty": 2,
    }  # fmt: skip
    assert read_ask({**LEAST, **given}).sampling == Sampling(**given)


def test_a_top_k_of_minus_one_keeps_all_tokens() -> None:
    assert read_ask({**LEAST, "top_k": -1}).sampling.top_k == 0


@pytest.mark.parametrize("prompt, prompts", [
    ("Once", ("Once",)),
    (["Once", "Twice"], ("Once", "Twice")),
    ([5, 6, 7], ((5, 6, 7),)),
    ([[5, 6], [7]], ((5, 6), (7,))),
    (None, ("",)),
])  # fmt: skip
def test_a_prompt_is_a_text_or_token_ids_or_several(prompt: Any, prompts: Any) -> None:
    assert read_ask({**LEAST, "prompt": prompt}).prompts == prompts


@pytest.mark.parametrize("prompt", ["", [], [""], ["Once", ""], [[]], [[5], []]])
def test_an_empty_prompt_is_refused(prompt: Any) -> None:
    assert refused(prompt=prompt).param == "prompt"


@pytest.mark.parametrize(
    "prompt", [5, 1.5, True, {}, [1, "a"], ["a", 1], [True], [1.5], [[1], 2], [[[1]]], [-1], [2**31]]
)
def test_a_prompt_of_another_kind_is_refused(prompt: Any) -> None:
    assert refused(prompt=prompt).param == "prompt"


@pytest.mark.parametrize(
    "stop, texts", [("a", ("a",)), (["a", "b"], ("a", "b")), ([], ()), ("", ()), (["a", ""], ("a",))]
)
def test_stop_is_a_text_or_several(stop: Any, texts: Any) -> None:
    assert read_ask({**LEAST, "stop": stop}).stop == texts


@pytest.mark.parametrize("name, value", [
    ("n", 10_000), ("n", 0), ("n", -1), ("n", 1.0), ("n", "2"), ("n", True), ("logprobs", 1_000), ("logprobs", -1),
    ("logprobs", True), ("max_tokens", 0), ("max_tokens", -1), ("max_tokens", 2.5), ("max_tokens", "many"),
    ("temperature", -1), ("temperature", "hot"), ("temperature", float("nan")), ("temperature", 10**400),
    ("top_p", 0), ("top_p", 1.5), ("top_k", -2), ("presence_penalty", 3), ("seed", "x"), ("seed", 2**63), ("seed", 1.5),
    ("stream", 1), ("stream", "yes"), ("echo", 0), ("stop", 5), ("stop", [5]), ("stop", ["a"] * 17),
    ("stop", "a" * 201), ("suffix", "end"), ("logit_bias", {"50256": -100}), ("best_of", 2), ("model", ""),
    ("model", None), ("model", 5), ("stream_options", {"include_usage": True}), ("stream_options", []),
    ("max_token", 5),
])  # fmt: skip
def test_a_value_that_cant_be_served_is_refused_by_its_name(name: str, value: Any) -> None:
    refusal = refused(**{name: value})
    assert refusal.param == name and name in refusal.message


def test_a_refusal_repeats_no_long_value() -> None:
    assert len(refused(n="x" * 10**6).message) < 300


def test_more_texts_than_are_written_at_once_are_refused() -> None:
    assert "64" in refused(prompt=["a"] * 40, n=2).message


def test_a_best_of_that_is_n_is_taken() -> None:
    assert read_ask({**LEAST, "n": 3, "best_of": 3}).n == 3


def test_no_token_is_asked_for_only_with_echo() -> None:
    assert read_ask({**LEAST, "echo": True, "max_tokens": 0}).max_tokens == 0


def test_usage_in_a_stream_is_asked_for_by_its_option() -> None:
    assert read_ask({**LEAST, "stream": True, "stream_options": {"include_usage": True}}).include_usage


@given(JSON)
def test_any_document_is_read_or_refused(document: Any) -> None:
    _read_or_refused(document)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_fields_are_read_or_refused(fields: dict[str, Any]) -> None:
    _read_or_refused({**LEAST, **fields})


@given(st.sampled_from(FIELDS), JSON)
def test_any_value_of_a_field_is_read_or_refused(name: str, value: Any) -> None:
    _read_or_refused({**LEAST, name: value})


def _read_or_refused(document: Any) -> None:
    try:
        read_ask(document)
    except Refused as refusal:
        json.dumps(refusal.body)
