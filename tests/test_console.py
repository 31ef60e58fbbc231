"""Options made from a request's dataclass, and back."""

import argparse
from dataclasses import dataclass, field

import pytest

from workbench.console import add_fields, fields_of


@dataclass(frozen=True)
class Asked:
    out: str = field(metadata={"help": "where", "kind": str})
    texts: tuple[str, ...] = field(default=("a", "b"), metadata={"help": "what", "many": True})
    steps: int = field(default=3, metadata={"help": "how many", "kind": int})
    way: str = field(default="up", metadata={"help": "how", "kind": str, "choices": ("up", "down")})
    quick: bool = field(default=False, metadata={"help": "hurry", "kind": bool})


def parsed(*arguments: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    add_fields(parser, Asked)
    return fields_of(parser.parse_args(arguments), Asked)


def test_what_is_not_given_has_the_requests_default() -> None:
    assert Asked(**parsed("--out", "x")) == Asked("x")  # type: ignore[arg-type]


def test_what_is_given_reaches_its_field() -> None:
    given = parsed("--out", "x", "--texts", "c", "d", "--steps", "5", "--way", "down", "--quick")
    assert Asked(**given) == Asked("x", ("c", "d"), 5, "down", True)  # type: ignore[arg-type]


@pytest.mark.parametrize("arguments", [(), ("--out", "x", "--way", "left"), ("--out", "x", "--steps", "many")])
def test_a_missing_or_impossible_value_is_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        parsed(*arguments)
