"""Checkpoints as wide as GPT-J-6B, with fewer layers and random weights, written once and kept."""

import json
from functools import partial
from pathlib import Path

import tokenizers
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.load import load_model, save_pretrained
from workbench.loading.memory import parameter_shapes
from workbench.loading.write import TensorToSave, write_json, write_weights

END_OF_TEXT = "<|endoftext|>"
KNOWN_TOKENS, EXTRA_TOKENS = 50_257, 143
"""GPT-2's number of tokens, and how many without a meaning GPT-J's tokenizer has beside them."""


def bfloat16_folder(scratch: Path, layers: int) -> Path:
    """A folder that any program for GPT-J checkpoints reads; made unless it is there."""
    folder = scratch / f"gptj-{layers}-bfloat16"
    if not (folder / "config.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        config = GPTJConfig(n_layer=layers)
        generator = torch.Generator().manual_seed(0)
        tensors = [
            TensorToSave(name, shape, torch.bfloat16, partial(_values, name, shape, generator))
            for name, shape in parameter_shapes(GPTJForCausalLM, config).items()
        ]
        write_weights(folder, tensors)
        write_tokenizer(folder)
        write_json(folder / "config.json", {**config.to_dict(), "dtype": "bfloat16"})  # last: the folder is complete
    return folder


def int8_folder(scratch: Path, layers: int) -> Path:
    """The same model as our own int8; made unless it is there."""
    folder = scratch / f"gptj-{layers}-int8"
    if not (folder / "config.json").exists():
        model, _ = load_model(GPTJForCausalLM, bfloat16_folder(scratch, layers), precision="int8")
        write_tokenizer(folder)
        save_pretrained(model, folder)
    return folder


def write_tokenizer(folder: Path) -> None:
    """A byte-level BPE with as many tokens as GPT-J's: the bytes, and made-up pairs of them."""
    folder.mkdir(parents=True, exist_ok=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pairs = [(one, other) for one in alphabet for other in alphabet][: KNOWN_TOKENS - len(alphabet) - 1]
    vocabulary = {text: number for number, text in enumerate([*alphabet, *map("".join, pairs)])}
    made = Tokenizer(models.BPE(vocabulary, pairs))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    extra = [f"<|extratoken_{number}|>" for number in range(1, EXTRA_TOKENS + 1)]
    made.add_special_tokens(
        [tokenizers.AddedToken(text, normalized=False, special=True) for text in (END_OF_TEXT, *extra)]
    )
    made.save(str(folder / "tokenizer.json"))
    told = {"tokenizer_class": "PreTrainedTokenizerFast"}
    told |= dict.fromkeys(("bos_token", "eos_token", "unk_token"), END_OF_TEXT)
    (folder / "tokenizer_config.json").write_text(json.dumps(told))


def _values(name: str, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    if len(shape) == 1:
        return torch.full(shape, 1.0 if name.endswith("weight") else 0.0, dtype=torch.bfloat16)
    return torch.empty(shape, dtype=torch.bfloat16).normal_(std=0.02, generator=generator)
