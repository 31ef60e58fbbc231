"""Everything that the numbers of a run depend on, and a digest of it: the same digest, the same numbers."""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from workbench.loading.identity import HeadIdentity, ModelIdentity

__all__ = ["FORMAT", "HeadIdentity", "ModelIdentity", "Protocol", "code_record", "differences"]

FORMAT = 1
"""Of the run folder; raised when an older reader would misread it."""
PARTS = ("task", "data", "shots", "limit", "model", "code")
SHORT_DIGITS = 12
_PACKAGE = Path(__file__).parents[2]
_SOURCES = (
    *(_PACKAGE / room for room in ("gptj", "loading", "engine", "text", "evals")),
    _PACKAGE.parent / "tasks",
)
"""The rooms whose code a number passes through; the page and the commands only show it."""


@dataclass(frozen=True)
class Protocol:
    """How a run is done; all values are what JSON holds."""

    task: Mapping[str, Any]
    """name, version, method, settings, metrics."""
    data: Mapping[str, Any]
    """origin, path, name, split, revision, sha256, rows."""
    shots: Mapping[str, Any]
    """count, seed, rows, sha256."""
    limit: int | None
    model: Mapping[str, Any]
    """A ModelIdentity's fields."""
    code: Mapping[str, Any]
    """sha256 of our sources, torch, python."""

    @property
    def record(self) -> dict[str, Any]:
        """What run.json begins with, in the form in which it is read again."""
        found: dict[str, Any] = json.loads(
            json.dumps({"format": FORMAT} | {part: getattr(self, part) for part in PARTS})
        )
        return found

    @property
    def deciding(self) -> dict[str, Any]:
        """The record without what changes no number: a file's name, and a seed by which nothing is drawn."""
        found = self.record
        if self.data.get("origin") == "file":
            found["data"].pop("path", None)
        if not self.shots.get("count"):
            found["shots"].pop("seed", None)
        return found

    @property
    def digest(self) -> str:
        """64 hexadecimal digits."""
        return digest_of(self.deciding)

    @property
    def short_digest(self) -> str:
        """The digits that a run's folder is named by."""
        return self.digest[:SHORT_DIGITS]


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON value, whatever the order of its keys: 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def content_digest(example: Any) -> str:
    """What a task read of a row, its id aside, as 16 digits: the same whatever kind of file the row stood in."""
    return digest_of(json.loads(json.dumps(example, default=_content)))[:16]


def model_record(identity: ModelIdentity) -> dict[str, Any]:
    """The model's part of a protocol."""
    return asdict(identity)


@cache
def code_record() -> dict[str, str | None]:
    """The code's part of a protocol: a digest of the sources that a number passes through, and what runs them."""
    digest = hashlib.sha256()
    for room in _SOURCES:
        for path in sorted(room.rglob("*.py")):
            digest.update(f"{path.relative_to(_PACKAGE.parent).as_posix()}\n".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return {"sha256": digest.hexdigest(), "torch": _version("torch"), "python": platform.python_version()}


def differences(one: Mapping[str, Any], other: Mapping[str, Any], within: str = "") -> list[str]:
    """Where two records of protocols differ: "model.precision", "limit", ..."""
    found: list[str] = []
    for name in dict.fromkeys((*one, *other)):
        here, there = one.get(name), other.get(name)
        if isinstance(here, Mapping) and isinstance(there, Mapping):
            found.extend(differences(here, there, f"{within}{name}."))
        elif here != there:
            found.append(within + name)
    return found


def _content(example: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(example).items() if name != "id"}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
