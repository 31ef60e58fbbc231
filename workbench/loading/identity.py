"""What names a model in the record of a run; free of torch, so that a record can be read in no time."""

from dataclasses import dataclass


@dataclass(frozen=True)
class HeadIdentity:
    """A trained head that took part."""

    name: str
    kind: str
    """"classify" or "answer"."""
    method: str
    sha256: str
    """Of the head's files; 16 hexadecimal digits."""


@dataclass(frozen=True)
class ModelIdentity:
    """Everything about a model that its numbers depend on."""

    checkpoint: str
    """"demo", "demo-small", the absolute path of a folder, or a Hub id."""
    revision: str | None
    """The commit on the Hub that was loaded; None for a folder."""
    precision: str
    dtype: str
    """In which the parts of the model compute, most of them first: "float32", "uint8, float32", ..."""
    device: str
    """Where they do: "cpu", "NVIDIA H100 80GB HBM3", ...; which of several equal ones does not matter."""
    fingerprint: str
    """Of all weights (names, shapes, the beginning of each tensor), configuration and tokenizer; 64 hex digits."""
    parameters: int
    weights_bytes: int
    context_tokens: int
    head: HeadIdentity | None = None
    """None: the language model itself is asked."""
