"""A benchmark task as a value: where its rows come from, how one is read, asked about and judged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from workbench.evals.asking import Answer, Request
from workbench.evals.data.rows import Data, Row
from workbench.evals.metrics.metric import Metric
from workbench.evals.prediction import Prediction

Example = TypeVar("Example")


class BenchmarkMethod(Protocol[Example]):
    """A way of asking (see asking.Method) whose predictions are measured."""

    @property
    def name(self) -> str:
        """The field's word for it: multiple_choice, cloze, generation, perplexity, classification, extraction."""
        ...

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All side by side, the one to look at first in front."""
        ...

    @property
    def settings(self) -> dict[str, Any]:
        """What names the protocol beside the prompts: normaliser, lengths, stop texts, ... (JSON values)."""
        ...

    @property
    def prefix(self) -> str:
        """The worked examples as the text before every prompt; empty without."""
        ...

    def with_shots(self, shots: Sequence[Example]) -> "BenchmarkMethod[Example]":
        """This method with worked examples before every prompt.

        Raises:
            BadRequest: the method takes none.
        """
        ...

    def requests(self, example: Example) -> Sequence[Request]:
        """What to ask the model.

        Raises:
            BadRequest: the example can't be asked about.
        """
        ...

    def judge(self, example: Example, answers: Sequence[Answer]) -> Prediction:
        """The prediction, from the answers to this example's requests."""
        ...

    def failed(self, example: Example, reason: str) -> Prediction:
        """What stands for an example that could not be asked about; it counts as wrong where metrics are shares."""
        ...


@dataclass(frozen=True)
class Source:
    """A data set on the Hub."""

    path: str
    split: str
    name: str | None = None
    """Its configuration."""
    revision: str | None = None
    """The commit that is used; None: not pinned, the one found is recorded."""
    shots_split: str | None = None
    """Where worked examples come from; None: from `split`, never the example itself."""


@dataclass(frozen=True)
class Reference:
    """A published score, with the protocol that gave it."""

    model: str
    metric: str
    """As the task names it."""
    value: float
    """On the metric's own scale: a share from 0 to 1, a perplexity as it is."""
    protocol: str
    """Who measured, how; what is not told is said to be unknown."""


@dataclass(frozen=True)
class Task(Generic[Example]):
    """A benchmark."""

    name: str
    about: str
    """One sentence: what the model is asked."""
    columns: tuple[str, ...]
    """That a row must have."""
    read: Callable[[Row], Example]
    """Raises BadRequest where a cell is not what the task needs."""
    method: BenchmarkMethod[Example]
    samples: tuple[dict[str, Any], ...]
    """Made-up rows in the data set's own columns: documentation, offline test and "try it"."""
    source: Source | None = None
    """None: the task is complete, or reads a file of the user's own."""
    complete: bool = False
    """Whether the samples are the whole data set, which then comes with the project and needs no download."""
    id_column: str | None = None
    """Whose cells name the examples; None: the row's number does."""
    references: tuple[Reference, ...] = ()
    version: int = 1
    """Raised whenever prompts or judging change."""
    fitted: Callable[[Sequence[Row]], BenchmarkMethod[Example]] | None = None
    """The method for these rows, where it depends on them, as labels may; None: `method` for all."""

    def for_data(self, data: Data) -> "Task[Example]":
        """This task with the method that fits the data.

        Raises:
            BadRequest: the data don't make a method, of one label alone for instance.
        """
        if self.fitted is None:
            return self
        return replace(self, method=self.fitted([*data.rows, *data.shot_rows]))
