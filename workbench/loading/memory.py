"""What a model will need and what the machine has, before anything is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from torch import nn

from workbench.errors import BadRequest
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.checkpoint import open_checkpoint, read_json
from workbench.loading.config_file import CONFIG, read_config
from workbench.loading.control_groups import free_bytes_of_groups
from workbench.loading.precision import Precision, choose, named, precisions, rest_dtype
from workbench.loading.source import holds_weights

GPT_J_6B_PARAMETERS = 6_050_882_784
METHOD_KEYS = ("quant_method", "load_in_8bit", "load_in_4bit")
"""What tells precisions apart in config.json's quantization_config."""


@dataclass(frozen=True)
class MemoryPlan:
    """What a model needs in one precision, beside what is free."""

    precision: str
    parameters: int
    weights_bytes: int
    kv_cache_bytes_per_stream: int
    """Keys and values of one stream that fills the context."""
    streams: int
    context: int
    total_bytes: int
    """The weights, and the cache of all streams."""
    available_bytes: int
    fits: bool
    advice: str
    """One or two sentences fit to be shown: what is needed, what is there, what to choose instead."""
    alternatives: tuple[tuple[str, int, bool], ...]
    """The other precisions: (name, total bytes, whether it fits)."""
    read_bytes_per_token: dict[str, int]
    """What writing a token must read, by precision: weights, and the keys and values of one stream's full context.

    Empty for a model that can't write.
    """


def plan_memory(
    config: GPTJConfig,
    precision: str,
    streams: int = 1,
    context: int | None = None,
    available_bytes: int | None = None,
    cls: type[nn.Module] = GPTJForCausalLM,
) -> MemoryPlan:
    """The memory plan of a model that is not loaded yet.

    Args:
        context: tokens a stream may hold; None takes the model's whole context.
        available_bytes: None asks the device that a load without a device_map would use.

    Raises:
        BadRequest: an unknown precision, or streams or context out of range.
    """
    context = config.n_positions if context is None else context
    _check_load(config, precision, streams, context)
    shapes = parameter_shapes(cls, config)
    available = available_memory_bytes(default_device()) if available_bytes is None else available_bytes
    table = precisions()
    weights = {name: weights_bytes(shapes, other, rest_dtype(other)) for name, other in table.items()}
    totals = {name: weights[name] + streams * kv_cache_bytes(config, table[name], context) for name in table}
    parameters = sum(_product(shape) for shape in shapes.values())
    alternatives = tuple((name, total, total <= available) for name, total in totals.items() if name != precision)
    cache = kv_cache_bytes(config, table[precision], context)
    usable = {name for name, other in table.items() if other.computes_on(default_device().type)}
    fitting = [f"{name} ({size_text(weights[name])})" for name, _, fits in alternatives if fits and name in usable]
    read = read_for_a_token(shapes)
    reads = {
        name: weights_bytes(read, other, rest_dtype(other)) + kv_cache_bytes(config, other, context)
        for name, other in table.items()
        if read
    }
    return MemoryPlan(
        precision=precision,
        parameters=parameters,
        weights_bytes=weights[precision],
        kv_cache_bytes_per_stream=cache,
        streams=streams,
        context=context,
        total_bytes=totals[precision],
        available_bytes=available,
        fits=totals[precision] <= available,
        advice=_advice(parameters, precision, weights[precision], cache, streams, available, fitting),
        alternatives=alternatives,
        read_bytes_per_token=reads,
    )


def folder_precision(folder: Path) -> str:
    """The precision a checkpoint folder is loaded in when none is asked for.

    The weights tell; where they are still on the Hub, config.json does.

    Raises:
        BadCheckpoint: the weights or config.json can't be read.
    """
    if holds_weights(folder):
        return choose(open_checkpoint(folder).tensors, None, None).precision.name
    read_config(folder)  # refuses what is no GPT-J
    values = read_json(folder / CONFIG)
    table = precisions()
    quantised = values.get("quantization_config")
    if isinstance(quantised, dict):
        for precision in table.values():
            said = precision.matrices.quantization_config() if precision.matrices is not None else None
            if said is not None and all((quantised.get(key) or False) == said.get(key, False) for key in METHOD_KEYS):
                return precision.name
    dtype = str(values.get("dtype", values.get("torch_dtype"))).removeprefix("torch.")
    return dtype if dtype in table and table[dtype].dtype is not None else "float32"


def kv_cache_bytes(config: GPTJConfig, precision: Precision, tokens: int) -> int:
    """Keys and values of so many tokens, in the type of the activations."""
    return 2 * config.n_layer * config.n_embd * rest_dtype(precision).itemsize * tokens


def weights_bytes(shapes: Mapping[str, tuple[int, ...]], precision: Precision, dtype: torch.dtype) -> int:
    """What the parameters weigh; `dtype` is that of the float ones."""
    return sum(precision.bytes(name, shape, dtype) for name, shape in shapes.items())


def read_for_a_token(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The parameters that are read whole for each token that is written; none of a model that can't write.

    Of the embedding it is one row, unless it is the language-model head as well.
    """
    if "lm_head.bias" not in shapes:
        return {}
    is_tied = "lm_head.weight" not in shapes
    return {name: shape for name, shape in shapes.items() if is_tied or name != "transformer.wte.weight"}


def parameter_shapes(cls: type[nn.Module], config: GPTJConfig) -> dict[str, tuple[int, ...]]:
    """The parameters of a model that takes no memory; shared ones once."""
    with torch.device("meta"):
        model = cls(config)
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def default_device() -> torch.device:
    """Where a model goes when nobody says: the first GPU, or else the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def available_memory_bytes(device: torch.device | None = None) -> int:
    """Free memory of a device; for the CPU (None) the machine's or the container's, whichever is less."""
    if device is not None and device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    machine = int(psutil.virtual_memory().available)
    return min([machine, *free_bytes_of_groups()])


def size_text(size: int) -> str:
    """A size in bytes as a person reads it: 11.3 GiB, 31 MiB."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 / 10 else f"{size / 2**20:.0f} MiB"


def model_text(parameters: int) -> str:
    """What a model is called in a sentence."""
    return "GPT-J-6B" if parameters == GPT_J_6B_PARAMETERS else f"This model ({parameters / 1e6:,.1f} M parameters)"


def _check_load(config: GPTJConfig, precision: str, streams: int, context: int) -> None:
    named(precision)
    if not 1 <= context <= config.n_positions:
        raise BadRequest(f"context must be from 1 to the model's n_positions={config.n_positions}; got {context}.")
    if streams < 1:
        raise BadRequest(f"streams must be at least 1; got {streams}.")


def _advice(
    parameters: int,
    precision: str,
    weights: int,
    cache: int,
    streams: int,
    available: int,
    fitting: list[str],
) -> str:
    needs = f"{model_text(parameters)} in {precision} needs {size_text(weights)} and {size_text(cache)} a stream"
    stated = f"{needs}; this machine has {size_text(available)} free."
    if weights + streams * cache <= available:
        return f"{stated} It fits with {streams} stream{'s' if streams > 1 else ''} over the whole context."
    ways = [" or ".join(fitting)] if fitting else []
    if weights + cache // 8 <= available:
        ways += ["fewer streams or a shorter context" if streams > 1 else "a shorter context"]
    if ways:
        return f"{stated} Choose {', or '.join(ways) if len(fitting) > 1 else ' or '.join(ways)}."
    return f'{stated} No precision fits; offload to disk with device_map="auto" and an offload_folder.'


def _product(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count
