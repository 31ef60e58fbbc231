"""Trained heads: small folders beside a checkpoint, each with a card that tells which trunk it belongs to."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from workbench.errors import BadCheckpoint, BadRequest
from workbench.gptj.config import GPTJConfig
from workbench.gptj.lora import Adapter
from workbench.loading.adapter_file import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    check_tensors,
    read_adapter,
    write_adapter,
)
from workbench.loading.checkpoint import DOWNLOAD_AGAIN
from workbench.loading.config_file import CONFIG
from workbench.loading.fingerprint import FileDigests, trunk_fingerprint
from workbench.loading.formats.safetensors import SafetensorsCheckpoint
from workbench.loading.head_card import HEAD_FILE, HeadCard, read_card_file, write_card
from workbench.loading.head_folder import HEAD_WEIGHTS, WEIGHT_FILES, check_head_folder, replaced_whole
from workbench.loading.head_readme import README, readme
from workbench.loading.precision import read_float
from workbench.loading.write import as_tensor_to_save, write_tensors

__all__ = [
    "HeadCard",
    "SavedHead",
    "check_head_folder",
    "heads_in",
    "load_head",
    "read_card",
    "save_head",
    "trunk_fingerprint",
]

OTHER_FOLDERS = {
    ADAPTER_CONFIG: "It is a PEFT adapter that does not tell its trunk and labels. ",
    CONFIG: "It is a whole checkpoint: choose it as the model itself. ",
}
"""What a folder without head.json may be, by a file of it."""
KEY_DIGITS = 16
SHOWN_FINGERPRINT = 12
AGAIN = "Copy the folder again from where it came, or train the head again."


@dataclass(frozen=True)
class SavedHead:
    """A head with its weights."""

    card: HeadCard
    module: nn.Linear
    """From hidden states to the head's outputs, in float32: without a bias for "classify", with one for "answer"."""
    adapter: Adapter | None = None
    """What the trunk gets added while this head reads; None leaves it as it is."""


def save_head(folder: Path, card: HeadCard, module: nn.Linear, adapter: Adapter | None = None) -> None:
    """Writes a head's folder, whole or not at all; an earlier head in the folder is replaced.

    Raises:
        BadRequest: weights that do not fit the card or are not finite, or a folder that holds anything else.
    """
    weights = {f"{card.module_name}.{name}": value for name, value in module.state_dict().items()}
    _check_weights(card, module, [*weights.values(), *(adapter.parameters() if adapter is not None else [])])
    with replaced_whole(folder) as fresh:
        if adapter is None:
            write_tensors(fresh / HEAD_WEIGHTS, [as_tensor_to_save(name, value) for name, value in weights.items()])
        else:
            write_adapter(fresh, adapter, card.module_name, module, card.trunk_name)
        (fresh / README).write_text(readme(card), encoding="utf-8")
        write_card(fresh, card)


def read_card(folder: Path, digests: FileDigests | None = None) -> HeadCard:
    """A head's card, with its folder and its key.

    Args:
        digests: remembers those of the files; None computes them.

    Raises:
        BadRequest: the folder holds no head. BadCheckpoint: head.json is damaged.
    """
    if not _is_file(folder / HEAD_FILE):
        what = next((what for file, what in OTHER_FOLDERS.items() if _is_file(folder / file)), "")
        raise BadRequest(
            f"{folder} is not a head's folder: it holds no {HEAD_FILE}. {what}"
            "Give a folder that `train classify` or `train answer` wrote."
        )
    with _naming(folder):
        card = read_card_file(folder)
        return replace(card, folder=folder, key=_key(folder, digests or FileDigests()))


def load_head(folder: Path, config: GPTJConfig, fingerprint: str, digests: FileDigests | None = None) -> SavedHead:
    """A head with its weights, for the trunk of this configuration and fingerprint; its card is of these weights.

    Raises:
        BadRequest: there is no head, or it was trained on another trunk.
        BadCheckpoint: a file of it is missing or damaged, or does not fit.
    """
    card = read_card(folder, digests)
    with suppress(BadCheckpoint):  # a head that is trained anew meanwhile is of two trainings for a moment
        head = _with_weights(card, folder, config, fingerprint)
        if read_card(folder, digests).key == card.key:
            return head
    return _with_weights(read_card(folder, digests), folder, config, fingerprint)


