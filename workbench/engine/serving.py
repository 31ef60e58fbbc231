"""What a language model may have behind it: an engine with a model in memory, or a server that is asked elsewhere."""

from typing import TYPE_CHECKING, Protocol

from workbench.engine.branches import Grown, Tree
from workbench.engine.handle import Handle
from workbench.engine.jobs import Decode, Decoded, Read, Score, Scored
from workbench.engine.pace import PaceRecord

if TYPE_CHECKING:
    from torch import Tensor, nn

    from workbench.gptj.lora import Adapter


class Limits(Protocol):
    """What of a served model decides how it may be asked."""

    @property
    def context(self) -> int:
        """n_positions: the most tokens a stream can hold."""
        ...

    @property
    def end_tokens(self) -> tuple[int, ...]:
        """Tokens that end a text, beside the tokenizer's own."""
        ...


class Serving(Protocol):
    """Takes jobs from any thread, and answers through handles.

    Each method raises TooLong or BadRequest for a job that can't be served, Busy where too many wait, Cancelled once
    closed.
    """

    steps: int
    """Grows while anything is computed."""
    pace: PaceRecord

    @property
    def served(self) -> Limits:
        """The model."""
        ...

    def decode(self, job: Decode) -> Handle[Decoded]:
        """Submits a continuation: iterate the handle for tokens."""
        ...

    def score(self, job: Score) -> Handle[list[Scored]]:
        """Submits continuations to score."""
        ...

    def tree(self, job: Tree) -> Handle[Grown]:
        """Submits a tree of continuations to score."""
        ...

    def read(self, job: Read) -> "Handle[Tensor]":
        """Submits a text to read."""
        ...

    def add_head(self, name: str, module: "nn.Module", adapter: "Adapter | None" = None) -> None:
        """Gives Read jobs one more head."""
        ...

    def drop_head(self, name: str) -> None:
        """Takes a head away from the jobs to come."""
        ...

    @property
    def closed(self) -> bool:
        """Whether it takes no more."""
        ...

    def close(self) -> None:
        """Ends what is under way with Cancelled, and takes no more."""
        ...
