"""Managers and tiny checkpoints for the tests of the model manager."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.text.tiny import tiny_network, write_checkpoint
from workbench.engine.jobs import Sampling
from workbench.manager import ModelManager, ModelSpec
from workbench.text.requests import Generate

WEIGHTS_BYTES = sum(4 * weight.numel() for weight in tiny_network().parameters())
CACHE_BYTES = 2 * 2 * 32 * 64 * 4
"""Of one stream: keys and values, layers, width, context, float32."""
ROOM_FOR_TWO = 2 * WEIGHTS_BYTES + CACHE_BYTES + 100
REQUEST = Generate("The unicorn", max_new_tokens=5, sampling=Sampling(0.0))


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    """Three checkpoints."""
    return [str(write_checkpoint(tmp_path / str(seed), seed)) for seed in range(3)]


@pytest.fixture
def open_manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModelManager]]:
    """Makes managers, and closes them at the end without a look for garbage, which takes longer than a test."""
    made: list[ModelManager] = []

    def make(budget_bytes: int | None = None, **options: Any) -> ModelManager:
        made.append(ModelManager(budget_bytes, **options))
        return made[-1]

    yield make
    monkeypatch.setattr(gc, "collect", lambda: 0)
    for manager in made:
        manager.close()


OpenManager = Callable[..., ModelManager]


def names(manager: ModelManager) -> list[str]:
    """The folders of what is loaded, by their last part."""
    return [Path(model.spec.checkpoint).name for model in manager.loaded()]


def text_of(manager: ModelManager, spec: ModelSpec) -> str:
    """What the model writes."""
    with manager.lease(spec) as model:
        return model.generate(REQUEST).text


def break_values(folder: str) -> None:
    """Makes the weights' last values NaN: the header still reads well."""
    weights = Path(folder) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8] + b"\xff" * 8)
