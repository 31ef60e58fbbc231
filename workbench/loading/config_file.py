"""config.json: read strictly, and written as published."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from workbench.errors import BadCheckpoint
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import ACTIVATIONS
from workbench.loading.checkpoint import read_json
from workbench.loading.precision import precisions

CONFIG = "config.json"
Model = TypeVar("Model", bound=nn.Module)


def read_config(folder: Path) -> GPTJConfig:
    """The configuration of a checkpoint folder.

    Raises:
        BadCheckpoint: no config.json, or one that describes no possible GPT-J.
    """
    if not (folder / CONFIG).is_file():
        raise BadCheckpoint(CONFIG, f"the folder {folder.name} does not hold it", "Is it a checkpoint folder?")
    values = read_json(folder / CONFIG)
    quantised = values.get("quantization_config")
    if quantised and (not isinstance(quantised, dict) or quantised.get("quant_method") not in _quant_methods()):
        known = " and ".join(_quant_methods())
        raise BadCheckpoint(CONFIG, f"quantization_config names a method other than {known}, which is not read")
    try:
        config = GPTJConfig.from_dict(values)
    except (ValueError, TypeError) as error:
        raise BadCheckpoint(CONFIG, str(error).rstrip(".")) from error
    if config.activation_function not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise BadCheckpoint(CONFIG, f"activation_function must be one of {known}; got {config.activation_function!r}")
    return config


def empty_model(cls: type[Model], config: GPTJConfig) -> Model:
    """A model of the right shapes that takes no memory (on the meta device).

    Raises:
        BadCheckpoint: the class can't be built from this configuration.
    """
    try:
        with torch.device("meta"):
            return cls(config)
    except ValueError as error:
        raise BadCheckpoint(CONFIG, f"{cls.__name__} can't be built from it: {str(error).rstrip('.')}") from error


def config_values(model: nn.Module, tensors: Collection[str]) -> dict[str, Any]:
    """What config.json says of a model, from the names of its saved tensors: its precision shows in them."""
    config: GPTJConfig = model.config  # type: ignore[assignment]
    values = config.to_dict()
    for key in ("torch_dtype", "quantization_config"):
        values.pop(key, None)
    values["architectures"] = [type(model).__name__]
    values["dtype"] = str(next(model.parameters()).dtype).removeprefix("torch.")
    for precision in precisions().values():
        matrices = precision.matrices
        if matrices is not None and any(name.endswith(matrices.marker) for name in tensors):
            values["quantization_config"] = matrices.quantization_config()
    return values


def _quant_methods() -> list[str]:
    matrices = [precision.matrices for precision in precisions().values()]
    return list(dict.fromkeys(found.quantization_config()["quant_method"] for found in matrices if found is not None))
