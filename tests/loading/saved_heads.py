"""Tiny heads and adapters, filled as after training, and their cards."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.gptj.tiny import fill
from tests.loading.tiny import tiny_config, tiny_model
from workbench.gptj.lora import Adapter
from workbench.gptj.model import GPTJModel
from workbench.loading.heads import HeadCard, save_head, trunk_fingerprint
from workbench.loading.load import save_pretrained

LABELS = ("sad", "glad", "café | `7`")


def checkpoint(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """A language model's folder."""
    save_pretrained(tiny_model(seed=seed, **changes), folder)
    return folder


def card_for(trunk: str, kind: str = "classify", **changes: Any) -> HeadCard:
    """The card of a made-up head."""
    values: dict[str, Any] = {
        "name": "mood", "kind": kind, "labels": LABELS, "problem": "single_label_classification", "method": "probe",
        "trunk": trunk, "trunk_name": "demo", "precision": "float32", "data": {"file": "moods.csv", "rows": 120},
        "settings": {"epochs": 3, "rate": 0.01}, "metrics": {"accuracy": 0.75},
    }  # fmt: skip
    if kind == "answer":
        values |= {"labels": (), "problem": None}
    return HeadCard(**{**values, **changes})


def head_module(card: HeadCard, seed: int = 5) -> nn.Linear:
    """A filled head of the card's shape."""
    return fill(nn.Linear(tiny_config().n_embd, card.outputs, bias=card.kind == "answer"), seed)


def lora(seed: int = 6, **options: Any) -> Adapter:
    """A filled adapter for the tiny trunk."""
    with torch.device("meta"):
        trunk = GPTJModel(tiny_config())
    return fill(Adapter(trunk, **options), seed)


def saved(folder: Path, trunk_folder: Path, kind: str = "classify", method: str = "probe", **changes: Any) -> Path:
    """Saves a head for a checkpoint; gives its folder."""
    card = card_for(trunk_fingerprint(trunk_folder), kind, method=method, **changes)
    save_head(folder, card, head_module(card), lora() if method == "lora" else None)
    return folder
