"""G16: whatever text people bring is answered or refused in words, and never becomes markup."""

import random
from contextlib import AbstractContextManager
from html.parser import HTMLParser
from typing import Any
from unittest import mock

from tests.reliability.goal import Goal, Mutant, Outcome
from tests.text.tiny import tiny_language_model
from workbench.engine.jobs import Sampling
from workbench.errors import WorkbenchError
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
    model = tiny_language_model()
    try:
        for number in range(size):
            text = "".join(rng.choice((*PIECES, "a word ")) for _ in range(rng.randint(1, 4)))
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
    level = f"{size:,} texts in four places: {answered:,} answered, the others refused in words; none became markup"
    return Outcome(level, {"texts": size, "answered": answered}, tuple(failures))


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


GOAL = Goal(
    name="G16",
    promise="Whatever text people bring is answered or refused in words, and never becomes markup",
    peer="none tests it; FastChat 3820, Qwen-Agent 844 and others ran scripts of models and users",
    unit="texts",
    short=60,
    full=3_000,
    check=check,
    mutants=(Mutant("texts are put into the page as they are", unescaped, 20),),
)
