"""The `openai` package as a client: what it reads is what the engine wrote, and errors come as its own."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.serving import CONTEXT_TOKENS, NAME, Served, eventually, served
from tests.evals.lm_eval_parity.tiny_model import TOKENIZER
from workbench.engine.jobs import Sampling
from workbench.text.requests import Generate

openai = pytest.importorskip("openai")

KEY = "a-key"
PROMPT = "The man said that"


@pytest.fixture(scope="module")
def api() -> Iterator[Served]:
    with served(keys=(KEY,)) as found:
        yield found


@pytest.fixture(scope="module")
def client(api: Served) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{api.url}/v1", api_key=KEY, max_retries=0) as found:
        yield found


def test_it_lists_the_models(client: Any) -> None:
    assert [model.id for model in client.models.list()] == [NAME]
    assert client.models.retrieve(NAME).id == NAME


def test_a_completion_is_the_engines_text(api: Served, client: Any) -> None:
    expected = api.model.generate(Generate(PROMPT, 20, seed=4))
    answer = client.completions.create(model=NAME, prompt=PROMPT, max_tokens=20, seed=4)
    assert (answer.object, answer.model) == ("text_completion", NAME)
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == (expected.text, "length")
    assert answer.usage.completion_tokens == 20
    assert answer.usage.prompt_tokens == len(TOKENIZER.encode(PROMPT))


def test_a_stream_is_the_engines_text(api: Served, client: Any) -> None:
    expected = api.model.generate(Generate(PROMPT, 20, seed=4))
    options = {"include_usage": True}
    stream = client.completions.create(
        model=NAME, prompt=PROMPT, max_tokens=20, seed=4, stream=True, stream_options=options
    )
    chunks = list(stream)
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == expected.text
    assert chunks[-1].usage.total_tokens == 20 + len(TOKENIZER.encode(PROMPT))


def test_it_reads_n_texts(api: Served, client: Any) -> None:
    answer = client.completions.create(model=NAME, prompt=PROMPT, n=3, seed=4)
    expected = [api.model.generate(Generate(PROMPT, 16, seed=seed)).text for seed in (4, 5, 6)]
    assert [choice.text for choice in answer.choices] == expected


def test_it_reads_log_probabilities(api: Served, client: Any) -> None:
    greedy = Sampling(temperature=0)
    expected = api.model.generate(Generate(PROMPT, 16, sampling=greedy, alternatives=3)).tokens
    told = client.completions.create(model=NAME, prompt=PROMPT, temperature=0, logprobs=3).choices[0].logprobs
    assert told.tokens == [token.text for token in expected]
    assert told.token_logprobs == [token.logprob for token in expected]
    assert [max(top.values()) for top in told.top_logprobs] == told.token_logprobs


def test_a_text_ends_at_a_stop_string(api: Served, client: Any) -> None:
    whole = api.model.generate(Generate(PROMPT, 40, seed=1)).text
    answer = client.completions.create(model=NAME, prompt=PROMPT, max_tokens=40, seed=1, stop=[whole[10:14]])
    assert answer.choices[0].text == whole[: whole.index(whole[10:14])]
    assert answer.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("error, fields", [
    (openai.NotFoundError, {"model": "gpt-4"}),
    (openai.BadRequestError, {"n": 10_000}),
    (openai.BadRequestError, {"logprobs": 1_000}),
    (openai.BadRequestError, {"prompt": ""}),
    (openai.BadRequestError, {"prompt": [5] * CONTEXT_TOKENS}),
    (openai.BadRequestError, {"prompt": [5] * CONTEXT_TOKENS, "stream": True}),
])  # fmt: skip
def test_an_error_is_its_own_typed_exception(client: Any, error: type[Exception], fields: dict[str, Any]) -> None:
    with pytest.raises(error) as caught:
        client.completions.create(**{"model": NAME, "prompt": "a", **fields})
    assert caught.value.type == "invalid_request_error" and caught.value.message  # type: ignore[attr-defined]


def test_a_wrong_key_is_an_authentication_error(api: Served) -> None:
    client = openai.OpenAI(base_url=f"{api.url}/v1", api_key="wrong", max_retries=0)
    with client, pytest.raises(openai.AuthenticationError) as caught:
        client.models.list()
    assert caught.value.code == "invalid_api_key"


def test_no_room_is_a_rate_limit_error(api: Served, client: Any) -> None:
    api.api.room.take(256)
    with pytest.raises(openai.RateLimitError):
        client.completions.create(model=NAME, prompt="a")
    api.api.room.leave(256)


def test_an_error_in_a_stream_is_raised() -> None:
    with served() as api, openai.OpenAI(base_url=f"{api.url}/v1", api_key=KEY, max_retries=0) as client:
        stream = client.completions.create(
            model=NAME, prompt=PROMPT, max_tokens=CONTEXT_TOKENS, temperature=0, stream=True
        )
        next(stream)
        api.model.engine.close()
        with pytest.raises(openai.APIError, match="unloaded"):
            list(stream)


def test_a_stream_that_is_closed_leaves_nothing_running(api: Served, client: Any) -> None:
    asked = {"model": NAME, "prompt": PROMPT, "max_tokens": CONTEXT_TOKENS, "temperature": 0}
    with client.completions.create(**asked, stream=True) as stream:
        next(stream)
    eventually(lambda: api.at_rest)
