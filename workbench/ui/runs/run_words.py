"""Runs and their figures in words: how a value with its error reads, how a run is called, what it was asked with."""

from collections.abc import Mapping
from typing import Any

from workbench.evals.metrics.metric import Estimate, Metric

NO_VALUE = "–"


def value_text(value: float | None, stderr: float | None = None, share: bool = True) -> str:
    """A figure for people: "43.2 ± 3.1 %" for a share, "12.34 ± 0.56" for any other; an unknown error is left out."""
    if value is None:
        return NO_VALUE
    if share:
        error = "" if stderr is None else f" ± {100 * stderr:.1f}"
        return f"{100 * value:.1f}{error} %"
    digits = _digits(value)
    error = "" if stderr is None else f" ± {stderr:,.{digits}f}"
    return f"{value:,.{digits}f}{error}"


def signed_text(value: float, share: bool = True) -> str:
    """A difference for people, with its sign: "+2.3" percentage points, or in the metric's own unit."""
    small = 0 < abs(value) < 0.01
    shown = f"{100 * value:+.1f}" if share else f"{value:+.2g}" if small else f"{value:+,.{_digits(value)}f}"
    return shown.replace("-", "−") if any(digit in shown for digit in "123456789") else shown.lstrip("+-")


def _digits(value: float) -> int:
    size = abs(value)
    return 0 if size >= 10_000 else 1 if size >= 1_000 else 2 if size >= 10 else 3


def estimate_text(metric: Metric, estimate: Estimate | None) -> str:
    """A metric's value while a run grows or after it."""
    return NO_VALUE if estimate is None else value_text(estimate.value, estimate.stderr, metric.is_share)


def shots_text(count: int) -> str:
    """Zero-shot, 1 shot, 5 shots."""
    return "zero-shot" if not count else f"{count} shot{'' if count == 1 else 's'}"


def model_text(model: Mapping[str, Any]) -> str:
    """The model of a run: its checkpoint without the folders before it, its precision and its head."""
    name = str(model.get("checkpoint", "?")).rstrip("/").rpartition("/")[2]
    head = model.get("head")
    head_name = head.get("name") if isinstance(head, Mapping) else head
    parts = [name, model.get("precision") or model.get("dtype"), f"head {head_name}" if head_name else None]
    return " · ".join(str(part) for part in parts if part)
