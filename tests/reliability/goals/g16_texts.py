"""G16: whatever text people bring is answered or refused in words, and never becomes markup."""

import csv
import random
import tempfile
import unicodedata
from collections.abc import Sequence
from contextlib import AbstractContextManager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd

from tests.reliability.goal import Goal, Mutant, Outcome
from tests.reliability.hostile_requests import tried_over_http
from tests.text.tiny import tiny_language_model
from workbench.engine.jobs import Sampling
from workbench.errors import WorkbenchError
from workbench.evals.exports import predictions
from workbench.evals.exports.predictions import write_csv
from workbench.text.language_model import LanguageModel
from workbench.text.requests import Generate, LogLikelihood
from workbench.ui import parts

PIECES = (
    "\ud800", "\udfff\ud83e", "\0", "\x1b[31m", "\u202e", "\ufeff", "\U0001f984", "\U0010ffff", "e\u0301" * 20,
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "![x](https://example.org/a.png)", "[a](javascript:0)",
    "\"><svg onload=alert(1)>", "' onmouseover='x", "{{7*7}}", "${7*7}", "%s%n", "=1+1", "<|endoftext|>", "\r\n\r\n",
    " " * 300, "a" * 3000, "../../etc/passwd", "\\", "&lt;b&gt;", "</textarea>", "٣", "ﷺ",
)  # fmt: skip
HARMLESS = {"div", "strong", "p", "span"}


def check(size: int, seed: int) -> Outcome:
    """So many texts of odd pieces, asked as prompts, stop strings, bans and continuations, and shown as markup."""
    rng, failures, answered = random.Random(seed), list[str](), 0
    texts = ["".join(rng.choice((*PIECES, "a word ")) for _ in range(rng.randint(1, 4))) for _ in range(size)]
    model = tiny_language_model()
    try:
        for number, text in enumerate(texts):
            for what, ask in _ways(model, text).items():
                try:
                    ask()
                    answered += 1
                except WorkbenchError as error:
                    failures += _shown(f"{what} {number}", str(error))
                except Exception as error:
                    failures.append(f"{what} {text[:40]!r}: {error!r}"[:200])
            failures += _shown(f"text {number}", text)
    finally:
        model.engine.close()
    failures += _exported(texts)
    asked, wrong = tried_over_http(texts, seed)
    failures += wrong
    level = (
        f"{size:,} texts in four places: {answered:,} answered, the others refused in words; none became markup. Sent "
        f"to every endpoint: {asked:,} whole answers or refusals, no traceback. Written as CSV: no cell is a formula"
    )
    return Outcome(level, {"texts": size, "answered": answered, "requests": asked}, tuple(failures))


def _exported(texts: Sequence[str]) -> list[str]:
    """Cells of an exported table that a spreadsheet would run, and numbers that are others."""
    numbers = ["-5", "+1.5", "-1e-9"]
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        write_csv(pd.DataFrame({"=text": [*texts, *numbers]}, dtype=object), path)
        with path.open(encoding="utf-8", newline="") as file:
            read = [row[0] for row in csv.reader(file)]
    found = [f"the exported cell {cell[:40]!r} is a formula" for cell in read[: -len(numbers)] if _is_formula(cell)]
    return found + ([] if read[-len(numbers) :] == numbers else ["numbers were changed by the export"])


def _is_formula(cell: str) -> bool:
    """As the strictest of the spreadsheets sees it: what begins, after all that is not seen, with an operator."""
    seen = unicodedata.normalize("NFKC", "".join(one for one in cell if one.isprintable() and not one.isspace()))
    return seen[:1] in set("=+-@|%")


def _ways(model: LanguageModel, text: str) -> dict[str, Any]:
    greedy = Sampling(0.0)
    return {
        "prompt": lambda: model.generate(Generate(text, 2, sampling=greedy)),
        "stop": lambda: model.generate(Generate("The", 2, sampling=greedy, stop=(text,))),
        "banned": lambda: model.generate(Generate("The", 2, sampling=greedy, banned=(text,))),
        "continuation": lambda: model.loglikelihoods([LogLikelihood("The king", text)]),
    }


def _shown(what: str, text: str) -> list[str]:
    """Whether a text that is shown in a notice becomes markup."""
    seen = _Seen()
    seen.feed(parts.notice("error", text, text))
    strange = [name for name in seen.names if name not in HARMLESS]
    return [f"{what}: {strange[0]} in the markup"] if strange else []


class _Seen(HTMLParser):
    """The elements and handlers of some markup."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Notes them."""
        self.names += [tag, *(name for name, _ in attributes if name.startswith("on"))]


def unescaped() -> AbstractContextManager[object]:
    """Texts are put into the page as they are."""
    return mock.patch("workbench.ui.parts.escape", lambda text: text)


def formulas() -> AbstractContextManager[object]:
    """Cells are exported as they are."""
    return mock.patch.object(predictions, "safe_cell", lambda cell: cell)


GOAL = Goal(
    name="G16",
    promise="Whatever text people bring is answered or refused in words, and never becomes markup",
    peer="none tests it; FastChat 3820, Qwen-Agent 844 and others ran scripts of models and users",
    unit="texts",
    short=60,
    full=500,
    check=check,
    mutants=(
        Mutant("texts are put into the page as they are", unescaped, 20),
        Mutant("cells are exported as they are", formulas, 20),
    ),
)
