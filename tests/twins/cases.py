"""What the tests of both twins share: saved torch models and comparisons across frameworks."""

from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

from tests.gptj.tiny import CLASSES, Batch, fill, random_batch, random_config
from workbench.loading.load import save_pretrained

SEEDS = range(10)
CLOSE = 1e-4
PADDINGS = ("left", "right", "none")


def saved_model(kind: str, seed: int, folder: Path, num_labels: int = 2) -> Any:
    """A random torch model of a random configuration, and its folder of safetensors."""
    rng = numpy.random.default_rng(seed)
    model = fill(CLASSES[kind](random_config(rng, num_labels)), seed)
    save_pretrained(model, folder)
    return model


def batch_for(model: Any, seed: int) -> Batch:
    """Rows padded on the left, on the right or not at all, by the seed."""
    return random_batch(numpy.random.default_rng(seed), model.config, PADDINGS[seed % len(PADDINGS)])


def array(tensor: Tensor | None) -> Any:
    """A tensor for another framework."""
    return None if tensor is None else tensor.numpy()


def difference(ours: Any, theirs: Tensor) -> float:
    """The largest between a twin's array and a torch tensor of the same shape."""
    found, expected = numpy.asarray(ours), theirs.detach().numpy()
    assert found.shape == expected.shape
    return float(abs(found.astype(numpy.float64) - expected).max())


def assert_close(ours: Any, theirs: Any) -> None:
    """Every output that both have, states and attention weights of each layer included, within 1e-4."""
    compared = 0
    for name in theirs._fields:
        expected, found = getattr(theirs, name), getattr(ours, name)
        if isinstance(expected, Tensor):
            expected, found = (expected,), (found,)
        if isinstance(expected, tuple):
            for mine, wanted in zip(found, expected, strict=True):
                assert difference(mine, wanted) < CLOSE, name
                compared += 1
    assert compared > 2


def references(model: Any, batch: Batch, **named: Any) -> Any:
    """What the torch model gives, without gradients."""
    with torch.no_grad():
        return model(batch.input_ids, output_hidden_states=True, output_attentions=True, use_cache=False, **named)
