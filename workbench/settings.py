"""Every environment variable the workbench reads, in one typed place."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from workbench.errors import BadRequest
from workbench.profiles import LOCAL, PROFILES, PUBLIC, Profile

SPACE = "SPACE_ID"
"""The variable that is set on a Hugging Face Space."""


@dataclass(frozen=True)
class RemoteSettings:
    """How models that other servers have are reached."""

    models: tuple[str, ...] = ()
    """Of WORKBENCH_MODEL and WORKBENCH_MODELS those like http://host:8000/v1#model: on the list from the beginning."""
    keys: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """WORKBENCH_REMOTE_KEYS, with commas: http://host:8000=KEY."""
    tokenizers: tuple[tuple[str, str], ...] = ()
    """WORKBENCH_REMOTE_TOKENIZERS, with commas: MODEL=FOLDER, or one FOLDER for all; a Hub id may stand for it."""
    seconds: float = 120.0
    """WORKBENCH_REMOTE_SECONDS: how long a server may be silent in the middle of a request."""
    any_server: bool = True
    """Whether any address may be named; else only `models`, so that no visitor reaches into this machine's network."""

    def key_of(self, origin: str) -> str:
        """The key for a server; empty where it has none."""
        return next((key for server, key in self.keys if server == origin), "")

    def tokenizer_of(self, model: str) -> str:
        """The tokenizer's folder for a model; empty where the settings name none."""
        return next((folder for name, folder in self.tokenizers if name in (model, "")), "")


