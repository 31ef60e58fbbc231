"""LoRA in PEFT's own files: adapter_config.json and adapter_model.safetensors, with the head among the tensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from workbench.errors import BadCheckpoint
from workbench.gptj.config import GPTJConfig
from workbench.gptj.lora import Adapter
from workbench.gptj.model import GPTJModel
from workbench.loading.checkpoint import read_json
from workbench.loading.config_file import empty_model
from workbench.loading.formats.safetensors import SafetensorsCheckpoint
from workbench.loading.precision import read_float
from workbench.loading.write import as_tensor_to_save, write_json, write_tensors

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PEFT_PREFIX = "base_model.model."
TRUNK_PREFIX = PEFT_PREFIX + "transformer."
TASK_TYPES = {"score": "SEQ_CLS", "qa_outputs": "QUESTION_ANS"}
"""PEFT's name of the task that a head of this name serves."""

READ_HERE = {
    *("peft_type", "r", "lora_alpha", "lora_dropout", "target_modules", "modules_to_save"),
    *("task_type", "base_model_name_or_path", "revision", "inference_mode", "peft_version", "auto_mapping"),
}
"""Settings that are read, or that tell of the file's origin alone."""
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "bias": ("none",),
    "init_lora_weights": (True, False, "gaussian"),
    "megatron_core": ("megatron.core",),
    "qalora_group_size": (16,),
}
"""Further settings, and the values of them that change nothing; every other setting must be off."""


def write_adapter(folder: Path, adapter: Adapter, head_name: str, head: nn.Linear, base_name: str) -> None:
    """Writes both files.

    Args:
        head_name: "score" or "qa_outputs".
        base_name: the trunk's checkpoint, as PEFT records it.
    """
    tensors = {f"{PEFT_PREFIX}{head_name}.{name}": value for name, value in head.state_dict().items()}
    tensors |= _named(adapter)
    write_tensors(folder / ADAPTER_WEIGHTS, [as_tensor_to_save(name, value) for name, value in tensors.items()])
    values = {
        "peft_type": "LORA",
        "task_type": TASK_TYPES[head_name],
        "base_model_name_or_path": base_name,
        "r": adapter.rank,
        "lora_alpha": adapter.alpha,
        "lora_dropout": adapter.dropout,
        "target_modules": list(adapter.targets),
        "modules_to_save": [head_name],
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
    }
    write_json(folder / ADAPTER_CONFIG, values)


def read_adapter(folder: Path, config: GPTJConfig, head_name: str) -> tuple[Adapter, dict[str, torch.Tensor]]:
    """The adapter for a trunk of this configuration, and the head's tensors under their plain names, in float32.

    Raises:
        BadCheckpoint: a file is missing or damaged, is of another kind of adapter, or does not fit the trunk.
    """
    values = read_json(folder / ADAPTER_CONFIG)
    _refuse_other_kinds(values)
    trunk = empty_model(GPTJModel, config)
    try:
        with torch.device("meta"):  # what the file claims takes no memory until the file is seen to hold it
            adapter = Adapter(
                trunk, values["target_modules"], values["r"], values["lora_alpha"], values["lora_dropout"]
            )
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise BadCheckpoint(ADAPTER_CONFIG, str(error).rstrip(".")) from error
    checkpoint = SafetensorsCheckpoint(folder / ADAPTER_WEIGHTS)
    head_prefix = f"{PEFT_PREFIX}{head_name}."
    held = {name: info.shape for name, info in checkpoint.tensors.items() if not name.startswith(head_prefix)}
    wanted = {name: tuple(parameter.shape) for name, parameter in _named(adapter).items()}
    check_tensors(wanted, held, ADAPTER_WEIGHTS)
    device = torch.device("cpu")
    adapter.to_empty(device=device)
    with torch.no_grad():
        for name, parameter in _named(adapter).items():
            parameter.copy_(read_float(checkpoint, name, torch.float32, device))
    heads = [name for name in checkpoint.tensors if name.startswith(head_prefix)]
    read = {name.removeprefix(head_prefix): read_float(checkpoint, name, torch.float32, device) for name in heads}
    return adapter.eval(), {f"{head_name}.{name}": value for name, value in read.items()}


def check_tensors(wanted: Mapping[str, tuple[int, ...]], held: Mapping[str, tuple[int, ...]], file: str) -> None:
    """Raises BadCheckpoint unless a file holds these tensors, of these shapes, and no others."""
    for name, shape in wanted.items():
        if name not in held:
            raise BadCheckpoint(file, f"the tensor {name!r} is missing")
        if held[name] != shape:
            reason = f"the tensor {name!r} has the shape {list(held[name])}, and {list(shape)} belongs there"
            raise BadCheckpoint(file, reason, "Was it trained on this model, and with these labels?")
    for name in held:
        if name not in wanted:
            raise BadCheckpoint(file, f"it holds the tensor {name!r}, which has no place in this model")


def _named(adapter: Adapter) -> dict[str, nn.Parameter]:
    """The adapter's parameters under PEFT's names."""
    return {
        f"{TRUNK_PREFIX}{layer}.{name}": parameter
        for layer, pair in zip(adapter.layers, adapter.pairs, strict=True)
        for name, parameter in pair.named_parameters()
    }


def _refuse_other_kinds(values: Mapping[str, Any]) -> None:
    """Raises BadCheckpoint at settings that mean more than one rank and alpha on linear layers."""
    if values.get("peft_type") != "LORA":
        raise BadCheckpoint(ADAPTER_CONFIG, f"peft_type is {values.get('peft_type')!r}, and only LORA is read")
    targets = values.get("target_modules")
    if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
        raise BadCheckpoint(ADAPTER_CONFIG, f"target_modules must be a list of layer names; got {targets!r}")
    for name in ("r", "lora_alpha", "lora_dropout"):
        if not isinstance(values.get(name), (int, float)) or isinstance(values.get(name), bool):
            raise BadCheckpoint(ADAPTER_CONFIG, f"{name} must be a number; got {values.get(name)!r}")
    for name, value in values.items():
        neutral = NEUTRAL.get(name, ())
        if name not in READ_HERE and value and value not in neutral:
            hint = "Plain LoRA of one rank and alpha is read; train the adapter without this setting."
            raise BadCheckpoint(ADAPTER_CONFIG, f"it uses {name}={value!r}, which is not read here", hint)
