"""Servers that can do less, are down, slow, full or out of their minds: plain words, and nothing left running."""

import math
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from tests.evals.lm_eval_parity.tiny_model import TOKENIZER
from tests.remote.far import MODEL, asking, event, other, tiny_folder
from workbench.engine.jobs import Sampling
from workbench.errors import BadRequest, Busy, CannotLoad, RemoteFailure
from workbench.loading.spec import ModelSpec
from workbench.remote.connect import connect
from workbench.settings import RemoteSettings
from workbench.text.requests import Generate, LogLikelihood

GREEDY = Generate("Once upon a time", max_new_tokens=12, sampling=Sampling(temperature=0), lookup=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    yield
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("remote ")]


def written(body: dict[str, Any]) -> bool:
    """Whether a request is no probe."""
    return bool(body.get("stream"))


@pytest.mark.parametrize("takes_ids", [True, False])
def test_a_server_that_echoes_tells_texts_and_likelihoods(folder: Path, takes_ids: bool) -> None:
    with other(takes_ids=takes_ids) as (server, address), asking(address, folder) as model:
        assert [(type(body["prompt"]) is list) for body in server.asked][-1] is takes_ids
        answer = model.generate(GREEDY)
        told = server._choice({"max_tokens": 12, "temperature": 0.0}, tuple(TOKENIZER.encode("Once upon a time")))
        assert answer.text == told["text"]
        (scored,) = model.loglikelihoods([LogLikelihood("The sky is", " blue")])
        assert scored.loglikelihood == pytest.approx(server_loglikelihood(server), abs=1e-5)


def server_loglikelihood(server: Any) -> float:
    choice = server._choice(
        {"max_tokens": 1, "temperature": 0.0, "echo": True, "logprobs": 1}, tuple(TOKENIZER.encode("The sky is blue"))
    )
    context = len(TOKENIZER.encode("The sky is"))
    return math.fsum(choice["logprobs"]["token_logprobs"][context:-1])


def test_a_server_that_does_not_echo_writes_and_refuses_to_score(folder: Path) -> None:
    with other(echoes=False) as (_, address), asking(address, folder) as model:
        assert all(math.isfinite(token.logprob) for token in model.generate(GREEDY).tokens)
        with pytest.raises(BadRequest, match="echo"):
            model.loglikelihoods([LogLikelihood("The sky is", " blue")])


def test_a_server_without_log_probabilities_writes_the_same_text(folder: Path) -> None:
    with other(echoes=False, tells=False, takes_ids=False) as (server, address), asking(address, folder) as model:
        answer = model.generate(GREEDY)
        told = server._choice({"max_tokens": 12, "temperature": 0.0}, tuple(TOKENIZER.encode("Once upon a time")))
        assert answer.text == told["text"]
        assert all(math.isnan(token.logprob) for token in answer.tokens)


def test_a_server_that_takes_only_texts_can_not_begin_a_document(folder: Path) -> None:
    texts_alone = pytest.raises(BadRequest, match="texts alone")
    with other(takes_ids=False) as (_, address), asking(address, folder) as model, texts_alone:
        model.generate(Generate("", max_new_tokens=4))


def test_another_tokenizer_is_found_out_at_once(folder: Path) -> None:
    def cut(body: dict[str, Any]) -> Any:
        texts = ["The", " qu", "ick"] + [" x"] * 40
        told = {"tokens": texts, "token_logprobs": [-1.0] * 43, "top_logprobs": None}
        return {"choices": [{"text": "The quick", "logprobs": told, "finish_reason": "length"}]}

    settings = RemoteSettings(tokenizers=(("", str(folder)),))
    with other(instead=cut) as (_, address), pytest.raises(RemoteFailure, match="tokenizer"):
        connect(ModelSpec(address), settings)


def test_a_tokenizer_that_nobody_names_is_asked_for(folder: Path) -> None:
    unnamed = {"id": MODEL, "root": str(folder)}  # on the server's machine, whatever stands there on this one
    with other(card=unnamed) as (_, address), pytest.raises(CannotLoad, match="WORKBENCH_REMOTE_TOKENIZERS"):
        connect(ModelSpec(address), RemoteSettings())


def test_a_tokenizer_that_is_not_there_is_told_with_its_setting(folder: Path) -> None:
    with other() as (_, address), pytest.raises(CannotLoad, match="WORKBENCH_REMOTE_TOKENIZERS"):
        connect(ModelSpec(address), RemoteSettings(tokenizers=(("", str(folder / "nowhere")),)))


