"""The page as a program sees it: it builds without a model, its endpoints have their names and do what they say."""

import os
from collections.abc import Iterator

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from tests.ui.fake import FakeLanguageModel, FakeManager
from tests.ui.serving import behind_the_guard
from workbench.settings import Settings
from workbench.ui.bench import Bench
from workbench.ui.web import TABS, build

os.environ.setdefault("NO_PROXY", "localhost,127.0.0.1")


@pytest.fixture(scope="module")
def model() -> FakeLanguageModel:
    """The model behind the served page."""
    return FakeLanguageModel(seconds_per_token=0.02)


@pytest.fixture(scope="module")
def client(model: FakeLanguageModel) -> Iterator[Client]:
    """A client of the page on the fake."""
    page = build(Bench(Settings(), FakeManager(model)))  # type: ignore[arg-type]
    yield Client(behind_the_guard(page), verbose=False)
    page.close()


def test_the_page_builds_without_loading_anything() -> None:
    manager = FakeManager()
    build(Bench(Settings(), manager))  # type: ignore[arg-type]
    assert manager.loaded() == []


def test_every_tab_has_its_own_name() -> None:
    assert len({tab.name for tab in TABS}) == len(TABS) >= 2


def test_only_the_named_endpoints_are_public(client: Client) -> None:
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    asked = {"/generate", "/classify", "/answer", "/evaluate", "/runs", "/compare", "/precision", "/train"}
    assert set(named) == asked | {"/models", "/load", "/unload", "/plan"}


def test_a_text_streams_and_ends_with_its_details(client: Client) -> None:
    job = client.submit("Once", max_new_tokens=30, seed=4, api_name="/generate")
    text, details = job.result()
    shown = [output[0] for output in job.outputs()]
    assert len(shown) > 2 and all(text.startswith(part) for part in shown)
    assert details["finish_reason"] == "length" and details["completion_tokens"] == 30 and details["seed"] == 4
    assert details["tokens"][0].keys() >= {"id", "text", "logprob", "rank", "alternatives"}
    assert "".join(token["text"] for token in details["tokens"]) == text


def test_updates_come_at_most_ten_times_a_second(client: Client) -> None:
    job = client.submit("Once", max_new_tokens=50, api_name="/generate")
    job.result()
    assert len(job.outputs()) <= 14


def test_any_other_setting_goes_by_its_name(client: Client, model: FakeLanguageModel) -> None:
    client.predict("Once", max_new_tokens=2, settings={"top_p": 0.5, "banned": ["wolf"]}, api_name="/generate")
    assert model.requests[-1].sampling.top_p == 0.5 and model.requests[-1].banned == ("wolf",)


def test_a_cancelled_text_closes_its_stream(client: Client, model: FakeLanguageModel) -> None:
    closed = model.closed
    job = client.submit("Once", max_new_tokens=400, api_name="/generate")
    while not job.outputs():
        pass
    job.cancel()
    steps = model.steps
    for _ in range(100):
        if model.closed > closed:
            break
        client.predict(api_name="/plan")
    assert model.closed == closed + 1 and model.steps < steps + 100


def test_an_error_is_told_escaped(client: Client) -> None:
    with pytest.raises(AppError, match="&lt;b&gt;BOOM&lt;/b&gt;"):
        client.predict("BOOM", api_name="/generate")


def test_an_unknown_setting_is_told(client: Client) -> None:
    with pytest.raises(AppError, match="heat"):
        client.predict("Once", settings={"heat": 1}, api_name="/generate")


def test_a_plan_has_the_command_lines_fields(client: Client) -> None:
    plan = client.predict("EleutherAI/gpt-j-6b", "int8", 2, 1024, api_name="/plan")
    names = (
        "parameters",
        "weights_bytes",
        "kv_cache_bytes_per_stream",
        "total_bytes",
        "available_bytes",
        "fits",
        "advice",
    )
    assert all(name in plan for name in names)
    assert plan["streams"] == 2 and plan["context"] == 1024 and plan["fits"] is False


def test_a_plan_of_nothing_is_told(client: Client) -> None:
    with pytest.raises(AppError, match="nowhere"):
        client.predict("nowhere", api_name="/plan")


@pytest.mark.parametrize("given, message", [
    ({"settings": [1]}, "settings is \\[1\\]; it must be an object"),
    ({"settings": "top_p"}, "must be an object"),
    ({"model": 5}, "model is 5; it must be a text"),
    ({"precision": [8]}, "it must be a text"),
    ({"temperature": "hot"}, "temperature must be a number"),
    ({"max_new_tokens": "many"}, "it must be a whole number"),
    ({"stop": [1]}, "must be a text"),
    ({"stop": 7}, "stop is 7"),
    ({"seed": "x"}, "seed is"),
    ({"prompt": 5}, "prompt must be a text"),
    ({"settings": {"num_beams": None}}, "num_beams"),
    ({"settings": {"top_p": None}}, "top_p"),
    ({"settings": {"length_penalty": "x"}}, "length_penalty"),
    ({"settings": {"max_new_tokens": None}}, "max_new_tokens"),
    ({"settings": {"sampling": None}}, "no setting 'sampling'"),
])  # fmt: skip
def test_a_value_of_the_wrong_type_is_told_by_name(client: Client, given: dict, message: str) -> None:
    with pytest.raises(AppError, match=message):
        client.predict(**{"prompt": "Once", "api_name": "/generate"} | given)


@pytest.mark.parametrize("given, message", [
    ({"model": 5}, "model is 5; it must be a text"),
    ({"streams": "two"}, "streams must be a whole number"),
    ({"streams": None}, "streams must be a whole number"),
    ({"context": "all"}, "context must be a whole number"),
    ({"context": 0}, "context must be a whole number"),
])  # fmt: skip
def test_a_plans_value_of_the_wrong_type_is_told_by_name(client: Client, given: dict, message: str) -> None:
    with pytest.raises(AppError, match=message):
        client.predict(**{"api_name": "/plan"} | given)


def test_a_model_that_is_not_named_is_the_first(client: Client) -> None:
    assert client.predict("Once", max_new_tokens=1, model=None, api_name="/generate")[1]["completion_tokens"] == 1
