"""Slim checkpoints of mesh-transformer-jax, made from the published rules and from nothing of the reader's.

A tree is made first, as the devices hold it: for each leaf the parts of all shards. The model that belongs to it is
put together with NumPy, a tensor at a time.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench.gptj.config import GPTJConfig

Tree = dict[str, list[np.ndarray[Any, Any]]]
"""The path of a leaf -> its parts, one of each shard."""
FILES = 16
TORCH_NAMES = {"linear": "q", "linear_1": "v", "linear_2": "k"}


def mesh_tree(config: GPTJConfig, shards: int, seed: int = 0) -> Tree:
    """Random leaves of a model of this shape, cut for so many devices, in float32."""
    draw = np.random.default_rng(seed)

    def parts(*shape: int) -> list[np.ndarray[Any, Any]]:
        return [(draw.standard_normal(shape) * 0.2).astype(np.float32) for _ in range(shards)]

    def same(*shape: int) -> list[np.ndarray[Any, Any]]:
        return parts(*shape)[:1] * shards

    vocabulary, width, inner = config.vocab_size, config.n_embd, config.n_inner or 4 * config.n_embd
    top = "causal_transformer_shard/~/"
    tree: Tree = {
        f"{top}embedding_shard/~/linear/w": parts(vocabulary // shards, width),
        f"{top}embedding_shard/~/linear/b": parts(width),
        f"{top}projection_shard/~/linear/w": parts(width, vocabulary // shards),
        f"{top}projection_shard/~/linear/b": parts(vocabulary // shards),
        f"{top}projection_shard/~/replicated_layer_norm/scale": same(width),
        f"{top}projection_shard/~/replicated_layer_norm/offset": same(width),
    }
    for layer in range(config.n_layer):
        here = f"{top}layer_{layer}/~/"
        for projection in ("linear", "linear_1", "linear_2"):
            tree[f"{here}{projection}/w"] = parts(width, width // shards)
        tree[f"{here}linear_3/w"] = parts(width // shards, width)
        tree[f"{here}linear_4/w"] = parts(width, inner // shards)
        tree[f"{here}linear_4/b"] = parts(inner // shards)
        tree[f"{here}linear_5/w"] = parts(inner // shards, width)
        tree[f"{here}linear_5/b"] = parts(width)
        tree[f"{here}replicated_layer_norm/scale"] = same(width)
        tree[f"{here}replicated_layer_norm/offset"] = same(width)
    return tree


def in_bfloat16(tree: Tree) -> Tree:
    """The same leaves cut to bfloat16, still as float32."""
    return {path: [_cut(part) for part in parts] for path, parts in tree.items()}


def write_mesh(tree: Tree, folder: Path, bfloat16: bool = False, step: bool = True) -> None:
    """shard_0/0.npz and so on; bfloat16 as two bytes without a type, as NumPy writes it."""
    leaves = [tree[path] for path in sorted(tree)]
    for shard in range(len(leaves[0])):
        (folder / f"shard_{shard}").mkdir(parents=True)
        arrays = [_typeless(parts[shard]) if bfloat16 else np.ascontiguousarray(parts[shard]) for parts in leaves]
        arrays += [np.array(383500, dtype=np.int32)] if step else []
        size, left = divmod(len(arrays), FILES)
        begin = 0
        for number in range(FILES):
            end = begin + size + (number < left)
            np.savez(folder / f"shard_{shard}" / f"{number}.npz", *arrays[begin:end])
            begin = end


def expected_state(tree: Tree) -> dict[str, torch.Tensor]:
    """What the published rules make of a tree: {PyTorch's name: float32 tensor}."""
    state = {}
    for path, parts in tree.items():
        _, _, module, _, layer, kind = path.split("/")
        where = f"transformer.h.{module.removeprefix('layer_')}."
        if module == "embedding_shard":
            if kind == "w":
                bias = np.sum(tree[path[:-1] + "b"], axis=0)
                state["transformer.wte.weight"] = np.concatenate(parts, axis=0) + bias
        elif layer == "replicated_layer_norm":
            home = "transformer.ln_f" if module == "projection_shard" else where + "ln_1"
            state[f"{home}.{'weight' if kind == 'scale' else 'bias'}"] = parts[0]
        elif module == "projection_shard":
            state["lm_head." + ("weight" if kind == "w" else "bias")] = np.concatenate(parts, axis=-1).T
        elif layer in TORCH_NAMES:
            state[f"{where}attn.{TORCH_NAMES[layer]}_proj.weight"] = np.concatenate(parts, axis=1).T
        elif layer == "linear_3":
            state[where + "attn.out_proj.weight"] = np.concatenate(parts, axis=0).T
        elif layer == "linear_4":
            state[where + "mlp.fc_in." + ("weight" if kind == "w" else "bias")] = np.concatenate(parts, axis=-1).T
        elif kind == "w":
            state[where + "mlp.fc_out.weight"] = np.concatenate(parts, axis=0).T
        else:
            state[where + "mlp.fc_out.bias"] = np.sum(parts, axis=0)
    return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in state.items()}


def _cut(part: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    cut: np.ndarray[Any, Any] = torch.from_numpy(part.copy()).bfloat16().float().numpy()
    return cut


def _typeless(part: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    bits = torch.from_numpy(part.copy()).bfloat16().view(torch.int16).numpy()
    return bits.view(np.dtype("V2"))