def heads_in(folder: Path, digests: FileDigests | None = None) -> list[HeadCard]:
    """The cards of all heads in a folder's sub-folders, by the folders' names.

    Hidden folders are left out, whole trained models, and damaged heads: who asks for one by its path is told why.
    """
    cards = []
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []  # there is no such folder, or it may not be looked into
    for path in paths:
        with suppress(BadRequest, BadCheckpoint):
            cards.append(read_card(path, digests))
    return [card for card in cards if card.method != "full"]


def _with_weights(card: HeadCard, folder: Path, config: GPTJConfig, fingerprint: str) -> SavedHead:
    if card.method == "full":
        raise BadRequest(f"{folder} is a whole trained model, not a head beside one: choose it as the model itself.")
    if card.trunk != fingerprint:
        raise BadRequest(
            f"The head {card.name!r} was trained on another trunk: {card.trunk_name} (fingerprint "
            f"{card.trunk[:SHOWN_FINGERPRINT]}), not on this one ({fingerprint[:SHOWN_FINGERPRINT]}). "
            "Choose the model it was trained on, or train it again on this one."
        )
    adapter = None
    with _naming(folder):
        if card.method == "lora":
            adapter, weights = read_adapter(folder, config, card.module_name)
            file = ADAPTER_WEIGHTS
        else:
            weights, file = _read_weights(folder), HEAD_WEIGHTS
        return SavedHead(card, _module(card, config.n_embd, weights, file), adapter)


def _read_weights(folder: Path) -> dict[str, torch.Tensor]:
    checkpoint = SafetensorsCheckpoint(folder / HEAD_WEIGHTS)
    return {name: read_float(checkpoint, name, torch.float32, torch.device("cpu")) for name in checkpoint.tensors}


def _module(card: HeadCard, width: int, weights: dict[str, torch.Tensor], file: str) -> nn.Linear:
    """The head itself, of tensors under their published names."""
    has_bias = card.kind == "answer"
    wanted: dict[str, tuple[int, ...]] = {f"{card.module_name}.weight": (card.outputs, width)}
    if has_bias:
        wanted[f"{card.module_name}.bias"] = (card.outputs,)
    check_tensors(wanted, {name: tuple(value.shape) for name, value in weights.items()}, file)
    module = nn.Linear(width, card.outputs, bias=has_bias, dtype=torch.float32)
    module.load_state_dict({name.rpartition(".")[2]: value for name, value in weights.items()})
    return module.eval().requires_grad_(False)


def _check_weights(card: HeadCard, module: nn.Linear, tensors: list[torch.Tensor]) -> None:
    has_bias, belongs = module.bias is not None, card.kind == "answer"
    if module.out_features != card.outputs or has_bias != belongs:
        raise BadRequest(
            f"The head {card.name!r} gives {module.out_features} outputs, {'with' if has_bias else 'without'} a bias; "
            f"its card asks for {card.outputs}, {'with' if belongs else 'without'} one."
        )
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors):
        raise BadRequest("The head's weights are NaN or infinite and can't be saved. Train with a lower learning rate.")


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Errors inside tell which head's file it is, and what to do about a head."""
    try:
        yield
    except BadCheckpoint as error:
        hint = AGAIN if not error.hint or error.hint.startswith(DOWNLOAD_AGAIN) else error.hint
        raise BadCheckpoint(f"{folder.name}/{error.file}", error.reason, hint) from error


def _key(folder: Path, digests: FileDigests) -> str:
    """The folder, and a digest of what the head is made of."""
    digest = hashlib.sha256()
    for name in (HEAD_FILE, *WEIGHT_FILES):
        path = folder / name
        if path.is_file():
            try:
                digest.update(name.encode() + digests.of(path))
            except OSError as error:
                raise BadCheckpoint(name, f"it can't be read ({error.strerror or error})") from error
    return f"{folder.resolve()}#{digest.hexdigest()[:KEY_DIGITS]}"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False  # a name that no file can have
