"""What became of one example of a benchmark: all that a report, a comparison or a reader needs of it."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Prediction:
    """What a model said of an example, and how that was judged. All values are what JSON can hold."""

    prompt: str = ""
    """What the model read of this example, the worked examples before it aside."""
    gold: Any = None
    """The right answer: a choice's index, a label, a text or several; None where a task has none."""
    answer: Any = None
    """What the model said, in the same form; None: nothing."""
    scores: dict[str, float] = field(default_factory=dict)
    """The columns that metrics are computed from; empty where the example counts for none of them."""
    detail: dict[str, Any] = field(default_factory=dict)
    """What the method knows beyond that: each choice with its log-likelihood, the n best spans, ..."""
    unseen_tokens: int = 0
    """Of the prompt, left out because the model's context had no room."""
    error: str | None = None
    """Why there is no answer."""
    id: str = ""
    """The example's own id, or its row's number; the runner fills in this and what follows."""
    row: int = 0
    """In the data, counted from 0."""
    digest: str = ""
    """Of what the task read of the row: two runs are compared over examples that are the same."""
    prefix: str | None = None
    """The worked examples before it, where it is one of those that the run shows and others stepped in; None: the
    run's own."""
