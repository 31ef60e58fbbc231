"""What is known of a trained head: head.json, read strictly."""

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import BadCheckpoint
from workbench.gptj.config import PROBLEM_TYPES
from workbench.loading.checkpoint import read_json
from workbench.loading.write import write_json

HEAD_FILE = "head.json"
VERSION = 1
KINDS = ("classify", "answer")
METHODS = ("probe", "head", "lora", "full")
MOST_LABELS = 100_000
NOT_SAVED = ("folder", "key")
"""Fields that tell where a head was found, which its own file can't know."""


@dataclass(frozen=True)
class HeadCard:
    """A head, before its weights are read.

    Raises:
        ValueError: a value out of its range; the message names the field.
    """

    name: str
    kind: str
    """"classify" or "answer"."""
    labels: tuple[str, ...]
    """In the order of the outputs; none for "answer"."""
    problem: str | None
    """single_label_classification, multi_label_classification or regression; None for "answer"."""
    method: str
    """"probe" and "head" (the trunk stayed as it is), "lora" or "full" (the trunk was trained too)."""
    trunk: str
    """The fingerprint of the trunk it was trained on."""
    trunk_name: str
    """What that checkpoint was called."""
    precision: str = ""
    """The trunk's, in training."""
    data: dict[str, Any] = field(default_factory=dict)
    """File, columns, counts, split: as the training run knew them."""
    settings: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    """On the validation examples; NaN for one that is not defined."""
    folder: Path | None = None
    """None for the head of a checkpoint that is a classifier or span reader itself. Not saved."""
    key: str = ""
    """Its name in requests, different after another training. Not saved."""

    def __post_init__(self) -> None:
        texts = ("name", "kind", "method", "trunk", "trunk_name", "precision")
        if not all(isinstance(getattr(self, name), str) for name in texts) or not self.name.strip():
            raise ValueError(f"{', '.join(texts)} must be texts, and the name not an empty one")
        if self.kind not in KINDS or self.method not in METHODS or self.problem not in PROBLEM_TYPES:
            raise ValueError(
                f"kind must be one of {KINDS}, method one of {METHODS}, problem one of {PROBLEM_TYPES}; "
                f"got {self.kind!r}, {self.method!r}, {self.problem!r}"
            )
        if not all(isinstance(getattr(self, name), dict) for name in ("data", "settings", "metrics")):
            raise ValueError("data, settings and metrics must be objects")
        if not all(_is_number(value) for value in self.metrics.values()):
            raise ValueError(f"metrics must be numbers; got {self.metrics!r}"[:300])
        self._check_labels()

    @property
    def outputs(self) -> int:
        """How many numbers the head gives a token: start and end, one to regress, or one a label."""
        if self.kind == "answer":
            return 2
        return 1 if self.problem == "regression" else len(self.labels)

    @property
    def module_name(self) -> str:
        """The head's name in a published model: "score" or "qa_outputs"."""
        return "score" if self.kind == "classify" else "qa_outputs"

    @property
    def version(self) -> str:
        """Name and digest, as "mood#1a2b3c": tells it from other heads of its name, without saying where it is."""
        return f"{self.name}#{self.key.rpartition('#')[2]}"

    def _check_labels(self) -> None:
        if not isinstance(self.labels, tuple) or not all(isinstance(label, str) for label in self.labels):
            raise ValueError("labels must be a list of texts")
        if any(_in_unicode(label) != label for label in (self.name, *self.labels)):
            raise ValueError("name and labels must be valid Unicode texts, and half a surrogate pair stands in one")
        if len(set(self.labels)) != len(self.labels) or len(self.labels) > MOST_LABELS:
            raise ValueError(f"labels must all be different, and at most {MOST_LABELS}")
        if self.kind == "answer" and (self.labels or self.problem):
            raise ValueError("a span head has no labels and no problem")
        if self.kind == "classify" and self.problem is None:
            raise ValueError("a classification head needs its problem")
        if self.kind == "classify" and self.problem != "regression" and not self.labels:
            raise ValueError("a classification head needs labels")
        if self.problem == "regression" and len(self.labels) > 1:
            raise ValueError(f"a regression head gives one number and has at most one label; got {len(self.labels)}")


def write_card(folder: Path, card: HeadCard) -> None:
    """Writes head.json; what JSON can't hold becomes a text, and a NaN null."""
    values = {f.name: getattr(card, f.name) for f in dataclasses.fields(card) if f.name not in NOT_SAVED}
    write_json(folder / HEAD_FILE, {"head_version": VERSION, **_plain(values)})


def read_card_file(folder: Path) -> HeadCard:
    """The card as head.json has it, without folder and key.

    Raises:
        BadCheckpoint: missing, damaged, too large, or written by a newer version of this program.
    """
    values = read_json(folder / HEAD_FILE)
    version = values.pop("head_version", None)
    if not isinstance(version, int) or version < 1:
        raise BadCheckpoint(HEAD_FILE, "it does not describe a head (head_version is missing)")
    if version > VERSION:
        reason = f"its head_version is {version}, and this version of the workbench reads up to {VERSION}"
        raise BadCheckpoint(HEAD_FILE, reason, "Update the workbench.")
    known = {f.name: values[f.name] for f in dataclasses.fields(HeadCard) if f.name in values}
    for name in NOT_SAVED:
        known.pop(name, None)
    try:
        if isinstance(known.get("labels"), list):
            known["labels"] = tuple(known["labels"])
        if isinstance(known.get("metrics"), dict):
            known["metrics"] = {name: math.nan if value is None else value for name, value in known["metrics"].items()}
        return HeadCard(**known)
    except (ValueError, TypeError) as error:
        raise BadCheckpoint(HEAD_FILE, f"it does not describe a head ({str(error).rstrip('.')})") from error


def _plain(value: Any) -> Any:
    """The value as JSON can hold it."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, int) else _in_unicode(str(value))


def _in_unicode(text: str) -> str:
    """The text with "?" for what no file can hold: halves of surrogate pairs, as in undecodable file names."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
