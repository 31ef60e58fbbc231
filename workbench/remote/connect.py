"""From a name to a model that can be asked: its server, its tokenizer, its context, and what the server can do."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import BadRequest, CannotLoad
from workbench.loading.config_file import CONFIG, read_config
from workbench.loading.identity import ModelIdentity
from workbench.loading.memory import MemoryPlan, available_memory_bytes
from workbench.loading.source import HUB_ID
from workbench.loading.spec import SHIPPED, ModelSpec, locate
from workbench.remote.abilities import KINDS, UNKNOWN, find_abilities
from workbench.remote.address import RemoteName, remote_name
from workbench.remote.client import Client
from workbench.remote.engine import RemoteEngine
from workbench.remote.errands import Errands
from workbench.settings import RemoteSettings
from workbench.text.tokenizer import Tokenizer

PRECISION = "remote"
"""In place of a precision: the server's own."""
USUAL_CONTEXT = 2048
"""GPT-J's, where neither the server nor the tokenizer's folder says."""
LARGEST_CONTEXT = 2**20
SHOWN = 10


@dataclass(frozen=True)
class Connection:
    """A model on a server, ready to be asked."""

    name: RemoteName
    """With the model's name."""
    engine: RemoteEngine
    tokenizer: Tokenizer
    identity: ModelIdentity


def asked_name(spec: ModelSpec, settings: RemoteSettings) -> RemoteName:
    """The server's model that a spec means.

    Raises:
        BadRequest: it is no address, this workbench may not ask that server, or a precision is asked for.
    """
    name = remote_name(spec.checkpoint)
    if not settings.any_server and name not in {remote_name(one) for one in settings.models if "://" in one}:
        raise BadRequest(
            f"This workbench does not ask the server {name.origin}: here only models that its operator named may be "
            "picked (WORKBENCH_MODELS)."
        )
    if spec.revision or spec.device_map or spec.precision not in (None, PRECISION):
        raise BadRequest(
            f"{name} is served elsewhere: its server decides on revision, precision and device. Leave them as they are."
        )
    return name


def connect(spec: ModelSpec, settings: RemoteSettings) -> Connection:
    """Asks a server for its model, and for one token.

    Raises:
        BadRequest: as `asked_name`. RemoteFailure: the server can't be reached, or does not continue texts.
        CannotLoad: there is no tokenizer for the model here, or it is another one.
    """
    name = asked_name(spec, settings)
    client, errands = Client(name, settings.key_of(name.origin), settings.seconds), Errands(name.origin)
    try:
        return _connected(name, client, errands, settings)
    except BaseException:
        errands.close(client.close())
        raise


def remote_plan(context: int = 0) -> MemoryPlan:
    """What a model takes here that is served elsewhere: nothing."""
    advice = "This model is served elsewhere: it takes no memory here."
    free = available_memory_bytes()
    return MemoryPlan(PRECISION, 0, 0, 0, 1, context, 0, free, True, advice, (), {})


def _connected(name: RemoteName, client: Client, errands: Errands, settings: RemoteSettings) -> Connection:
    cards = errands.wait_for(client.models())
    card = _card(name, cards)
    model = name.model or str(card["id"])
    tokenizer, folder = _tokenizer(model, card, settings)
    kind = KINDS.get(str(card.get("owned_by")), UNKNOWN)
    abilities = errands.wait_for(find_abilities(client, model, tokenizer, kind))
    most = _context(card, folder)
    context = min(most, most + kind.room_beyond_context - 1)
    whole = RemoteName(name.origin, name.path, model)
    engine = RemoteEngine(client, errands, model, tokenizer, abilities, context)
    return Connection(whole, engine, tokenizer, _identity(whole, card, tokenizer, context))


def _card(name: RemoteName, cards: list[dict[str, Any]]) -> dict[str, Any]:
    """What the server says of the model; nothing where it lists none."""
    listed = ", ".join(str(card["id"])[:100] for card in cards[:SHOWN])
    if not name.model:
        if len(cards) != 1:
            there = f"It has {listed}" if cards else "It lists none"
            raise BadRequest(f"The server {name.origin} has no single model. {there}: write {name.base}#MODEL.")
        return cards[0]
    found = next((card for card in cards if card["id"] == name.model), None)
    return found or {}


def _tokenizer(model: str, card: dict[str, Any], settings: RemoteSettings) -> tuple[Tokenizer, Path]:
    """The model's tokenizer and its folder: as the settings say, or of the checkpoint that the server names.

    A folder that a server names is one of its own machine, so of its names only the demos and Hub ids are followed.
    """
    own = str(card.get("root") or model)
    named = settings.tokenizer_of(model) or (own if own in SHIPPED or HUB_ID.fullmatch(own) else "")
    hint = f"Name its folder or Hub id: WORKBENCH_REMOTE_TOKENIZERS={model}=FOLDER."
    if not named:
        raise CannotLoad(f"Texts for {model!r} are cut into tokens here, and its tokenizer is not known. {hint}")
    try:
        is_name = named in SHIPPED or HUB_ID.fullmatch(named)
        folder = locate(ModelSpec(named), weights=False).folder if is_name else Path(named).expanduser()
        return Tokenizer.from_folder(folder), folder
    except CannotLoad as error:
        raise CannotLoad(f"The tokenizer of {model!r} can't be had: {error} {hint}") from error


def _context(card: dict[str, Any], folder: Path) -> int:
    """The tokens that the model takes: as the server says, or as the folder's configuration does."""
    told = card.get("max_model_len")
    if isinstance(told, int) and not isinstance(told, bool) and 3 <= told <= LARGEST_CONTEXT:
        return told
    return read_config(folder).n_positions if (folder / CONFIG).exists() else USUAL_CONTEXT


def _identity(name: RemoteName, card: dict[str, Any], tokenizer: Tokenizer, context: int) -> ModelIdentity:
    """What a run's record can know of a model whose weights it never sees."""
    digest = hashlib.sha256(json.dumps([name.model, card.get("root"), context]).encode())
    for token in range(tokenizer.size):
        digest.update(tokenizer.token_bytes(token) + b"\0")
    return ModelIdentity(str(name), None, PRECISION, PRECISION, PRECISION, digest.hexdigest(), 0, 0, context)
