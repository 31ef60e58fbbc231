"""The measurements, by name: `python -m tests.performance NAME [--json FILE]`; without a name, what there is.

A measurement is a file of this folder with a function `run(options) -> Report` (and `add_arguments(parser)`, if it has
options of its own), or with a `main()` that reads its own command line. Nothing here is part of the test suite.
"""

import argparse
import ast
import importlib
import json
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import torch

from tests.performance.machine import machine_facts
from tests.performance.report import Table, as_text

FOLDER = Path(__file__).parent


def measurements() -> dict[str, str]:
    """The first sentence about each measurement, by name, without importing any."""
    found = {}
    for path in sorted(FOLDER.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        if functions & {"run", "main"} and not path.stem.startswith(("_", "test_")):
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def arguments_of(module: ModuleType, name: str) -> argparse.ArgumentParser:
    """The options all measurements have, and a measurement's own."""
    parser = argparse.ArgumentParser(
        f"python -m tests.performance {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures, and what they were taken on")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each engine")
    parser.add_argument("--layers", type=int, default=4, help="of a model of GPT-J-6B's width")
    parser.add_argument("--peers", type=names, metavar="A,B", help="instead of the measurement's own; '' for none")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    default = Path(tempfile.gettempdir()) / "workbench-performance"
    parser.add_argument("--scratch", type=Path, default=default, help="keeps models and the peers' environments")
    if hasattr(module, "add_arguments"):
        module.add_arguments(parser)
    return parser


def names(text: str) -> tuple[str, ...]:
    """The names in a text, cut at commas."""
    return tuple(name for name in text.split(",") if name)


def measure(name: str, given: list[str]) -> None:
    """Takes one measurement, prints its tables and writes its figures."""
    module = importlib.import_module(f"tests.performance.{name}")
    if not hasattr(module, "run"):
        sys.argv = [f"tests.performance.{name}", *given]
        module.main()
        return
    options = arguments_of(module, name).parse_args(given)
    options.scratch.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    report = module.run(options)
    machine = machine_facts(options.threads)
    shown = Table("Machine", (), tuple((key, str(value)) for key, value in machine.items() if key != "flags"))
    print("\n\n".join(as_text(table) for table in (*report.tables, shown)))
    if options.json:
        asked = {key: value for key, value in vars(options).items() if key not in ("json", "scratch")}
        told = {key: str(value) if isinstance(value, Path) else value for key, value in asked.items()}
        everything = {"measurement": name, "options": told, "machine": machine, **report.figures}
        options.json.write_text(json.dumps(everything, indent=1) + "\n")


def main() -> None:
    """Lists the measurements, or takes one."""
    found = measurements()
    name, given = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("--help", [])
    if name in found:
        measure(name, given)
        return
    print("python -m tests.performance NAME [--json FILE] [--rounds N] [--layers L] [--peers A,B] [--scratch DIR]\n")
    width = max(map(len, found))
    print("\n".join(f"  {name:<{width}}  {sentence}" for name, sentence in found.items()))
    if name not in ("-h", "--help"):
        sys.exit(f"\nThere is no measurement {name!r}.")


if __name__ == "__main__":
    main()
