"""/v1/completions over HTTP: exactly the engine's tokens, in the form of OpenAI's documents."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.api.serving import CONTEXT_TOKENS, Served, served
from tests.evals.lm_eval_parity.tiny_model import TOKENIZER
from workbench.engine.jobs import Sampling
from workbench.text.requests import Generate, Generated

PROMPT = "The man said that"
WILD = 8.0
"""A temperature at which a tiny vocabulary's single bytes come: characters cut in two and broken ones."""
END = TOKENIZER.eos_id


@pytest.fixture(scope="module")
def api() -> Iterator[Served]:
    with served() as found:
        yield found


def ours(api: Served, prompt: Any = PROMPT, count: int = 16, temperature: float = 1.0, **more: Any) -> Generated:
    """The engine's own answer."""
    return api.model.generate(Generate(prompt, count, sampling=Sampling(temperature=temperature), **more))


def one_text(chunks: list[dict[str, Any]], index: int = 0) -> str:
    return "".join(choice["text"] for chunk in chunks for choice in chunk["choices"] if choice["index"] == index)


def in_lists(chunks: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The log-probabilities of a stream's chunks, joined."""
    each = [choice["logprobs"] for chunk in chunks for choice in chunk["choices"]]
    return {name: [value for lists in each for value in lists[name]] for name in each[0]}


def test_a_greedy_answer_is_the_engines(api: Served) -> None:
    expected = ours(api, temperature=0)
    choice = api.choice(prompt=PROMPT, temperature=0, logprobs=3)
    assert (choice["text"], choice["finish_reason"]) == (expected.text, "length")
    assert choice["logprobs"]["tokens"] == [token.text for token in expected.tokens]
    assert choice["logprobs"]["token_logprobs"] == [token.logprob for token in expected.tokens]


@pytest.mark.parametrize("seed", [0, 7, 2**63 - 1])
def test_a_seeded_answer_is_the_engines(api: Served, seed: int) -> None:
    assert api.choice(prompt=PROMPT, seed=seed)["text"] == ours(api, seed=seed).text


def test_the_same_seed_gives_the_same_again_and_none_another(api: Served) -> None:
    first, second = (api.choice(prompt=PROMPT, seed=5, max_tokens=20)["text"] for _ in range(2))
    assert first == second
    assert api.choice(prompt=PROMPT, max_tokens=20)["text"] != api.choice(prompt=PROMPT, max_tokens=20)["text"]


def test_a_negative_seed_is_a_seed(api: Served) -> None:
    first, second = (api.choice(prompt=PROMPT, seed=-1)["text"] for _ in range(2))
    assert first == second


def test_the_n_texts_of_a_prompt_have_seeds_of_their_own(api: Served) -> None:
    choices = api.post(prompt=[PROMPT, "She"], n=2, seed=11).json()["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2, 3]
    asked = [(PROMPT, 11), (PROMPT, 12), ("She", 11), ("She", 12)]
    assert [choice["text"] for choice in choices] == [ours(api, prompt, seed=seed).text for prompt, seed in asked]


def test_token_ids_are_the_text_they_stand_for(api: Served) -> None:
    ids = TOKENIZER.encode(PROMPT)
    assert api.choice(prompt=ids, seed=1)["text"] == api.choice(prompt=PROMPT, seed=1)["text"]


def test_several_lists_of_token_ids_are_several_prompts(api: Served) -> None:
    prompts = [TOKENIZER.encode(PROMPT), TOKENIZER.encode("She")]
    answer = api.post(prompt=prompts, temperature=0).json()
    assert [choice["text"] for choice in answer["choices"]] == [
        ours(api, p, temperature=0).text for p in (PROMPT, "She")
    ]


def test_without_a_prompt_a_document_is_begun(api: Served) -> None:
    assert api.choice(seed=3)["text"] == ours(api, (END,), seed=3).text


def test_usage_counts_each_prompt_once_and_every_token_written(api: Served) -> None:
    usage = api.post(prompt=[PROMPT, "She"], n=3, max_tokens=5, temperature=0).json()["usage"]
    read = len(TOKENIZER.encode(PROMPT)) + len(TOKENIZER.encode("She"))
    assert usage == {"prompt_tokens": read, "completion_tokens": 30, "total_tokens": read + 30}


@pytest.mark.parametrize("seed", range(4))
def test_a_streams_chunks_join_to_the_whole_text(api: Served, seed: int) -> None:
    chunks = api.chunks(prompt=PROMPT, seed=seed, max_tokens=40, temperature=WILD)
    assert one_text(chunks) == ours(api, count=40, temperature=WILD, seed=seed).text
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert set(reasons[:-1]) <= {None} and reasons[-1] in ("length", "stop")


@pytest.mark.parametrize("seed", range(4))
def test_a_streams_log_probabilities_join_to_those_of_the_whole(api: Served, seed: int) -> None:
    asked: dict[str, Any] = {"prompt": PROMPT, "seed": seed, "max_tokens": 40, "temperature": WILD, "logprobs": 2}
    assert in_lists(api.chunks(**asked)) == api.choice(**asked)["logprobs"]


@pytest.mark.parametrize("seed", range(8))
def test_every_token_stands_at_its_offset(api: Served, seed: int) -> None:
    choice = api.choice(prompt=PROMPT, seed=seed, max_tokens=40, temperature=WILD, logprobs=0, echo=True)
    names, offsets = choice["logprobs"]["tokens"], choice["logprobs"]["text_offset"]
    written = "".join(names).removesuffix("<|endoftext|>" if choice["finish_reason"] == "stop" else "")
    assert written == choice["text"]
    assert offsets == [len("".join(names[:place])) for place in range(len(names))]


def test_a_streams_n_texts_are_told_apart_by_their_index(api: Served) -> None:
    chunks = api.chunks(prompt=PROMPT, n=3, seed=20)
    for index in range(3):
        assert one_text(chunks, index) == ours(api, seed=20 + index).text


def test_a_stream_ends_with_the_usage_that_is_asked_for(api: Served) -> None:
    chunks = api.chunks(prompt=PROMPT, max_tokens=4, temperature=0, stream_options={"include_usage": True})
    read = len(TOKENIZER.encode(PROMPT))
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {"prompt_tokens": read, "completion_tokens": 4, "total_tokens": read + 4}
    assert {chunk["usage"] for chunk in chunks[:-1]} == {None}
    assert len({chunk["id"] for chunk in chunks}) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_string_across_tokens_ends_a_text_and_is_not_in_it(api: Served, stream: bool) -> None:
    whole = ours(api, count=60, seed=2).text
    stop = whole[20:26]
    asked: dict[str, Any] = {"prompt": PROMPT, "max_tokens": 60, "seed": 2, "stop": ["never this", stop]}
    choices = [chunk["choices"][0] for chunk in api.chunks(**asked)] if stream else [api.choice(**asked)]
    assert "".join(choice["text"] for choice in choices) == whole[: whole.index(stop)]
    assert choices[-1]["finish_reason"] == "stop"


def test_a_text_that_stops_tells_the_tokens_it_is_made_of(api: Served) -> None:
    whole = ours(api, count=60, seed=2)
    names = [token.text for token in whole.tokens]
    stop = "".join(names[5:7])
    choice = api.choice(prompt=PROMPT, max_tokens=60, seed=2, stop=stop, logprobs=0)
    told = choice["logprobs"]["tokens"]
    assert told == names[: len(told)] and "".join(told).startswith(choice["text"])


def test_echo_puts_the_prompt_before_the_text(api: Served) -> None:
    choice = api.choice(prompt=PROMPT, temperature=0, echo=True)
    assert choice["text"] == PROMPT + ours(api, temperature=0).text and choice["logprobs"] is None


def test_echo_can_be_streamed(api: Served) -> None:
    asked: dict[str, Any] = {"prompt": PROMPT, "temperature": 0, "echo": True, "logprobs": 1}
    whole, chunks = api.choice(**asked), api.chunks(**asked)
    assert (one_text(chunks), in_lists(chunks)) == (whole["text"], whole["logprobs"])


@pytest.mark.parametrize("max_tokens", [0, 1])
def test_echo_scores_the_prompt(api: Served, max_tokens: int) -> None:
    ids = TOKENIZER.encode(PROMPT)
    told = api.choice(prompt=ids, echo=True, logprobs=2, max_tokens=max_tokens, temperature=0)["logprobs"]
    forced = api.model.generate(Generate((ids[0],), len(ids) - 1, forced=tuple(ids[1:]), alternatives=2))
    assert len(told["tokens"]) == len(ids) + max_tokens
    assert told["token_logprobs"][0] is None and told["top_logprobs"][0] is None
    expected = [token.logprob for token in forced.tokens]
    assert told["token_logprobs"][1 : len(ids)] == pytest.approx(expected, abs=1e-5)
    assert all(len(top) in (2, 3) for top in told["top_logprobs"][1:])


def test_a_prompt_of_one_token_can_be_echoed_alone(api: Served) -> None:
    choice = api.choice(prompt=[END], echo=True, logprobs=1, max_tokens=0)
    assert choice["logprobs"]["token_logprobs"] == [None] and choice["text"] == "<|endoftext|>"


def test_half_a_character_at_a_prompts_end_goes_on_in_the_text(api: Served) -> None:
    cut = TOKENIZER.encode("\u20ac")  # in bytes, unless the tiny vocabulary knows it
    assert len(cut) > 1
    choice = api.choice(prompt=cut[:-1], echo=True, max_tokens=12, seed=1, temperature=WILD, logprobs=0)
    expected = TOKENIZER.decode([*cut[:-1], *(t.id for t in ours(api, tuple(cut[:-1]), 12, WILD, seed=1).tokens)])
    assert choice["text"] == expected


def test_a_tokens_own_number_is_among_the_likeliest_where_it_is_greedy(api: Served) -> None:
    told = api.choice(prompt=PROMPT, temperature=0, logprobs=1)["logprobs"]
    for name, value, top in zip(told["tokens"], told["token_logprobs"], told["top_logprobs"], strict=True):
        assert top == {name: value}


def test_the_token_that_ends_a_text_is_told_and_counted_but_not_in_it(api: Served) -> None:
    with _ending(api):
        answer = api.post(prompt=PROMPT, temperature=0, logprobs=1, echo=True, max_tokens=1).json()
    (choice,) = answer["choices"]
    assert (choice["text"], choice["finish_reason"]) == (PROMPT, "stop")
    assert choice["logprobs"]["tokens"][-1] == "<|endoftext|>"
    assert choice["logprobs"]["text_offset"][-1] == len(PROMPT)
    assert len(choice["logprobs"]["tokens"]) == answer["usage"]["total_tokens"]


def test_an_answer_ends_where_the_context_does(api: Served) -> None:
    answer = api.post(prompt=[5] * (CONTEXT_TOKENS - 3), max_tokens=50, temperature=0).json()
    assert answer["usage"]["completion_tokens"] == 3 and answer["choices"][0]["finish_reason"] == "length"


@contextmanager
def _ending(api: Served) -> Iterator[None]:
    """While it lasts, the end-of-text token is by far the likeliest."""
    bias = api.model.engine.served.model.lm_head.bias.data
    before = bias[END].clone()
    bias[END] += 100
    yield
    bias[END] = before


def test_tokens_are_named_by_their_numbers_where_that_is_asked_for(api: Served) -> None:
    asked = {"prompt": [5, 6, 7], "echo": True, "max_tokens": 2, "logprobs": 3, "temperature": 0}
    texts = api.choice(**asked)["logprobs"]
    ids = api.choice(**asked, return_tokens_as_token_ids=True)["logprobs"]
    assert ids["tokens"][:3] == ["token_id:5", "token_id:6", "token_id:7"]
    assert ids["token_logprobs"] == texts["token_logprobs"]
    assert all(name in top for name, top in zip(ids["tokens"][1:], ids["top_logprobs"][1:], strict=True))