@dataclass(frozen=True)
class Settings:
    """What may differ from one machine to the next; the defaults serve the demo model on this machine alone."""

    model: str = "demo"
    """WORKBENCH_MODEL: the checkpoint served first: "demo", "demo-small", a folder or a Hub id."""
    precision: str | None = None
    """WORKBENCH_PRECISION: the precision it is loaded in; None is the checkpoint's own."""
    host: str = "127.0.0.1"
    """GRADIO_SERVER_NAME."""
    port: int = 7860
    """GRADIO_SERVER_PORT."""
    memory_bytes: int | None = None
    """WORKBENCH_MEMORY_GIB: what all models together may take; None is what the machine or its container has."""
    offload_folder: Path | None = None
    """WORKBENCH_OFFLOAD_FOLDER: where weights that fit no device are kept on disk; None offloads nothing to disk."""
    max_streams: int = 16
    """WORKBENCH_MAX_STREAMS: how many texts one model writes at the same time."""
    heads_folder: Path = Path("heads")
    """WORKBENCH_HEADS: where trained heads are kept, each in a folder of its own."""
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    """WORKBENCH_API_KEYS, with commas: what a caller of /v1 must send one of; empty: anybody may call."""
    runs_folder: Path = Path("runs")
    """WORKBENCH_RUNS: where the runs of benchmarks are kept, each in a folder of its own."""
    profile_name: str | None = None
    """WORKBENCH_PROFILE: "local" or "public"; None: local where `host` is a loopback address, else public."""
    models: tuple[str, ...] = ()
    """WORKBENCH_MODELS, with commas: what a public page offers beside the first model, such as "demo:int8"."""
    root: Path | None = None
    """WORKBENCH_ROOT: the folder in which checkpoints may be named on a local page; None: anywhere."""
    hosts: tuple[str, ...] = ()
    """WORKBENCH_HOSTS, with commas: names under which the page is reached beside this machine's own."""
    proxies: int = 0
    """WORKBENCH_PROXIES: how many proxies of one's own stand before the server, each noting whom it forwards for."""
    remote: RemoteSettings = field(default_factory=RemoteSettings)
    mcp: bool = False
    """WORKBENCH_MCP: whether the page's endpoints are tools of an MCP server too."""

    @property
    def profile(self) -> Profile:
        """What visitors may do, and how much."""
        if self.profile_name is not None:
            return PROFILES[self.profile_name]
        return LOCAL if is_loopback(self.host) else PUBLIC

    @property
    def serves_locally(self) -> bool:
        """Whether all visitors are the machine's owner."""
        return not self.profile.others


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own, which nobody else can reach."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings that an environment asks for; an empty variable counts as not set.

    Raises:
        BadRequest: a value is not what its variable needs; the message names the variable.
    """
    given = {name: value.strip() for name, value in environment.items() if value.strip()}
    memory_gib = _number(given, "WORKBENCH_MEMORY_GIB", 0.1, 100_000)
    offload, root, on_a_space = given.get("WORKBENCH_OFFLOAD_FOLDER"), given.get("WORKBENCH_ROOT"), SPACE in given
    settings = Settings(
        model=given.get("WORKBENCH_MODEL", Settings.model),
        precision=given.get("WORKBENCH_PRECISION"),
        host=given.get("GRADIO_SERVER_NAME", "0.0.0.0" if on_a_space else Settings.host),
        port=_whole(given, "GRADIO_SERVER_PORT", Settings.port, 1, 65_535),
        memory_bytes=None if memory_gib is None else int(memory_gib * 2**30),
        offload_folder=None if offload is None else Path(offload).expanduser(),
        max_streams=_whole(given, "WORKBENCH_MAX_STREAMS", Settings.max_streams, 1, 256),
        heads_folder=Path(given.get("WORKBENCH_HEADS", Settings.heads_folder)).expanduser(),
        api_keys=_list(given, "WORKBENCH_API_KEYS"),
        runs_folder=Path(given.get("WORKBENCH_RUNS", Settings.runs_folder)).expanduser(),
        profile_name=_profile(given),
        models=_list(given, "WORKBENCH_MODELS"),
        root=None if root is None else Path(root).expanduser(),
        hosts=tuple(name.lower() for name in _list(given, "WORKBENCH_HOSTS")),
        mcp=_switch(given, "WORKBENCH_MCP"),
        proxies=_whole(given, "WORKBENCH_PROXIES", 1 if on_a_space else Settings.proxies, 0, 16),
    )
    return replace(settings, remote=replace(read_remote(environment), any_server=settings.serves_locally))


def read_remote(environment: Mapping[str, str] = os.environ) -> RemoteSettings:
    """How models of other servers are reached, as far as an environment says.

    Raises:
        BadRequest: a value is not what its variable needs; the message names the variable, and never a key.
    """
    given = {name: value.strip() for name, value in environment.items() if value.strip()}
    keys, tokenizers = (_pairs(given, f"WORKBENCH_REMOTE_{name}") for name in ("KEYS", "TOKENIZERS"))
    if not all(server.startswith(("http://", "https://")) for server, _ in keys):
        raise BadRequest("WORKBENCH_REMOTE_KEYS must be like http://host:8000=KEY, with commas. Change or unset it.")
    seconds = _number(given, "WORKBENCH_REMOTE_SECONDS", 0.1, 86_400)
    named = (given.get("WORKBENCH_MODEL", ""), *_list(given, "WORKBENCH_MODELS"))
    return RemoteSettings(
        models=tuple(name for name in named if "://" in name),
        keys=tuple((server.rstrip("/").removesuffix("/v1"), key) for server, key in keys),
        tokenizers=tokenizers,
        seconds=RemoteSettings.seconds if seconds is None else seconds,
    )


def compiles_kernels(environment: Mapping[str, str]) -> bool:
    """WORKBENCH_KERNELS: "compiled" (the default) or "torch", which never asks for a C compiler.

    Raises:
        BadRequest: it is neither.
    """
    value = environment.get("WORKBENCH_KERNELS", "").strip() or "compiled"
    if value not in ("compiled", "torch"):
        raise BadRequest(f'WORKBENCH_KERNELS is {value!r}; it must be "compiled" or "torch". Change or unset it.')
    return value == "compiled"


def _profile(given: Mapping[str, str]) -> str | None:
    name = given.get("WORKBENCH_PROFILE")
    if name not in (None, *PROFILES):
        raise BadRequest(f"WORKBENCH_PROFILE is {name!r}; it must be one of {', '.join(PROFILES)}. Change or unset it.")
    if SPACE not in given:
        return name
    if name == LOCAL.name:
        raise BadRequest(
            "WORKBENCH_PROFILE is local, but this is a Space, which others can reach: files and models of the machine "
            "would be theirs. Unset it."
        )
    return PUBLIC.name


def _switch(given: Mapping[str, str], name: str) -> bool:
    value = given.get(name, "0").lower()
    if value not in ("0", "1", "false", "true"):
        raise BadRequest(f"{name} is {given[name]!r}; it must be 1 or 0. Change or unset it.")
    return value in ("1", "true")


def _list(given: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, given.get(name, "").split(","))))


def _pairs(given: Mapping[str, str], name: str) -> tuple[tuple[str, str], ...]:
    """What stands before and after each "="; without one it is all for everything: before it stands nothing."""
    parts = [one.partition("=") for one in _list(given, name)]
    return tuple((before.strip(), after.strip()) if sign else ("", before) for before, sign, after in parts)


def _number(given: Mapping[str, str], name: str, low: float, high: float) -> float | None:
    if name not in given:
        return None
    try:
        value = float(given[name])
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise BadRequest(
            f"{name} is {given[name]!r}; it must be a number from {low:g} to {high:g}. Change or unset it."
        )
    return value


def _whole(given: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    value = _number(given, name, low, high)
    if value is None:
        return default
    if value != int(value):
        raise BadRequest(f"{name} is {given[name]!r}; it must be a whole number. Change or unset it.")
    return int(value)
