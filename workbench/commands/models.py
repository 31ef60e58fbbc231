"""`models`: the checkpoints that can be named without a path."""

import argparse
from contextlib import closing
from typing import Any

from workbench.console import Command, add_json_option
from workbench.kernels.compiled import kernels
from workbench.loading.memory import size_text
from workbench.manager import ModelManager, ModelSpec
from workbench.speed import computes_on_cpu, kernels_text, limit_facts, limit_text, limits_text, machine_facts


def models(options: argparse.Namespace) -> dict[str, Any]:
    """The checkpoints that can be named, with their sizes and what this machine could do with them."""
    here = ModelSpec()
    facts = machine_facts(here)
    with closing(ModelManager()) as manager:
        rows: list[dict[str, Any]] = []
        for name in manager.known():
            spec = ModelSpec(name)
            found = manager.plan(spec)
            row: dict[str, Any] = {"name": name, "parameters": found.parameters, "weights_bytes": found.weights_bytes}
            rows.append(row | limit_facts(found, spec, facts["read_bytes_per_second"]))
    if not options.json:
        for row in rows:
            print(f"{row['name']:<12} {row['parameters']:>14,} parameters  {size_text(row['weights_bytes']):>10}")
            if said := limit_text(facts | row):
                print(f"{'':<12} {said}")
        for text in filter(None, [kernels_text(kernels()), limits_text()] if computes_on_cpu(here) else []):
            print(text)
    return {"models": rows} | facts


COMMAND = Command("models", "the checkpoints that can be named, with their sizes", add_json_option, models)
