"""RELIABILITY.md, written from what a run of the suite told: a promise, the peers' level, ours, and the command."""

from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("RELIABILITY.md")

INTRODUCTION = """# What the workbench promises, and how it is tried

Written by `python -m tests.reliability --json FILE` and `python -m tests.reliability --page FILE`; each line can be
tried alone with its command (`--short` takes seconds instead of minutes). A promise counts as held only if its check
also notices every guard that is taken away on purpose."""

NOT_PROMISED = """## What is not promised

Equal bits across machines, numbers of threads, versions of PyTorch, precisions or devices. That what is in memory
outlives its process. That the last commit before a power failure is on a disk that lies about it. That an untrusted
checkpoint does more than load in bounded memory without running code. That visitors are served equally beyond the
limits each has. That anybody is served while the network is flooded."""


def written(document: dict[str, Any]) -> str:
    """The page."""
    machine = document["machine"]
    facts = (
        f"Form: {document['form']}, {document['seconds'] / 60:.0f} minutes, seed {document['seed']}. Commit "
        f"{document['commit'][:12]}. {machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, torch "
        f"{machine['torch']}."
    )
    lines = [_row("", "Promise", "Strongest peer", "Here", "Guards taken away, noticed", "Command"), _row(*["---"] * 6)]
    lines += [_line(one) for one in document["goals"]]
    return "\n\n".join([INTRODUCTION, facts, "\n".join(lines), *_broken(document), NOT_PROMISED]) + "\n"


def _line(one: dict[str, Any]) -> str:
    if "promise" not in one:
        return _row(one["goal"], "", "", "**broken**", "", "")
    noticed = sum(bool(said) for said in one["mutants"].values())
    mutants = f"{noticed} of {len(one['mutants'])}: " + "; ".join(one["mutants"]) if one["mutants"] else "none"
    level = one["level"] if one["held"] else f"**broken**: {one['level']}"
    return _row(one["goal"], one["promise"], one["peer"], level, mutants, f"`{one['command']}`")


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _broken(document: dict[str, Any]) -> list[str]:
    broken = [one for one in document["goals"] if one["failures"]]
    told = [f"- {one['goal']}: {failure}" for one in broken for failure in one["failures"]]
    return ["## Broken\n\n" + "\n".join(told)] if told else []
