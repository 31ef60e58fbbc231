"""The heads beside a checkpoint go along when it is converted, if they fit what it became."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from workbench.loading.checkpoint import Checkpoint, open_checkpoint, whole
from workbench.loading.fingerprint import trunk_fingerprint
from workbench.loading.head_card import HeadCard, write_card
from workbench.loading.head_folder import FILES
from workbench.loading.head_readme import README, readme
from workbench.loading.heads import heads_in
from workbench.loading.names import BUFFERS, HEADS, PREFIX
from workbench.loading.shelf import BESIDE


@dataclass(frozen=True)
class CarriedHeads:
    """What became of the heads that fit the source, by their names."""

    kept: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    """Trained on weights that the new folder does not hold exactly."""

    def __str__(self) -> str:
        parts = []
        if self.kept:
            parts.append(f"Heads that went along: {', '.join(self.kept)}.")
        if self.left:
            parts.append(
                f"Heads left out: {', '.join(self.left)}. They were trained on weights that this precision does not "
                "hold exactly: train them on the new folder, or load the source itself in this precision."
            )
        return " ".join(parts)


def carry_heads(source: Path, new: Path) -> CarriedHeads:
    """Copies the heads beside a checkpoint to its conversion if both have the same trunk; their cards name the new one.

    Heads of other trunks stay where they are, and the state of a training too.

    Raises:
        BadCheckpoint: the source can't be read. OSError: the copies can't be written.
    """
    before = trunk_fingerprint(source)
    cards = [card for card in heads_in(source / BESIDE) if card.trunk == before]
    names = tuple(card.name for card in cards)
    if not cards:
        return CarriedHeads()
    if not same_trunk(source, new):
        return CarriedHeads(left=names)
    after = trunk_fingerprint(new)
    for card in cards:
        _copy(card, new / BESIDE, after)
    return CarriedHeads(kept=names)


def same_trunk(one: Path, other: Path) -> bool:
    """Whether every tensor of the second's trunk stands in the first with the same values in float32, bit for bit."""
    first, second = open_checkpoint(one), open_checkpoint(other)
    names, others = _trunk(first), _trunk(second)
    return all(
        name in names and _equal(whole(first, names[name]), whole(second, there)) for name, there in others.items()
    )


def _trunk(checkpoint: Checkpoint) -> dict[str, str]:
    """The trunk's tensors: names without the prefix -> as the file has them."""
    held = (name for name in checkpoint.tensors if not name.startswith(HEADS) and not BUFFERS.search(name))
    return {name.removeprefix(PREFIX): name for name in held}


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Of the same shape and, in float32, the same bits."""
    if one.shape != other.shape:
        return False
    return torch.equal(one.float().view(torch.int32), other.float().view(torch.int32))


def _copy(card: HeadCard, shelf: Path, trunk: str) -> None:
    """One head's folder, its card rewritten where the trunk's fingerprint is another now."""
    if card.folder is None:
        return
    place = shelf / card.folder.name
    place.mkdir(parents=True)
    for name in FILES:
        if (card.folder / name).is_file():
            shutil.copyfile(card.folder / name, place / name)
    if trunk != card.trunk:
        moved = replace(card, trunk=trunk)
        write_card(place, moved)
        (place / README).write_text(readme(moved), encoding="utf-8")
