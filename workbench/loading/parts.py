"""What a loaded model consists of, part by part: for the Models tab and for whoever asks where the bytes are."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from workbench.gptj.config import GPTJConfig
from workbench.loading.memory import parameter_shapes, weights_bytes
from workbench.loading.precision import Precision


@dataclass(frozen=True)
class Part:
    """A part of a loaded model: where it is and what it weighs."""

    name: str
    parameters: int
    bytes: int
    dtype: str
    device: str


def parts_of(model: nn.Module, precision: Precision) -> list[Part]:
    """The parts of a model held in a precision: embedding, each block, last LayerNorm, its head of whichever kind.

    They sum to what the plan says: scales count with their matrix, and weights that two parts share with the first.
    """
    config: GPTJConfig = model.config  # type: ignore[assignment]
    blocks = [f"transformer.h.{layer}" for layer in range(config.n_layer)]
    heads = [name for name, _ in model.named_children() if name != "transformer"]
    # Counted from the shapes that the configuration asks for: four-bit weights pack two parameters into one element.
    shapes = parameter_shapes(type(model), config)
    devices: Mapping[str, int | str] = model.hf_device_map  # type: ignore[assignment]
    dtype = precision.dtype or model.get_parameter("transformer.wte.weight").dtype
    parts = []
    for name in ["transformer.wte", *blocks, "transformer.ln_f", *heads]:
        own = {weight: shape for weight, shape in shapes.items() if weight.startswith(name + ".")}
        parameters, size = sum(map(math.prod, own.values())), weights_bytes(own, precision, dtype)
        parts.append(_part(name, parameters, size, model.get_submodule(name), devices))
    return parts


def _part(name: str, parameters: int, size: int, module: nn.Module, devices: Mapping[str, int | str]) -> Part:
    weights = list(module.parameters())
    dtypes = dict.fromkeys(str(weight.dtype).removeprefix("torch.") for weight in weights)
    held = {f"{name}.{weight_name}": weight for weight_name, weight in module.named_parameters()}
    places = dict.fromkeys(
        str(weight.device) if not weight.is_meta else f"offloaded to {_home(weight_name, devices)}"
        for weight_name, weight in held.items()
    )
    return Part(
        name=name,
        parameters=parameters,
        bytes=size,
        dtype=" + ".join(dtypes),
        device=" + ".join(places),
    )


def _home(weight: str, devices: Mapping[str, int | str]) -> int | str:
    """Where a device map keeps a weight: its own entry, or that of the nearest module around it."""
    while weight and weight not in devices:
        weight = weight.rpartition(".")[0]
    return devices.get(weight, "cpu")
