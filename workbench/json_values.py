"""Values on their way into JSON."""

import math
from typing import Any


def json_value(value: Any) -> Any:
    """The value with lists for tuples and null for the numbers that JSON does not have: NaN and the infinities."""
    if isinstance(value, dict):
        return {key: json_value(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
