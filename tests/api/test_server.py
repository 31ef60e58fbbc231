"""The API's routes: what is served, what is refused, and that nothing is left of a caller who went."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.serving import CONTEXT_TOKENS, NAME, Served, eventually, running, served
from tests.engine.tiny import turns
from workbench.api.server import LARGEST_BODY_BYTES, Api, ApiBefore
from workbench.errors import BadCheckpoint, Busy, Cancelled, CheckpointNotFound, NotEnoughMemory, NumericalFailure
from workbench.manager import ModelManager
from workbench.settings import Settings

LONG: dict[str, Any] = {"prompt": "The man", "max_tokens": CONTEXT_TOKENS, "temperature": 0}
KEYS = ("first-key", "second-key")


@pytest.fixture(scope="module")
def api() -> Iterator[Served]:
    with served() as found:
        yield found


@pytest.fixture
def still() -> Iterator[Served]:
    """A server whose model computes only where the test takes turns."""
    with served(threaded=False) as found:
        yield found


def error_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The error of an answer, which has the shape of OpenAI's."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    (error,) = answer.json().values()
    assert set(error) == {"message", "type", "param", "code"} and error["message"]
    return error


def test_models_are_listed(api: Served) -> None:
    listed = api.client.get("/v1/models").json()
    assert listed["object"] == "list"
    (card,) = listed["data"]
    assert (card["id"], card["object"]) == (NAME, "model") and isinstance(card["created"], int)


def test_one_model_is_told_by_its_name(api: Served) -> None:
    assert api.client.get(f"/v1/models/{NAME}").json()["id"] == NAME


def test_a_model_in_another_precision_is_named_behind_a_colon() -> None:
    with running(Api(Settings(), ModelManager()).application()) as url:
        assert httpx.get(f"{url}/v1/models/demo:int8").json()["id"] == "demo:int8"
        assert httpx.get(f"{url}/v1/models/demo:int3").status_code == 404


def test_the_first_model_answers_to_its_bare_name_in_its_own_precision() -> None:
    models = Api(Settings(model="mine", precision="int8"), ModelManager())._models
    assert models.named("mine") == models.first() == models.named("mine:int8")


@pytest.mark.parametrize("name", ["gpt-4", "models/other", "../tiny", "x" * 10_000, "\u2603", "\ud800"])
def test_an_unknown_model_is_not_found(api: Served, name: str) -> None:
    body = json.dumps({"model": name, "prompt": "a"})
    error = error_of(api.client.post("/v1/completions", content=body), 404)
    assert (error["code"], error["param"]) == ("model_not_found", "model") and len(error["message"]) < 500


def test_an_unknown_model_is_no_page(api: Served) -> None:
    error_of(api.client.get("/v1/models/gpt-4"), 404)


@pytest.mark.parametrize("fields", [
    {"n": 10_000}, {"logprobs": 1_000}, {"prompt": ""}, {"prompt": []}, {"prompt": 5}, {"prompt": [[]]},
    {"max_tokens": -1}, {"temperature": "hot"}, {"stream": 3}, {"stop": [1]}, {"seed": 0.5}, {"nonsense": 1},
])  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_a_wrong_field_is_a_bad_request_by_its_name(api: Served, fields: dict[str, Any], stream: bool) -> None:
    error = error_of(api.post(**{"prompt": "a", "stream": stream, **fields}), 400)
    assert error["type"] == "invalid_request_error" and error["param"] in fields


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("echo", [False, True])
def test_a_prompt_beyond_the_context_is_a_bad_request(api: Served, stream: bool, echo: bool) -> None:
    error = error_of(api.post(prompt=[5] * (CONTEXT_TOKENS + 2), stream=stream, echo=echo, logprobs=1), 400)
    assert f"{CONTEXT_TOKENS}" in error["message"]


def test_one_prompt_of_several_that_cant_be_served_refuses_all_before_a_stream_begins(api: Served) -> None:
    error_of(api.post(prompt=[[5], [5] * CONTEXT_TOKENS], stream=True), 400)
    eventually(lambda: api.at_rest)


@pytest.mark.parametrize("ids", [[10**6], [5, 10**6], [2**31 - 1]])
@pytest.mark.parametrize("echo", [False, True])
def test_an_id_beyond_the_vocabulary_is_a_bad_request(api: Served, ids: list[int], echo: bool) -> None:
    error_of(api.post(prompt=ids, echo=echo, logprobs=1), 400)


def test_half_a_surrogate_pair_is_a_bad_request(api: Served) -> None:
    body = json.dumps({"model": NAME, "prompt": "\ud800"})
    assert "surrogate" in error_of(api.client.post("/v1/completions", content=body), 400)["message"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"nonsense", b"[]", b"5", b"null", b"\xff\xfe{", b"[" * 100_000, b'{"model": NaN}']
)
def test_a_body_that_is_no_json_object_is_a_bad_request(api: Served, body: bytes) -> None:
    error_of(api.client.post("/v1/completions", content=body), 400)


def test_a_field_with_a_name_that_cant_be_encoded_is_a_bad_request(api: Served) -> None:
    error_of(api.client.post("/v1/completions", content=b'{"model": "a", "\\ud800": 1}'), 400)


def test_a_body_of_five_megabytes_is_too_large(api: Served) -> None:
    assert LARGEST_BODY_BYTES < 5_000_000
    error_of(api.post(prompt="a" * 5_000_000), 413)


def test_an_unknown_path_is_not_found(api: Served) -> None:
    assert error_of(api.client.post("/v1/chat/completions", json={}), 404)["code"] == "unknown_url"


def test_a_wrong_method_is_told_the_right_one(api: Served) -> None:
    answer = api.client.get("/v1/completions")
    error_of(answer, 405)
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "key, status", [(None, 401), ("wrong", 401), ("first-ke", 401), (KEYS[0], 200), (KEYS[1], 200)]
)
def test_a_caller_needs_one_of_the_keys(key: str | None, status: int) -> None:
    with served(keys=KEYS) as api:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        answers = [api.client.get("/v1/models", headers=headers), api.post(headers, prompt="a")]
        assert [answer.status_code for answer in answers] == [status, status]
        if status == 401:
            assert error_of(answers[1], 401)["code"] == "invalid_api_key"


@pytest.mark.parametrize("header", ["Basic first-key", "first-key", "bearer first-keyy", "Bearer \u00e9"])
def test_a_key_comes_as_a_bearers(header: str) -> None:
    with served(keys=KEYS) as api:
        assert api.client.get("/v1/models", headers={b"authorization": header.encode()}).status_code == 401


def test_health_needs_no_key() -> None:
    with served(keys=KEYS) as api:
        assert api.client.get("/healthz").json() == {"status": "ok"}


def test_a_model_that_writes_is_ready(api: Served) -> None:
    answer = api.client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


def test_a_model_that_is_not_loaded_is_not_ready_and_not_loaded_for_that() -> None:
    manager = ModelManager()
    with running(Api(Settings(), manager).application()) as url:
        assert httpx.get(f"{url}/readyz").status_code == 503
    assert manager.loaded() == []


def test_a_model_that_writes_nothing_is_not_ready(still: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.api.health.PROBE_SECONDS", 0.1)
    assert still.client.get("/readyz").status_code == 503
    turns(still.model.engine, 1)
    assert still.at_rest


def test_only_the_apis_paths_are_taken_from_the_page() -> None:
    async def page(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"the page"})

    with running(ApiBefore(page, Api(Settings(), ModelManager()).application())) as url:
        assert [httpx.get(url + path).text for path in ("/", "/v1x", "/config")] == ["the page"] * 3
        assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize("error, status", [
    (Busy("full"), 429), (NotEnoughMemory("no room"), 503), (CheckpointNotFound("gone"), 404),
    (Cancelled("closed"), 503), (BadCheckpoint("config.json", "is broken"), 503), (NumericalFailure("NaN"), 500),
    (ZeroDivisionError("secret"), 500),
])  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_what_fails_before_the_first_token_has_its_status(
    api: Served, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, stream: bool
) -> None:
    def failing(*given: Any) -> Any:
        raise error

    monkeypatch.setattr(api.manager, "lease", failing)
    answer = api.post(prompt="a", stream=stream)
    assert "secret" not in error_of(answer, status)["message"]
    assert ("retry-after" in answer.headers) == (status in (429, 503))
    monkeypatch.undo()
    eventually(lambda: api.at_rest)


def test_an_error_in_a_stream_is_its_last_event_but_done(still: Served) -> None:
    with still.client.stream("POST", "/v1/completions", json={"model": NAME, "stream": True, **LONG}) as answer:
        assert answer.status_code == 200
        turns(still.model.engine, 3)
        (job,) = still.model.engine._scheduler.jobs
        still.model.engine._fail(job, NumericalFailure("The logits are NaN."))
        events = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert events[-1] == "[DONE]" and json.loads(events[-2])["error"]["message"] == "The logits are NaN."
    assert all("choices" in json.loads(event) for event in events[:-2])
    eventually(lambda: still.at_rest)


def test_a_model_that_is_closed_ends_its_streams_with_an_error() -> None:
    with (
        served() as api,
        api.client.stream("POST", "/v1/completions", json={"model": NAME, "stream": True, **LONG}) as answer,
    ):
        lines = (line.removeprefix("data: ") for line in answer.iter_lines() if line)
        next(lines)
        api.model.engine.close()
        *_, error, done = lines
        assert done == "[DONE]" and json.loads(error)["error"]["type"] == "server_error"


def test_more_texts_than_there_is_room_for_are_refused_until_some_end(still: Served) -> None:
    still.api.room.take(250)
    answer = still.post(prompt="a", n=7)
    assert error_of(answer, 429)["type"] == "rate_limit_error" and "retry-after" in answer.headers
    still.api.room.leave(250)
    assert still.at_rest


@pytest.mark.parametrize("fields", [
    {"stream": True}, {"stream": False}, {"stream": True, "n": 5}, {"stream": False, "n": 5},
    {"stream": False, "echo": True, "logprobs": 1}, {"stream": True, "echo": True, "logprobs": 1},
])  # fmt: skip
def test_nothing_is_left_of_a_caller_who_went_before_the_first_token(still: Served, fields: dict[str, Any]) -> None:
    caller = calling(still.url, **LONG, **fields)
    eventually(lambda: len(still.model.engine._scheduler.jobs) == fields.get("n", 1))
    caller.close()
    eventually(lambda: all(job.handle.cancelled for job in still.model.engine._scheduler.jobs))
    turns(still.model.engine, 1)
    eventually(lambda: still.at_rest)
    assert still.model.engine.steps == 0


@pytest.mark.parametrize("stream", [False, True])
def test_nothing_is_left_of_a_caller_who_went_in_the_middle(still: Served, stream: bool) -> None:
    caller = calling(still.url, **LONG, stream=stream)
    eventually(lambda: bool(still.model.engine._scheduler.jobs))
    turns(still.model.engine, 20)
    if stream:
        assert b"data: {" in caller.recv(4096)
    caller.close()
    eventually(lambda: all(job.handle.cancelled for job in still.model.engine._scheduler.jobs))
    steps = still.model.engine.steps
    turns(still.model.engine, 1)
    eventually(lambda: still.at_rest)
    assert still.model.engine.steps == steps


def test_a_caller_who_went_while_the_model_was_loaded_starts_nothing(still: Served) -> None:
    still.manager._lock.acquire()  # the lease waits
    caller = calling(still.url, **LONG)
    eventually(lambda: still.api.room.taken == 1)
    caller.close()
    still.client.get("/healthz")  # the server has heard of it by then
    eventually(lambda: still.client.get("/healthz").status_code == 200)
    still.manager._lock.release()
    eventually(lambda: all(job.handle.cancelled for job in still.model.engine._scheduler.jobs))
    turns(still.model.engine, 1)
    eventually(lambda: still.at_rest)
    assert still.model.engine.steps == 0


def test_nothing_is_left_of_texts_that_came_to_their_end(api: Served) -> None:
    api.chunks(prompt="The", n=4, max_tokens=8)
    api.post(prompt=["The", "She"], n=2, max_tokens=8, echo=True, logprobs=1)
    eventually(lambda: api.at_rest)


def test_a_server_that_ends_leaves_nothing_running() -> None:
    with served(threaded=False) as behind:
        with running(behind.api.application()) as url:
            caller = calling(url, **LONG, stream=True)
            eventually(lambda: bool(behind.model.engine._scheduler.jobs))
        eventually(lambda: all(job.handle.cancelled for job in behind.model.engine._scheduler.jobs))
        turns(behind.model.engine, 1)
        eventually(lambda: behind.at_rest)
        caller.close()


def calling(url: str, **body: Any) -> socket.socket:
    """A caller who has asked; closing it is leaving."""
    caller = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
    content = json.dumps({"model": NAME, **body}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: here\r\nContent-Length: {len(content)}\r\n\r\n"
    caller.sendall(head.encode() + content)
    return caller


def test_a_server_of_which_something_is_dead_is_neither_healthy_nor_ready() -> None:
    dead = Api(Settings(), ModelManager(), lambda: "The page's queue has stopped.")
    with running(dead.application()) as url:
        for path in ("/healthz", "/readyz"):
            answer = httpx.get(url + path)
            assert answer.status_code == 503 and answer.json()["status"] == "The page's queue has stopped."
