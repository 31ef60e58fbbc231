"""The environment's settings: read once, typed, and refused by the variable's name."""

from pathlib import Path

import pytest

from workbench.errors import BadRequest
from workbench.profiles import LOCAL, PUBLIC, Profile
from workbench.settings import RemoteSettings, Settings, read_settings


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_settings({}) == Settings()


def test_every_variable_is_read() -> None:
    given = {
        "WORKBENCH_MODEL": "models/mine",
        "WORKBENCH_PRECISION": "int8",
        "WORKBENCH_MEMORY_GIB": "1.5",
        "WORKBENCH_OFFLOAD_FOLDER": "offload",
        "WORKBENCH_MAX_STREAMS": "3",
        "WORKBENCH_HEADS": "trained",
        "WORKBENCH_API_KEYS": "one, two",
        "WORKBENCH_RUNS": "kept",
        "WORKBENCH_PROFILE": "public",
        "WORKBENCH_MODELS": "demo:int8, http://far/v1#m",
        "WORKBENCH_ROOT": "models",
        "WORKBENCH_HOSTS": "Bench.example",
        "WORKBENCH_PROXIES": "2",
        "GRADIO_SERVER_NAME": "0.0.0.0",
        "GRADIO_SERVER_PORT": "8080",
        "WORKBENCH_REMOTE_KEYS": "http://far=key",
        "WORKBENCH_REMOTE_TOKENIZERS": "/gptj",
        "WORKBENCH_REMOTE_SECONDS": "5",
    }
    asked = Settings(
        "models/mine", "int8", "0.0.0.0", 8080, 3 * 2**29, Path("offload"), 3, Path("trained"), ("one", "two"),
        Path("kept"), "public", ("demo:int8", "http://far/v1#m"), Path("models"), ("bench.example",), 2,
        RemoteSettings(("http://far/v1#m",), (("http://far", "key"),), (("", "/gptj"),), 5.0, False),
    )  # fmt: skip
    assert read_settings(given) == asked


def test_a_blank_variable_counts_as_not_set() -> None:
    assert read_settings({"WORKBENCH_MODEL": " ", "GRADIO_SERVER_PORT": ""}) == Settings()


@pytest.mark.parametrize("name", ["WORKBENCH_MEMORY_GIB", "WORKBENCH_MAX_STREAMS", "GRADIO_SERVER_PORT"])
@pytest.mark.parametrize("value", ["many", "-1", "nan", "inf", "1e9"])
def test_a_wrong_number_is_refused_by_the_variables_name(name: str, value: str) -> None:
    with pytest.raises(BadRequest, match=name):
        read_settings({name: value})


def test_half_a_port_is_refused() -> None:
    with pytest.raises(BadRequest, match="whole"):
        read_settings({"GRADIO_SERVER_PORT": "78.5"})


@pytest.mark.parametrize("host, locally", [
    ("127.0.0.1", True), ("127.8.0.1", True), ("localhost", True), ("::1", True), ("[::1]", True),
    ("0.0.0.0", False), ("::", False), ("10.0.0.5", False), ("example.org", False), ("", False),
])  # fmt: skip
def test_only_a_loopback_address_serves_this_machine_alone(host: str, locally: bool) -> None:
    assert Settings(host=host).serves_locally is locally


@pytest.mark.parametrize("value, keys", [
    ("one", ("one",)), (" one ,two,", ("one", "two")), (",", ()), (" , ", ()), ("", ()), ("a key,b", ("a key", "b")),
])  # fmt: skip
def test_keys_are_cut_at_commas(value: str, keys: tuple[str, ...]) -> None:
    assert read_settings({"WORKBENCH_API_KEYS": value}).api_keys == keys


def test_keys_stay_out_of_the_settings_text() -> None:
    assert "secret" not in repr(read_settings({"WORKBENCH_API_KEYS": "secret"}))


def test_a_space_is_public_by_itself_and_listens_to_the_outside() -> None:
    settings = read_settings({"SPACE_ID": "someone/workbench"})
    assert settings.profile is PUBLIC and settings.host == "0.0.0.0" and settings.proxies == 1


def test_a_space_is_never_local() -> None:
    with pytest.raises(BadRequest, match="WORKBENCH_PROFILE is local, but this is a Space"):
        read_settings({"SPACE_ID": "someone/workbench", "WORKBENCH_PROFILE": "local"})


@pytest.mark.parametrize("host, name, profile", [
    ("127.0.0.1", "", LOCAL), ("0.0.0.0", "", PUBLIC), ("127.0.0.1", "public", PUBLIC), ("0.0.0.0", "local", LOCAL),
])  # fmt: skip
def test_the_profile_is_what_is_asked_or_what_the_address_says(host: str, name: str, profile: Profile) -> None:
    assert read_settings({"GRADIO_SERVER_NAME": host, "WORKBENCH_PROFILE": name}).profile is profile


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(BadRequest, match="WORKBENCH_PROFILE is 'open'; it must be one of local, public"):
        read_settings({"WORKBENCH_PROFILE": "open"})
