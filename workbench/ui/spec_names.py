"""How a model is named on the page, and which model the fields of a form name."""

from typing import Any

from workbench.errors import BadRequest
from workbench.manager import ModelSpec


def spec_name(spec: ModelSpec) -> str:
    """A model's name on the page: its checkpoint, then whatever was asked of it."""
    revision = f" @ {spec.revision}" if spec.revision else ""
    precision = f" · {spec.precision}" if spec.precision else ""
    placement = f" · {spec.device_map}" if spec.device_map else ""
    return f"{spec.checkpoint}{revision}{precision}{placement}"


def asked_spec(checkpoint: Any, revision: Any = None, precision: Any = None, device: Any = None) -> ModelSpec:
    """The model that a form or a caller asks for; an empty text stands for nothing asked.

    Raises:
        BadRequest: no checkpoint is named, or a value is no text.
    """
    name = _text("model", checkpoint)
    if name is None:
        raise BadRequest("No checkpoint is named. Pick one from the list, or type a folder or a Hub id.")
    return ModelSpec(
        checkpoint=name,
        revision=_text("revision", revision),
        precision=_text("precision", precision),
        device_map=_text("device", device),
    )


def _text(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"{name} is {value!r}; it must be a text.")
    return (value or "").strip() or None
