"""What a loaded model consists of, part by part: for the Models tab and for whoever asks where the bytes are."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.memory import parameter_shapes


@dataclass(frozen=True)
class Part:
    """A part of a loaded model: where it is and what it weighs."""

    name: str
    parameters: int
    bytes: int
    dtype: str
    device: str


def parts_of(model: GPTJForCausalLM) -> list[Part]:
    """The parts of a model: embedding, each block, last LayerNorm, head."""
    blocks = [f"transformer.h.{layer}" for layer in range(model.config.n_layer)]
    # Counted from the shapes that the configuration asks for: four-bit weights pack two parameters into one element.
    shapes = parameter_shapes(GPTJForCausalLM, model.config)
    devices: Mapping[str, int | str] = model.hf_device_map  # type: ignore[assignment]
    parts = []
    for name in ["transformer.wte", *blocks, "transformer.ln_f", "lm_head"]:
        parameters = sum(math.prod(shape) for weight, shape in shapes.items() if weight.startswith(name + "."))
        parts.append(_part(name, parameters, model.get_submodule(name), devices))
    return parts


def _part(name: str, parameters: int, module: nn.Module, devices: Mapping[str, int | str]) -> Part:
    weights = list(module.parameters())
    dtypes = dict.fromkeys(str(weight.dtype).removeprefix("torch.") for weight in weights)
    places = dict.fromkeys(
        str(weight.device) if not weight.is_meta else f"offloaded to {devices.get(name, devices.get('', 'CPU'))}"
        for weight in weights
    )
    return Part(
        name=name,
        parameters=parameters,
        bytes=sum(weight.numel() * weight.element_size() for weight in weights),
        dtype=" + ".join(dtypes),
        device=" + ".join(places),
    )
