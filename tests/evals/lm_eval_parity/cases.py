"""What is compared: tasks, their rows in the Hub's columns, and the worked examples.

Of every task the made-up sample rows are asked, and of some also rows of the data set itself: they lie in
../shared/data and are read there; nothing of them is kept in the project.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tasks
from tests.evals.lm_eval_parity.tiny_model import CONTEXT_TOKENS, SHORT_CONTEXT_TOKENS
from tests.tasks.shared_rows import shared_rows
from workbench.collect import collect
from workbench.evals.task import Task

GOLDEN = Path(__file__).parent / "golden.json"
SHARED = ("lambada_openai", "hellaswag", "piqa", "winogrande", "sst2", "wikitext")
IN_A_SHORT_CONTEXT = ("lambada_openai", "hellaswag", "winogrande", "wikitext")
ROWS = 30
SHOTS = 5
PAGES = 8
PAGE_CHARACTERS = 6_000
"""Of a Wikipedia page: several windows of the tiny model's context."""

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """One comparison."""

    task: str
    origin: str
    """"shared" or "samples"."""
    shots: int
    context_tokens: int
    rows: tuple[dict[str, Any], ...]
    shot_rows: tuple[dict[str, Any], ...]

    @property
    def key(self) -> str:
        """Its name in the golden file."""
        return f"{self.task}, {self.origin}, {self.shots} shots, context {self.context_tokens}"

    @property
    def digest(self) -> str:
        """Of the rows, which tells changed data from changed numbers."""
        content = json.dumps([self.rows, self.shot_rows], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def our_task(name: str) -> Task[Any]:
    """The task of this name."""
    return collect(tasks, "TASK")[name]


def cases(name: str, origin: str) -> list[Case]:
    """A task without and with worked examples; a few also where the context is too short for them."""
    method = our_task(name).method
    most = SHOTS if method.name != "perplexity" and getattr(method, "takes_shots", True) else 0
    asked = [(shots, CONTEXT_TOKENS) for shots in sorted({0, most})]
    if origin == "shared":
        rows = _spread(name, ROWS + SHOTS)
        rows, shot_rows = rows[:-SHOTS], rows[-SHOTS:]
        asked += [(most, SHORT_CONTEXT_TOKENS)] if name in IN_A_SHORT_CONTEXT else []
    else:  # the worked examples are some of the rows asked
        rows = list(our_task(name).samples)
        shot_rows = rows[::-1]
    return [Case(name, origin, shots, context, tuple(rows), tuple(shot_rows[:shots])) for shots, context in asked]


def origins(name: str) -> tuple[str, ...]:
    """Where rows of a task come from: its samples, which are always here, and maybe the data set."""
    return ("samples", "shared") if name in SHARED else ("samples",)


def _spread(name: str, count: int) -> Rows:
    """Rows from all over the data, pages short enough for a tiny model."""
    rows = shared_rows(name)
    if name == "wikitext":
        return [{"page": row["page"][:PAGE_CHARACTERS]} for row in rows[: PAGES + SHOTS]]
    return rows[:: len(rows) // count][:count]
