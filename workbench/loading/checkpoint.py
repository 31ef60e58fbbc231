"""What every checkpoint format gives: a list of tensors, and each tensor's values piece by piece."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from workbench.collect import collect
from workbench.errors import BadCheckpoint
from workbench.loading import formats

PIECE_BYTES = 4 * 2**20
"""How much of a tensor is in the air while it is read: small beside any model, large beside a disk's block."""

ROWS_STEP = 64
"""Pieces end at multiples of so many rows, so that a quantiser's blocks of 64 values never straddle two pieces."""

INDEX_BYTES = 64 * 2**20
JSON_BYTES = 4 * 2**20

DOWNLOAD_AGAIN = "Download the file again"


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a checkpoint, before its values are read."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    bytes: int
    file: str
    """The name of the file that holds it."""


class Checkpoint(Protocol):
    """An opened checkpoint."""

    tensors: Mapping[str, TensorInfo]

    def pieces(self, name: str, rows: range | None = None, into: torch.Tensor | None = None) -> Iterator[torch.Tensor]:
        """The tensor's values in order, flat, whole rows at a time; each piece is valid until the next one.

        Args:
            rows: which of its rows, without gaps; None is all. A number alone is one row. Threads may share a tensor.
            into: memory for the whole tensor, flat, on the CPU and of its type; the pieces then are views of it, read
                straight into their place.

        Raises:
            BadCheckpoint: the file ends early or can't be read.
        """
        ...


@dataclass(frozen=True)
class Format:
    """One way of keeping a checkpoint in a folder."""

    name: str
    preference: int
    """Of several formats in one folder the smallest is read."""
    files: tuple[str, ...]
    """Names that announce the format; the first one present is opened."""
    open: Callable[[Path], Checkpoint]
    """From the path of the announcing file."""
    config: Callable[[Path], dict[str, Any]] | None = None
    """What config.json would say, from the same path; None for a format whose own files do not tell."""


def find_weights(folder: Path) -> tuple[Format, Path]:
    """The preferred format that a folder holds, and its file.

    Raises:
        BadCheckpoint: the folder holds no known weights.
    """
    known: list[Format] = sorted(collect(formats, "FORMAT").values(), key=lambda found: found.preference)
    for candidate in known:
        for file in candidate.files:
            if (folder / file).exists() or (folder / file).is_symlink():
                return candidate, folder / file
    expected = ", ".join(file for candidate in known for file in candidate.files)
    raise BadCheckpoint(folder.name, "the folder holds no weights", f"One of these files is expected: {expected}.")


def open_checkpoint(folder: Path) -> Checkpoint:
    """Opens the weights of a folder; nothing is read but the list of tensors.

    Raises:
        BadCheckpoint: no weights, or a file that is not what its name says.
    """
    chosen, path = find_weights(folder)
    return chosen.open(path)


def whole(checkpoint: Checkpoint, name: str) -> torch.Tensor:
    """One whole tensor, fresh, on the CPU; for small ones."""
    info = checkpoint.tensors[name]
    out = torch.empty(info.shape, dtype=info.dtype)
    for _ in checkpoint.pieces(name, into=out.view(-1)):
        pass
    return out


def rows_a_piece(shape: tuple[int, ...], item_bytes: int) -> int:
    """How many leading rows of a tensor make one piece."""
    row_bytes = item_bytes
    for size in shape[1:]:
        row_bytes *= size
    return max(ROWS_STEP, PIECE_BYTES // max(1, row_bytes) // ROWS_STEP * ROWS_STEP)


def shard_paths(index: Path) -> dict[str, Path]:
    """The file of each tensor, from an index of the published form {"weight_map": {tensor: file}}.

    Raises:
        BadCheckpoint: the index is malformed, leads out of its folder, or names a file that is not there.
    """
    values = read_json(index, INDEX_BYTES)
    weight_map = values.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise BadCheckpoint(index.name, 'it has no "weight_map" from tensor names to files', DOWNLOAD_AGAIN + ".")
    paths = {shard: _shard_path(index, shard) for shard in set(map(_as_text, weight_map.values()))}
    return {name: paths[_as_text(shard)] for name, shard in weight_map.items()}


def read_json(path: Path, most_bytes: int = JSON_BYTES) -> dict[str, Any]:
    """A JSON object from a file, strictly: UTF-8, no key twice, not larger than `most_bytes`.

    Raises:
        BadCheckpoint: missing, too large, or not such an object.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise BadCheckpoint(path.name, f"it can't be read ({error.strerror or error})") from error
    if len(data) > most_bytes:
        raise BadCheckpoint(path.name, f"it is larger than {most_bytes} bytes, which no such file is")
    refuse_foreign(path.name, data[:1024], path.stat().st_size)
    return parse_json(path.name, data)


def parse_json(file: str, data: bytes) -> dict[str, Any]:
    """A JSON object from bytes; `file` is named in the error."""
    try:
        values = json.loads(data.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise BadCheckpoint(file, f"it is not valid JSON ({reason})", DOWNLOAD_AGAIN + ".") from error
    if not isinstance(values, dict):
        raise BadCheckpoint(file, "it is not a JSON object", DOWNLOAD_AGAIN + ".")
    return values


def refuse_foreign(file: str, start: bytes, size: int) -> None:
    """Names the things that are often found in place of a checkpoint file.

    Args:
        start: the file's first bytes, up to about a thousand.

    Raises:
        BadCheckpoint: empty, a Git LFS pointer, or a web page.
    """
    if size == 0:
        raise BadCheckpoint(file, "it is empty", DOWNLOAD_AGAIN + ".")
    if start.startswith(b"version https://git-lfs.github.com"):
        hint = "Run `git lfs pull` in the folder, or download the file itself."
        raise BadCheckpoint(file, "it is a Git LFS pointer, not the file it points to", hint)
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        hint = DOWNLOAD_AGAIN + "; the server answered with a page, perhaps asking to log in."
        raise BadCheckpoint(file, "it is a web page, not a checkpoint", hint)


def _shard_path(index: Path, shard: str) -> Path:
    if Path(shard).name != shard or shard in ("", ".", "..") or "\\" in shard or "\0" in shard:
        raise BadCheckpoint(index.name, f"it names the file {shard!r}, which is not a plain name in the same folder")
    path, folder = index.parent / shard, index.parent.resolve()
    if not path.exists():
        raise BadCheckpoint(shard, f"{index.name} names this file, and the folder does not hold it", "Download it.")
    # The Hub's cache keeps files as links from snapshots/<revision>/ into blobs/; no other link may lead out.
    blobs = folder.parent.parent / "blobs" if folder.parent.name == "snapshots" else folder
    if path.resolve().parent not in (folder, blobs):
        raise BadCheckpoint(shard, "it is a link that leads out of the checkpoint's folder")
    return path


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} stands twice")
    return values
