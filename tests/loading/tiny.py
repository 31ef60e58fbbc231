"""Small random models, and folders with them in every published form."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from workbench.gptj.config import GPTJConfig
from workbench.gptj.heads import GPTJForQuestionAnswering, GPTJForSequenceClassification
from workbench.gptj.model import GPTJForCausalLM, GPTJModel
from workbench.loading.load import save_pretrained

CLASSES = [GPTJModel, GPTJForCausalLM, GPTJForSequenceClassification, GPTJForQuestionAnswering]
IDS = torch.arange(3, 15)[None]


def tiny_config(**changes: Any) -> GPTJConfig:
    """A configuration of two narrow blocks."""
    values = {"vocab_size": 99, "n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4, "n_positions": 64}
    return GPTJConfig(**{**values, **changes})


def tiny_model(cls: type[nn.Module] = GPTJForCausalLM, seed: int = 0, **changes: Any) -> Any:
    """A random model in evaluation mode; every parameter random, biases and LayerNorms too."""
    generator = torch.Generator().manual_seed(seed)
    model = cls(tiny_config(**changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.empty_like(parameter).normal_(std=0.2, generator=generator))
    return model


def write_safetensors(model: Any, folder: Path) -> None:
    """model.safetensors."""
    save_pretrained(model, folder)


def write_sharded_safetensors(model: Any, folder: Path) -> None:
    """model.safetensors.index.json and its shards."""
    save_pretrained(model, folder, max_shard_bytes=20_000)


def write_bin(model: Any, folder: Path) -> None:
    """pytorch_model.bin."""
    write_state(model.state_dict(), model.config, folder)


def write_legacy_bin(model: Any, folder: Path) -> None:
    """pytorch_model.bin as versions before 1.6 wrote it: a bare pickle."""
    write_config(model.config, folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)


def write_sharded_bin(model: Any, folder: Path) -> None:
    """pytorch_model.bin.index.json and two shards."""
    write_config(model.config, folder)
    state = model.state_dict()
    names = list(state)
    shards = {"pytorch_model-00001-of-00002.bin": names[::2], "pytorch_model-00002-of-00002.bin": names[1::2]}
    for shard, held in shards.items():
        torch.save({name: state[name] for name in held}, folder / shard)
    weight_map = {name: shard for shard, held in shards.items() for name in held}
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


WRITERS: dict[str, Callable[[Any, Path], None]] = {
    "safetensors": write_safetensors,
    "sharded safetensors": write_sharded_safetensors,
    "bin": write_bin,
    "legacy bin": write_legacy_bin,
    "sharded bin": write_sharded_bin,
}


def write_config(config: GPTJConfig, folder: Path, **changes: Any) -> None:
    """config.json, with changed or further keys."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**config.to_dict(), **changes}))


def write_state(state: Mapping[str, Any], config: GPTJConfig, folder: Path) -> None:
    """pytorch_model.bin from any state dict."""
    write_config(config, folder)
    torch.save(dict(state), folder / "pytorch_model.bin")


def assert_same_state(model: Any, other: Any) -> None:
    """Every entry of two models' state is equal, bit for bit."""
    ours, theirs = model.state_dict(), other.state_dict()
    assert list(ours) == list(theirs)
    for name, value in ours.items():
        assert value.dtype == theirs[name].dtype, name
        assert torch.equal(value, theirs[name]), name


@torch.no_grad()
def logits(model: Any, ids: Tensor = IDS) -> Tensor:
    """(B, T, V) in float32."""
    return model(ids).logits.float()
