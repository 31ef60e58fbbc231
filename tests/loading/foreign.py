"""Folders in the formats of other programs, written from their published descriptions, by nothing of the readers'."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.loading.mesh_tree import Tree, write_mesh
from tests.loading.tiny import WRITERS, write_config

Array = np.ndarray[Any, Any]
MESH_NAMES = {"q_proj": "linear", "v_proj": "linear_1", "k_proj": "linear_2", "out_proj": "linear_3"}


def write_flax_model(model: Any, folder: Path) -> None:
    """flax_model.msgpack."""
    write_config(model.config, folder)
    (folder / "flax_model.msgpack").write_bytes(packed(flax_tree(arrays_of(model))))


def write_tf_model(model: Any, folder: Path) -> None:
    """tf_model.h5 as Keras saves a model's weights; skips the test where h5py is not installed."""
    h5py = pytest.importorskip("h5py")
    write_config(model.config, folder)
    with h5py.File(folder / "tf_model.h5", "w") as file:
        for name, value in arrays_of(model).items():
            layer, own = tf_name(name, value.ndim)
            kernel = own.endswith("kernel:0")
            file.create_dataset(f"{layer}/{own}", data=np.ascontiguousarray(value.T) if kernel else value)


def write_ggml_model(model: Any, folder: Path) -> None:
    """ggml-model-f32.bin."""
    write_config(model.config, folder)
    (folder / "ggml-model-f32.bin").write_bytes(ggml_bytes(model.config, arrays_of(model)))


def write_mesh_model(model: Any, folder: Path, shards: int = 1) -> None:
    """shard_0 and so on; what the shards sum is in the first one."""
    write_config(model.config, folder)
    write_mesh(tree_of(arrays_of(model), shards), folder)


ALL_WRITERS = {
    **WRITERS,
    "flax": write_flax_model,
    "tensorflow": write_tf_model,
    "ggml": write_ggml_model,
    "mesh": write_mesh_model,
}
"""Every form that a checkpoint is read in."""


def arrays_of(model: Any) -> dict[str, Array]:
    """The parameters under PyTorch's names."""
    return {name: value.numpy() for name, value in model.state_dict().items()}


def flax_tree(arrays: Mapping[str, Array]) -> dict[str, Any]:
    """The parameters as Flax nests them."""
    tree: dict[str, Any] = {}
    for name, value in arrays.items():
        *path, last = name.split(".")
        place = tree
        for key in path:
            place = place.setdefault(key, {})
        if last == "bias":
            place["bias"] = value
        elif path[-1] == "wte":
            place["embedding"] = value
        else:
            place["kernel" if value.ndim == 2 else "scale"] = np.ascontiguousarray(value.T)
    return tree


def packed(value: Any) -> bytes:
    """A tree in MessagePack, every length in its widest form, which is as valid as the shortest."""
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return b"\xcf" + struct.pack(">Q", value)
    if isinstance(value, str):
        return b"\xdb" + struct.pack(">I", len(value.encode())) + value.encode()
    if isinstance(value, dict):
        return b"\xdf" + struct.pack(">I", len(value)) + b"".join(packed(k) + packed(v) for k, v in value.items())
    data = value.tobytes()
    inner = b"\xdd" + struct.pack(">I", 3) + b"\xdd" + struct.pack(">I", value.ndim)
    inner += b"".join(packed(size) for size in value.shape) + packed(value.dtype.name)
    inner += b"\xc6" + struct.pack(">I", len(data)) + data
    return b"\xc9" + struct.pack(">Ib", len(inner), 1) + inner


def tf_name(name: str, dimensions: int) -> tuple[str, str]:
    """The layer that Keras groups a weight under, and the weight's own name."""
    *path, last = name.split(".")
    if last == "weight":
        last = "weight" if path[-1] == "wte" else "kernel" if dimensions == 2 else "gamma"
    elif path[-1] in ("ln_1", "ln_f"):
        last = "beta"
    layer = "transformer" if path[0] in ("transformer", "h", "wte", "ln_f") else path[0]
    inner = "/".join(path).removeprefix("transformer/").replace("h/", "h_._", 1)
    within = f"transformer/{inner}" if layer == "transformer" else inner
    return layer, f"tf_gptj_for_something/{within}/{last}:0"


def ggml_bytes(config: Any, arrays: Mapping[str, Array], weights_type: int = 0) -> bytes:
    """A ggml file of float tensors: float16 where the array is."""
    numbers = [0x67676D6C, config.vocab_size, config.n_positions, config.n_embd, config.n_head, config.n_layer]
    parts = [struct.pack("<8i", *numbers, config.rotary_dim, weights_type), struct.pack("<i", config.vocab_size)]
    parts += [struct.pack("<i", 3) + b"abc"] * config.vocab_size
    parts += [
        ggml_tensor(name, value.shape, value.tobytes(), int(value.dtype == np.float16))
        for name, value in arrays.items()
    ]
    return b"".join(parts)


def ggml_tensor(name: str, shape: tuple[int, ...], data: bytes, kind: int) -> bytes:
    """One tensor of a ggml file."""
    return struct.pack(f"<3i{len(shape)}i", len(shape), len(name), kind, *shape[::-1]) + name.encode() + data


def tree_of(arrays: Mapping[str, Array], shards: int) -> Tree:
    """The leaves that mesh-transformer-jax would hold; what is summed is 0 but in the first shard."""
    tree: Tree = {}
    top = "causal_transformer_shard/~/"
    for name, value in arrays.items():
        *path, last = name.split(".")
        home = f"{top}layer_{path[2]}/~/" if "h" in path else f"{top}projection_shard/~/"
        if path[-1] == "wte":
            tree[f"{top}embedding_shard/~/linear/w"] = np.split(value, shards)
            tree[f"{top}embedding_shard/~/linear/b"] = [np.zeros_like(value[0])] * shards
        elif path[-1] in ("ln_1", "ln_f"):
            tree[f"{home}replicated_layer_norm/{'scale' if last == 'weight' else 'offset'}"] = [value] * shards
        elif path[-1] == "lm_head":
            tree[f"{home}linear/{last[0]}"] = np.split(value.T, shards, axis=-1)
        elif path[-1] == "fc_in":
            tree[f"{home}linear_4/{last[0]}"] = np.split(value.T, shards, axis=-1)
        elif path[-1] == "fc_out" and last == "bias":
            tree[f"{home}linear_5/b"] = [value] + [np.zeros_like(value)] * (shards - 1)
        elif path[-1] == "fc_out":
            tree[f"{home}linear_5/w"] = np.split(value.T, shards)
        else:
            axis = 0 if path[-1] == "out_proj" else 1
            tree[f"{home}{MESH_NAMES[path[-1]]}/w"] = np.split(value.T, shards, axis=axis)
    return tree
