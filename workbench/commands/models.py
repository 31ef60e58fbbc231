"""`models`: the checkpoints that can be named without a path."""

import argparse
from contextlib import closing
from typing import Any

from workbench.console import Command, add_json_option
from workbench.loading.memory import size_text
from workbench.manager import ModelManager, ModelSpec


def models(options: argparse.Namespace) -> dict[str, Any]:
    """The checkpoints that can be named, with their sizes."""
    with closing(ModelManager()) as manager:
        rows: list[dict[str, Any]] = []
        for name in manager.known():
            found = manager.plan(ModelSpec(name))
            rows.append({"name": name, "parameters": found.parameters, "weights_bytes": found.weights_bytes})
    if not options.json:
        for row in rows:
            print(f"{row['name']:<12} {row['parameters']:>14,} parameters  {size_text(row['weights_bytes']):>10}")
    return {"models": rows}


COMMAND = Command("models", "the checkpoints that can be named, with their sizes", add_json_option, models)
