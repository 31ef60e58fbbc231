"""How a generated text compares with a right one: 1 or 0."""

import string

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize(text: str) -> str:
    """In lower case, without ASCII punctuation: lm-evaluation-harness's ignore_case and ignore_punctuation."""
    return text.lower().translate(_PUNCTUATION)


def exact_match(text: str, reference: str) -> float:
    """Whether both are the same once normalized."""
    return float(normalize(text) == normalize(reference))


def contains(text: str, reference: str) -> float:
    """Whether the reference stands in the text; one that is nothing but punctuation stands in none."""
    wanted = normalize(reference).strip()
    return float(bool(wanted) and wanted in normalize(text))
