"""How a field of a training request says what it is, to the command line and to the page alike."""

import dataclasses
from collections.abc import Sequence
from typing import Any


def option(
    help_text: str, kind: type = int, default: Any = dataclasses.MISSING, choices: Sequence[str] | None = None
) -> Any:
    """A field of one value."""
    metadata = {"help": help_text, "kind": kind} | ({} if choices is None else {"choices": tuple(choices)})
    return dataclasses.field(default=default, metadata=metadata)


def several(help_text: str, default: tuple[str, ...] | None = None) -> Any:
    """A field of one or more texts; without a default it must be given."""
    metadata = {"help": help_text, "many": True}
    if default is None:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)
