"""Tries every promise: `python -m tests.reliability [--only G1,G2] [--short] [--json FILE]`; in full half an hour.

Each promise is tried in a process of its own, so that what one leaves behind is no other's. With `--page`, the page
RELIABILITY.md is written from the JSON document of a full run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from tests.performance.machine import machine_facts
from tests.reliability import goals
from tests.reliability.goal import Goal, caught, tried
from tests.reliability.page import PAGE, written
from workbench.collect import collect

ROOT = Path(__file__).parents[2]


def every_goal() -> dict[str, Goal]:
    """All promises by name, in the order of their numbers."""
    return dict(sorted(collect(goals, "GOAL").items(), key=lambda item: int(item[0].removeprefix("G"))))


def account(goal: Goal, short: bool, seed: int) -> dict[str, Any]:
    """Tries one promise in this process, and its mutants."""
    torch.set_num_threads(1)  # the models are too small to share
    size, began = goal.short if short else goal.full, time.monotonic()
    found = tried(goal, size, seed)
    seconds = time.monotonic() - began
    mutants = {mutant.name: list(caught(goal, mutant, seed)) for mutant in goal.mutants}
    return {
        "goal": goal.name,
        "promise": goal.promise,
        "peer": goal.peer,
        "level": found.level,
        "tried": f"{size:,} {goal.unit}",
        "counts": dict(found.counts),
        "failures": list(found.failures),
        "seconds": round(seconds, 1),
        "mutants": {name: said[:1] for name, said in mutants.items()},
        "held": not found.failures and all(mutants.values()),
        "command": f"python -m tests.reliability --only {goal.name}",
    }


def in_its_own_process(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The account of one promise; a process that dies has broken it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "account.json")
        command = [sys.executable, "-m", "tests.reliability", "--here", "--only", name, "--json", str(file)]
        command += ["--seed", str(arguments.seed), *(["--short"] if arguments.short else [])]
        # Threads that spin while they wait starve each other where people are many and cores few.
        environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
        ended = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        if not file.exists():
            return {"goal": name, "failures": [f"its process ended with {ended.returncode}"], "held": False}
        (told,) = json.loads(file.read_text())["goals"]
    return dict(told)


def commit() -> str:
    """Which sources were tried."""
    said = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"


def main() -> int:
    """Tries what is asked for; the status is 1 if a promise is broken."""
    known = every_goal()
    parser = argparse.ArgumentParser("python -m tests.reliability", description=__doc__)
    parser.add_argument("--only", help="names of goals, with commas", default=",".join(known))
    parser.add_argument("--short", action="store_true", help="as much as CI tries, in a few minutes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--page", type=Path, metavar="FILE", help=f"write {PAGE.name} from this JSON, and try nothing")
    parser.add_argument("--here", action="store_true", help="in this process")
    arguments = parser.parse_args()
    if arguments.page:
        PAGE.write_text(written(json.loads(arguments.page.read_text())), encoding="utf-8")
        return 0
    names = [name for name in arguments.only.split(",") if name]
    if strange := [name for name in names if name not in known]:
        parser.error(f"there is no {', '.join(strange)}; there are {', '.join(known)}")
    began, told = time.monotonic(), []
    for name in names:
        here = arguments.here
        one = account(known[name], arguments.short, arguments.seed) if here else in_its_own_process(name, arguments)
        told.append(one)
        if not here:
            print(f"{name:4} {'held' if one['held'] else 'BROKEN'}  {one.get('level', '')}", flush=True)
            print("\n".join(f"     {failure}" for failure in one["failures"]), end="\n" if one["failures"] else "")
    document = {
        "form": "short" if arguments.short else "full",
        "seed": arguments.seed,
        "commit": commit(),
        "machine": machine_facts(torch.get_num_threads()),
        "seconds": round(time.monotonic() - began, 1),
        "goals": told,
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if all(one["held"] for one in told) else 1


if __name__ == "__main__":
    sys.exit(main())
