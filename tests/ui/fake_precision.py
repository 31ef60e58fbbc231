"""A model that answers by a hash and has whole distributions too, a little different in each precision."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from tests.ui.fake_runs import BenchmarkManager, HashModel
from workbench.errors import NotEnoughMemory
from workbench.manager import ModelSpec

COLUMNS = 40
NOISE = {"float32": 0.0, "bfloat16": 0.003, "int8": 0.03, "nf4": 0.3}


class WordTokenizer:
    """A token a word."""

    eos_id = 0

    def encode(self, text: str) -> list[int]:
        """Numbers that depend on the words."""
        return [1 + sum(map(ord, word)) % (COLUMNS - 1) for word in text.split()]


class DistributionModel(HashModel):
    """Logits that depend on the token before, with noise that depends on the precision."""

    tokenizer = WordTokenizer()
    context_tokens = 512

    def logit_steps(self, tokens: Sequence[int]) -> Generator[None, None, list[NDArray[np.float32]]]:
        """In one part."""
        yield
        rows = np.array([np.random.default_rng(token).normal(0, 2, COLUMNS) for token in tokens[:-1]])
        noise = np.random.default_rng(len(self.salt)).normal(0, NOISE.get(self.salt, 0.1), rows.shape)
        return [(rows + noise).astype(np.float32)]


class PrecisionManager(BenchmarkManager):
    """Has a model for each precision; float16 never fits."""

    @contextmanager
    def lease(self, spec: ModelSpec) -> Iterator[DistributionModel]:  # type: ignore[override]
        """The precision's model."""
        name = spec.precision or "float32"
        if name == "float16":
            raise NotEnoughMemory("<b>It</b> does not fit. Choose int8.")
        self.models.setdefault(name, DistributionModel(name))
        with super().lease(spec) as model:
            yield model  # type: ignore[misc]

    def unload(self, spec: ModelSpec) -> None:
        """As the real one: nothing happens if it is not loaded."""
        if spec in self._loaded:
            super().unload(spec)
