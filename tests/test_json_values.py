"""What goes into JSON is JSON."""

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from workbench.json_values import json_value

plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values = st.recursive(
    plain, lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


def same(value: object, read: object) -> bool:
    """Whether `read` is the value with null for what JSON lacks."""
    if isinstance(value, dict):
        return value.keys() == read.keys() and all(same(value[name], read[name]) for name in value)
    if isinstance(value, list | tuple):
        return len(value) == len(read) and all(map(same, value, read))
    if isinstance(value, float) and not math.isfinite(value):
        return read is None
    return type(value) is type(read) and value == read


@given(values)
def test_any_value_becomes_strict_json_that_reads_back(value: object) -> None:
    assert same(value, json.loads(json.dumps(json_value(value), allow_nan=False)))
