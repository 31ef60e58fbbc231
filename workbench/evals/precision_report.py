"""The same checkpoint in several precisions on the same texts and rows: what is compared, and what is found."""

import statistics
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.evals.asking import Answerer
from workbench.evals.precision import Divergence
from workbench.evals.prediction import Prediction
from workbench.evals.task import BenchmarkMethod
from workbench.text.requests import Generate, Generated


class Encoder(Protocol):
    """A tokenizer, as far as it is needed here."""

    eos_id: int

    def encode(self, text: str) -> list[int]:
        """The tokens of a text."""
        ...


class Model(Answerer, Protocol):
    """A language model that also hands out whole distributions."""

    @property
    def tokenizer(self) -> Encoder:
        """Of its texts."""
        ...

    @property
    def context_tokens(self) -> int:
        """The model's context."""
        ...

    def logit_steps(self, tokens: Sequence[int]) -> Generator[None, None, list[NDArray[np.float32]]]:
        """The logits (T, V) that each token but the first is predicted from, in parts; yields until they are there."""
        ...

    def stream(self, request: Generate) -> Generator[Generated, None, None]:
        """A continuation as it grows."""
        ...


@dataclass(frozen=True)
class Opened:
    """A precision in memory."""

    model: Model
    weights_bytes: int
    method: BenchmarkMethod[Any] | None = None
    """By which it is asked about the rows; None: there are none."""


@dataclass(frozen=True)
class Precision:
    """A precision that can be loaded."""

    name: str
    open: Callable[[], AbstractContextManager[Opened]]


@dataclass(frozen=True)
class RowAsked:
    """A row of a data set."""

    id: str
    row: int
    digest: str
    example: Any


@dataclass(frozen=True)
class Material:
    """What the precisions are compared on."""

    texts: tuple[str, ...]
    """After each of whose tokens the distributions are compared."""
    prompts: tuple[str, ...] = ()
    """That are continued by the likeliest token each time."""
    follows: bool = False
    """Whether the texts are the prompts: what the reference writes is read as well, by all."""
    rows: tuple[RowAsked, ...] = ()
    new_tokens: int = 64


@dataclass(frozen=True)
class Measured:
    """What is known of one precision."""

    name: str
    weights_bytes: int = 0
    divergences: tuple[Divergence, ...] = ()
    """From the reference, of each text; empty for the reference itself."""
    written: tuple[Generated, ...] = ()
    """The continuation of each prompt."""
    partings: tuple[int | None, ...] = ()
    """The first token of each in which it is another than the reference's; empty for the reference itself."""
    predictions: tuple[Prediction, ...] = ()
    read_tokens: int = 0
    read_seconds: float = 0.0
    """It took to read the texts."""
    error: str = ""
    """Why there is nothing, or not all."""

    @property
    def written_per_second(self) -> float | None:
        """Tokens a second of one text, a token a step: the median over the prompts."""
        known = [one.tokens_per_second for one in self.written if one.tokens_per_second is not None]
        return statistics.median(known) if known else None

    @property
    def read_per_second(self) -> float | None:
        """Tokens a second that it reads."""
        return self.read_tokens / self.read_seconds if self.read_seconds else None


@dataclass(frozen=True)
class Report:
    """All precisions as far as they are; the first is the reference."""

    material: Material
    results: tuple[Measured, ...] = ()
    complete: int = 0
    """Of the results; the one after them is under way."""
    done: float = 0.0
    """Share of the work, 0..1."""
    note: str = ""
    """What is being done."""
    kept_bytes: int = 0
    """Of the reference's distributions, in a temporary file until the report is done."""

    @property
    def reference(self) -> Measured:
        """What the others are measured against."""
        return self.results[0]