def test_a_server_that_is_down_is_named(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(RemoteFailure, match="can't be reached"):
        connect(ModelSpec(f"http://127.0.0.1:{port}/v1#x"), RemoteSettings())


def test_a_silent_server_is_left_in_time(folder: Path) -> None:
    forever = threading.Event()

    def silent(body: dict[str, Any]) -> Any:
        if written(body):
            return StreamingResponse(_silence(forever), media_type="text/event-stream")
        return None

    with other(instead=silent) as (_, address), asking(address, folder, seconds=1.0) as model:
        with pytest.raises(RemoteFailure, match="WORKBENCH_REMOTE_SECONDS"):
            model.generate(GREEDY)
        forever.set()


def _silence(until: threading.Event) -> Iterator[str]:
    yield event({"choices": [{"text": " a", "finish_reason": None}]})
    until.wait(10)


@pytest.mark.parametrize("answer, told", [
    (lambda: PlainTextResponse("<html>hello</html>"), "no JSON"),
    (lambda: JSONResponse([1, 2]), "in place of a JSON object"),
    (lambda: JSONResponse({"choices": "none"}), "one choice"),
    (lambda: JSONResponse({"choices": [{"text": 7}]}), "without a text"),
    (lambda: JSONResponse({"choices": [{"text": "a", "logprobs": {"tokens": ["a"], "token_logprobs": []}}]}),
     "different numbers"),
    (lambda: JSONResponse({"choices": [{"text": "a", "logprobs": {"tokens": ["a"], "token_logprobs": [3.0]}}]}),
     "log-probability"),
    (lambda: StreamingResponse(iter(["data: {nonsense\n\n"]), media_type="text/event-stream"), "no JSON"),
    (lambda: StreamingResponse(iter([event({"error": {"message": "GPU on fire"}})]), media_type="text/event-stream"),
     "GPU on fire"),
    (lambda: StreamingResponse(iter([event({"choices": [{"text": "a"}]})]), media_type="text/event-stream"),
     "without saying why"),
    (lambda: JSONResponse({"error": {"message": "lost a GPU"}}, 502), "lost a GPU"),
    (lambda: JSONResponse({"error": {"message": "who are you"}}, 401), "WORKBENCH_REMOTE_KEYS"),
])  # fmt: skip
def test_nonsense_is_told_as_such(folder: Path, answer: Any, told: str) -> None:
    def strange(body: dict[str, Any]) -> Response | None:
        return answer() if written(body) else None

    failure = pytest.raises(RemoteFailure, match=told)
    with other(instead=strange) as (_, address), asking(address, folder) as model, failure:
        model.generate(GREEDY)


def test_a_refusal_is_passed_on_in_the_servers_words(folder: Path) -> None:
    def capped(body: dict[str, Any]) -> Response | None:
        few = body.get("logprobs", 0) <= 5
        return None if few else JSONResponse({"error": {"message": "logprobs is at most 5"}}, 400)

    refused = pytest.raises(BadRequest, match="logprobs is at most 5")
    with other(instead=capped) as (_, address), asking(address, folder) as model, refused:
        model.generate(Generate("Once", alternatives=20))


def test_a_full_server_is_asked_again(folder: Path) -> None:
    refusals = iter([429, 503])

    def full(body: dict[str, Any]) -> Response | None:
        status = next(refusals, None) if written(body) else None
        return None if status is None else JSONResponse({"error": "full"}, status, {"Retry-After": "0"})

    with other(instead=full) as (_, address), asking(address, folder) as model:
        assert model.generate(GREEDY).finish_reason == "length"


def test_a_server_that_stays_full_is_told_as_busy(folder: Path) -> None:
    def full(body: dict[str, Any]) -> Response | None:
        return JSONResponse({"error": "full"}, 429, {"Retry-After": "0"}) if written(body) else None

    with other(instead=full) as (_, address), asking(address, folder) as model, pytest.raises(Busy):
        model.generate(GREEDY)


def test_the_key_goes_to_its_own_server_alone(folder: Path) -> None:
    with other() as (server, address):
        origin = address.split("/v1")[0]
        with asking(address, folder, keys=((origin, "secret"), ("http://127.0.0.1:1", "other"))):
            assert server.keys == ["Bearer secret"]
        with asking(address, folder, keys=(("http://127.0.0.1:1", "other"),)):
            assert server.keys[-1] == ""
