"""Where heads are looked for, and which one a name means."""

from collections.abc import Sequence
from pathlib import Path

import torch

from workbench.errors import BadRequest
from workbench.loading.config_file import read_config
from workbench.loading.fingerprint import FileDigests, Fingerprints
from workbench.loading.heads import HeadCard, SavedHead, heads_in, load_head, read_card
from workbench.loading.identity import HeadIdentity, ModelIdentity
from workbench.loading.loaded import LoadedModel
from workbench.loading.own_head import own_card
from workbench.loading.source import holds_weights
from workbench.loading.spec import Found, under_one_name

BESIDE = "heads"
"""The folder of heads in a checkpoint's own folder."""
SHOWN = 20
DOES = {"classify": "classifies texts", "answer": "answers questions"}


class Shelf:
    """The heads of every model: in its checkpoint's own folder, and in one folder for all. For any thread.

    Args:
        folder: the one for all; None leaves it out.
        is_open: whether a head may also be named by a folder anywhere on this machine.
    """

    def __init__(self, folder: Path | None, is_open: bool = True):
        self._folder, self._is_open, self._fingerprints, self._digests = folder, is_open, Fingerprints(), FileDigests()

    def own(self, found: Found) -> HeadCard | None:
        """The head of a checkpoint that is a classifier or a span reader itself."""
        if found.own_head is None:
            return None
        return own_card(found.folder, found.own_head, self._fingerprints.of(found.folder))

    def cards(self, found: Found) -> list[HeadCard]:
        """The heads that fit a checkpoint's trunk, its own first; none while its weights are still on the Hub."""
        if not holds_weights(found.folder):
            return []
        own, fingerprint = self.own(found), self._fingerprints.of(found.folder)
        kept = [card for folder in self._folders(found) for card in heads_in(folder, self._digests)]
        return ([own] if own is not None else []) + [card for card in kept if card.trunk == fingerprint]

    def choose(self, found: Found, name_or_folder: str, kind: str | None = None) -> HeadCard:
        """The head that is meant: by key or version, by name, by its folder's name, or by the path of its folder.

        Args:
            kind: "classify" or "answer", which heads of another kind are not; None: either.

        Raises:
            BadRequest: there is none, or several, and the message lists them; or it is of the other kind.
        """
        cards = self.cards(found)
        wanted = [card for card in cards if kind in (None, card.kind)]
        meant = [card for card in wanted if name_or_folder in (card.key, card.version)]
        meant = meant or [card for card in wanted if card.name == name_or_folder]
        if len({card.version for card in meant}) > 1:
            several = ", ".join(f"{card.folder} ({card.version})" for card in meant[:SHOWN])
            raise BadRequest(f"Several heads are called {name_or_folder[:200]!r}: {several}. Give its folder.")
        card = meant[0] if meant else self._in_folder(found, name_or_folder)
        # One of another kind is told as such, rather than as missing.
        card = card or next((card for card in cards if card.name == name_or_folder), None)
        if card is None:
            raise _no_such_head(name_or_folder, wanted)
        if kind not in (None, card.kind):
            raise BadRequest(f"The head {card.name!r} {DOES[card.kind]}. Choose another head: one that {DOES[kind]}.")
        return card

    def load(self, found: Found, card: HeadCard) -> SavedHead:
        """A head's weights, with the card they belong to: another one if it was trained anew since; see `load_head`."""
        folder = card.folder or found.folder
        return load_head(folder, read_config(found.folder), self._fingerprints.of(found.folder), self._digests)

    def identity(self, found: Found, shown: LoadedModel, card: HeadCard | None = None) -> ModelIdentity:
        """What names a loaded model, and a head of it that takes part, in the record of a run."""
        name = under_one_name(found.spec).checkpoint
        place = found.folder.resolve()
        return ModelIdentity(
            checkpoint=name,
            revision=place.name if place.parent.name == "snapshots" else None,  # the Hub's cache names it by the commit
            precision=found.spec.precision or found.own_precision,
            dtype=", ".join(dict.fromkeys(part.dtype for part in shown.parts)),
            device=", ".join(dict.fromkeys(_device(part.device) for part in shown.parts)),
            fingerprint=self._fingerprints.of_model(found.folder),
            parameters=shown.parameters,
            weights_bytes=shown.weights_bytes,
            context_tokens=read_config(found.folder).n_positions,
            head=None if card is None else _head_identity(card),
        )

    def _in_folder(self, found: Found, name_or_folder: str) -> HeadCard | None:
        """Also one of another trunk, for `load` to say so."""
        if not self._is_open and Path(name_or_folder).name != name_or_folder:
            return None
        shelved = [folder / name_or_folder for folder in self._folders(found)]
        for path in [*shelved, *([Path(name_or_folder)] if self._is_open else [])]:
            if name_or_folder and _is_folder(path):
                return read_card(path, self._digests)
        return None

    def _folders(self, found: Found) -> list[Path]:
        return [found.folder / BESIDE, *([] if self._folder is None else [self._folder])]


def _head_identity(card: HeadCard) -> HeadIdentity:
    # A key ends in a digest of the head's files; the head of a checkpoint itself is in the model's fingerprint.
    return HeadIdentity(card.name, card.kind, card.method, card.key.rpartition("#")[2])


def _device(name: str) -> str:
    """A device by its kind: a GPU by its maker's name, others as they are."""
    return torch.cuda.get_device_name(name) if name.startswith("cuda") else name


def _no_such_head(name: str, cards: Sequence[HeadCard]) -> BadRequest:
    known = ", ".join(card.name for card in cards[:SHOWN])
    there = f"Heads that fit it: {known}." if cards else "None fits it yet: `python -m workbench train` makes one."
    return BadRequest(f"This model has no head {name[:200]!r}, and there is no such folder either. {there}")


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False  # a name that no folder can have
