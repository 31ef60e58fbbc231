"""`plan`: what a model needs beside what this machine has, before it is loaded."""

import argparse
import dataclasses
from contextlib import closing
from typing import Any

from workbench.console import Command, add_model_options, asked_model
from workbench.loading.memory import size_text
from workbench.manager import ModelManager


def add_options(parser: argparse.ArgumentParser) -> None:
    """The model, the streams and their length."""
    add_model_options(parser)
    parser.add_argument("--streams", type=int, default=1, metavar="N", help="texts written at the same time")
    parser.add_argument("--context", type=int, metavar="N", help="tokens a stream may hold; default: the model's")


def plan(options: argparse.Namespace) -> dict[str, Any]:
    """What a model needs, before it is loaded."""
    with closing(ModelManager()) as manager:
        found = manager.plan(asked_model(options), options.streams, options.context)
    if not options.json:
        print(found.advice)
        for name, total, fits in found.alternatives:
            print(f"  {name:<9} {size_text(total):>10}  {'fits' if fits else 'does not fit'}")
    return dataclasses.asdict(found)


COMMAND = Command("plan", "what a model needs beside what this machine has, before loading", add_options, plan)
