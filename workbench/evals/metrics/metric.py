"""What a metric is: a figure of many examples that can be computed again on any resample of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Statistic = Callable[[Values], Values]
"""(..., n, columns) -> (...): the figure of n examples, for each of many resamples at once."""


@dataclass(frozen=True)
class Metric:
    """A figure computed from some columns of the predictions' scores."""

    name: str
    columns: tuple[str, ...]
    """Of `Prediction.scores`; a prediction that lacks one does not count."""
    statistic: Statistic
    higher_is_better: bool = True
    stderr: Literal["mean", "bootstrap"] = "mean"
    """The mean's own formula, or the spread over resamples."""
    is_share: bool = True
    """Whether it lies between 0 and 1 and is shown in percent."""


@dataclass(frozen=True)
class Estimate:
    """A metric's value on the examples at hand."""

    value: float
    stderr: float | None
    """None: fewer than two examples, numbers beyond all bounds, or resamples not drawn yet."""
    n: int
    """Examples that counted."""
