"""How a server's model is named, and who may name one."""

import dataclasses

import pytest

from workbench.errors import BadRequest
from workbench.loading.spec import ModelSpec
from workbench.manager import ModelManager
from workbench.remote.address import is_remote, remote_name
from workbench.remote.connect import _tokenizer
from workbench.settings import RemoteSettings, read_remote, read_settings


@pytest.mark.parametrize("given, whole", [
    ("http://Host:8000/v1#a/b", "http://host:8000/v1#a/b"), ("http://host", "http://host/v1"),
    ("https://host/proxy/v1/#m", "https://host/proxy/v1#m"), ("http://[::1]:8000/v1#m", "http://[::1]:8000/v1#m"),
    (" HTTP://host/v1# m ", "http://host/v1#m"),
])  # fmt: skip
def test_an_address_has_one_spelling(given: str, whole: str) -> None:
    assert str(remote_name(given)) == whole


@pytest.mark.parametrize("given", [
    "http://", "http://host:99999/v1", "http://me:secret@host/v1#m", "http://host/v1?key=secret", "ftp://host/v1",
])  # fmt: skip
def test_what_is_no_address_is_refused_without_its_secrets(given: str) -> None:
    with pytest.raises(BadRequest) as refused:
        remote_name(given)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("name", ["demo", "EleutherAI/gpt-j-6b", "/models/http", "httpd/model"])
def test_a_folder_or_a_hub_id_is_no_address(name: str) -> None:
    assert not is_remote(name)


@pytest.mark.parametrize("wish", [{"precision": "int8"}, {"revision": "main"}, {"device_map": "cpu"}])
def test_a_servers_own_choices_can_not_be_made_here(wish: dict[str, str]) -> None:
    with pytest.raises(BadRequest, match="its server decides"):
        ModelManager(remote=RemoteSettings()).plan(ModelSpec("http://127.0.0.1:9/v1#m", **wish))


@pytest.mark.parametrize("asked", ["plan", "load", "is_loaded", "unload"])
def test_a_public_page_asks_no_server_that_its_operator_did_not_name(asked: str) -> None:
    settings = read_settings({"GRADIO_SERVER_NAME": "0.0.0.0", "WORKBENCH_MODELS": "http://127.0.0.1:9/v1#m"})
    manager = ModelManager(remote=settings.remote)
    with pytest.raises(BadRequest, match="operator"):
        getattr(manager, asked)(ModelSpec("http://169.254.169.254/v1#m"))


def test_what_the_operator_named_is_on_the_list() -> None:
    environment = {"GRADIO_SERVER_NAME": "0.0.0.0", "WORKBENCH_MODELS": "http://127.0.0.1:9/v1#m"}
    manager = ModelManager(remote=read_settings(environment).remote)
    assert "http://127.0.0.1:9/v1#m" in manager.known()
    assert manager.plan(ModelSpec("http://127.0.0.1:9/v1#m")).fits


def test_a_remote_model_that_is_served_first_may_be_asked_on_a_public_page() -> None:
    environment = {"GRADIO_SERVER_NAME": "0.0.0.0", "WORKBENCH_MODEL": "http://127.0.0.1:9/v1#m"}
    assert ModelManager(remote=read_settings(environment).remote).plan(ModelSpec("http://127.0.0.1:9/v1#m")).fits


def test_keys_are_read_by_server_and_never_shown() -> None:
    found = read_remote({"WORKBENCH_REMOTE_KEYS": "http://a:1=one==, https://b/v1=two"})
    assert (found.key_of("http://a:1"), found.key_of("https://b"), found.key_of("http://c")) == ("one==", "two", "")
    assert "one" not in repr(found) and "two" not in str(dataclasses.replace(found, seconds=1.0))


def test_a_key_for_no_server_is_refused_without_being_shown() -> None:
    with pytest.raises(BadRequest, match="WORKBENCH_REMOTE_KEYS") as refused:
        read_remote({"WORKBENCH_REMOTE_KEYS": "secret"})
    assert "secret" not in str(refused.value)


def test_tokenizers_are_named_by_model_or_one_for_all() -> None:
    assert read_remote({"WORKBENCH_REMOTE_TOKENIZERS": "/gptj"}).tokenizer_of("any") == "/gptj"
    found = read_remote({"WORKBENCH_REMOTE_TOKENIZERS": "a=/one,b=two/three"})
    assert (found.tokenizer_of("a"), found.tokenizer_of("b"), found.tokenizer_of("c")) == ("/one", "two/three", "")


@pytest.mark.parametrize("shipped", ["demo", "demo-small"])
def test_a_shipped_models_tokenizer_is_known_by_its_name_alone(shipped: str) -> None:
    tokenizer, _ = _tokenizer(shipped, {}, RemoteSettings())
    assert tokenizer.size > 256
