"""Which model is this? A short text that tells one set of weights from another, whatever file holds them."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import torch

from workbench.loading.checkpoint import Checkpoint, TensorInfo, find_weights, open_checkpoint
from workbench.loading.config_file import CONFIG
from workbench.loading.names import BUFFERS, HEADS, PREFIX

FIRST_VALUES = 4096
"""Of each tensor: training moves every tensor, so its beginning tells, and 24 GB need not be read."""
BESIDE_WEIGHTS = (CONFIG, "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt")
"""Other files that a model's answers depend on."""


def trunk_fingerprint(folder: Path) -> str:
    """The fingerprint of a checkpoint folder's trunk: 64 hexadecimal digits.

    SHA-256 over names, shapes and first values (as float32) of the trunk's tensors. It stays the same under other
    sharding, another format, a prefix "transformer.", a head, old buffers, and a wider float type.

    Raises:
        BadCheckpoint: the folder holds no readable weights.
    """
    return _of_tensors(folder, without=HEADS)


def weights_fingerprint(folder: Path) -> str:
    """The same of all weights, those of heads included.

    Raises:
        BadCheckpoint: the folder holds no readable weights.
    """
    return _of_tensors(folder)


def model_fingerprint(folder: Path, weights: str) -> str:
    """The fingerprint of everything in a checkpoint folder that its answers depend on: 64 hexadecimal digits.

    Args:
        weights: the fingerprint of its weights, to which the configuration and the tokenizer's files are added.
    """
    digest = hashlib.sha256(weights.encode())
    for name in BESIDE_WEIGHTS:
        path = folder / name
        if path.is_file():
            digest.update(name.encode() + _digest(path))
    return digest.hexdigest()


def _of_tensors(folder: Path, without: tuple[str, ...] = ()) -> str:
    """Of the tensors whose names do not begin so."""
    checkpoint = open_checkpoint(folder)
    tensors = {
        name.removeprefix(PREFIX): info
        for name, info in checkpoint.tensors.items()
        if not (without and name.startswith(without)) and not BUFFERS.search(name)
    }
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {list(tensors[name].shape)}\n".encode())
        digest.update(_first_values(checkpoint, tensors[name]).numpy().tobytes())
    return digest.hexdigest()


Value = TypeVar("Value")


class _Remembered(Generic[Value]):
    """What was computed from files, for as long as they stay the same."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, ...], Value]] = {}

    def of(self, path: Path, compute: Callable[[], Value]) -> Value:
        status = path.stat()
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        earlier = self._known.get(path.resolve())
        if earlier is None or earlier[0] != stamp:
            earlier = stamp, compute()
            self._known[path.resolve()] = earlier
        return earlier[1]


class Fingerprints:
    """Remembers the fingerprints of folders for as long as their weights stay the same files; for any thread."""

    def __init__(self) -> None:
        self._known = _Remembered[str]()
        self._weights = _Remembered[str]()

    def of(self, folder: Path) -> str:
        """The fingerprint of a folder's trunk; see `trunk_fingerprint`."""
        _, weights = find_weights(folder)
        return self._known.of(weights, lambda: trunk_fingerprint(folder))

    def of_model(self, folder: Path) -> str:
        """The fingerprint of a folder's model; see `model_fingerprint`."""
        _, weights = find_weights(folder)
        return model_fingerprint(folder, self._weights.of(weights, lambda: weights_fingerprint(folder)))


class FileDigests:
    """Remembers the SHA-256 of files for as long as they stay the same; for any thread."""

    def __init__(self) -> None:
        self._known = _Remembered[bytes]()

    def of(self, path: Path) -> bytes:
        """The file's digest, 32 bytes.

        Raises:
            OSError: it can't be read.
        """
        return self._known.of(path, lambda: _digest(path))


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _first_values(checkpoint: Checkpoint, info: TensorInfo) -> torch.Tensor:
    """Flat, in float32, fresh on the CPU."""
    found = torch.empty(0)
    for piece in checkpoint.pieces(info.name):
        found = torch.cat([found, piece[: FIRST_VALUES - len(found)].float()])
        if len(found) == FIRST_VALUES:
            break
    return found
