"""`plan`: what a model needs beside what this machine has, before it is loaded."""

import argparse
import dataclasses
from contextlib import closing
from typing import Any

from workbench.console import Command, add_model_options, asked_model
from workbench.kernels.compiled import kernels
from workbench.loading.memory import MemoryPlan, size_text
from workbench.manager import ModelManager
from workbench.speed import (
    computes_on_cpu,
    kernels_text,
    limit_facts,
    limit_text,
    limits_text,
    machine_facts,
    measure,
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The model, the streams and their length."""
    add_model_options(parser)
    parser.add_argument("--streams", type=int, default=1, metavar="N", help="texts written at the same time")
    parser.add_argument("--context", type=int, metavar="N", help="tokens a stream may hold; default: the model's")
    parser.add_argument(
        "--measure", action="store_true", help="load the model and measure how fast one text is written"
    )


def plan(options: argparse.Namespace) -> dict[str, Any]:
    """What a model needs and how fast it can be, before it is loaded."""
    spec = asked_model(options)
    with closing(ModelManager()) as manager:
        found = manager.plan(spec, options.streams, options.context)
        facts = machine_facts(spec)
        done = measure(manager, spec) if options.measure else None
    facts |= limit_facts(found, spec, facts["read_bytes_per_second"]) | {"tokens_per_second": done}
    if not options.json:
        _show(found, facts, computes_on_cpu(spec))
    return dataclasses.asdict(found) | facts


def _show(found: MemoryPlan, facts: dict[str, Any], on_cpu: bool) -> None:
    print(found.advice)
    for name, total, fits in found.alternatives:
        print(f"  {name:<9} {size_text(total):>10}  {'fits' if fits else 'does not fit'}")
    computed = kernels_text(kernels()) if on_cpu and found.precision in ("int8", "int4") else ""
    texts = [limit_text(facts), computed, limits_text() if on_cpu else ""]
    for text in filter(None, texts):
        print(text)


COMMAND = Command("plan", "what a model needs beside what this machine has, before loading", add_options, plan)
