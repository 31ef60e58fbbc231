"""Which trunk is this? A short text that tells one set of trunk weights from another, whatever file holds them."""

import hashlib
from pathlib import Path

import torch

from workbench.loading.checkpoint import Checkpoint, TensorInfo, find_weights, open_checkpoint
from workbench.loading.names import BUFFERS, HEADS, PREFIX

FIRST_VALUES = 4096
"""Of each tensor: training moves every tensor, so its beginning tells, and 24 GB need not be read."""


def trunk_fingerprint(folder: Path) -> str:
    """The fingerprint of a checkpoint folder's trunk: 64 hexadecimal digits.

    SHA-256 over names, shapes and first values (as float32) of the trunk's tensors. It stays the same under other
    sharding, another format, a prefix "transformer.", a head, old buffers, and a wider float type.

    Raises:
        BadCheckpoint: the folder holds no readable weights.
    """
    checkpoint = open_checkpoint(folder)
    trunk = {
        name.removeprefix(PREFIX): info
        for name, info in checkpoint.tensors.items()
        if not name.startswith(HEADS) and not BUFFERS.search(name)
    }
    digest = hashlib.sha256()
    for name in sorted(trunk):
        digest.update(f"{name} {list(trunk[name].shape)}\n".encode())
        digest.update(_first_values(checkpoint, trunk[name]).numpy().tobytes())
    return digest.hexdigest()


class Fingerprints:
    """Remembers the fingerprints of folders for as long as their weights stay the same files; for any thread."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, int, int], str] = {}

    def of(self, folder: Path) -> str:
        """The fingerprint of a folder's trunk; see `trunk_fingerprint`."""
        _, weights = find_weights(folder)
        status = weights.stat()
        key = (weights.resolve(), status.st_mtime_ns, status.st_size)
        if key not in self._known:
            self._known[key] = trunk_fingerprint(folder)
        return self._known[key]


def _first_values(checkpoint: Checkpoint, info: TensorInfo) -> torch.Tensor:
    """Flat, in float32, fresh on the CPU."""
    for piece in checkpoint.pieces(info.name):
        return piece[:FIRST_VALUES].float()
    return torch.empty(0)
