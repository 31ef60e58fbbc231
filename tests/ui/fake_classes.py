"""A scripted model that classifies by words, and a manager with trained heads: for tests of the Classify tab."""

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.ui.fake import FakeLanguageModel, FakeManager
from workbench.errors import BadRequest
from workbench.loading.heads import HeadCard
from workbench.manager import ModelSpec
from workbench.text.pending import Later
from workbench.text.requests import Classified, Classify, LogLikelihood, Scored, TokenText

HINTS = {
    "positive": {"laughed", "wonderful", "great", "beautiful", "love", "again"},
    "negative": {"stale", "dull", "asleep", "bad", "no", "worse"},
    "spam": {"free", "claim", "urgent", "win", "prize", "congratulations"},
    "ham": {"milk", "home", "grandma", "dinner"},
}
BIAS = {"positive": 1.0}
"""What the model prefers anyway: a calibration takes it away."""


def class_card(name: str = "sms-probe", **changes: object) -> HeadCard:
    """A card as a training run writes it."""
    facts: dict[str, object] = {
        "name": name, "kind": "classify", "labels": ("ham", "spam"), "problem": "single_label_classification",
        "method": "probe", "trunk": "0" * 64, "trunk_name": "demo", "precision": "float32",
        "data": {"file": "sms.csv", "rows": 5574}, "settings": {"epochs": 20},
        "metrics": {"accuracy": 0.981, "macro_f1": 0.957}, "folder": Path("heads") / name, "key": f"heads/{name}#1",
    }  # fmt: skip
    return HeadCard(**(facts | changes))  # type: ignore[arg-type]


class WordTokenizer:
    """A token is a word with the space before it."""

    def encode(self, text: str) -> list[int]:
        """A number for each word."""
        return [len(word) for word in re.findall(r"\s*\S+", text)]

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """The numbers, and where each word stands."""
        return self.encode(text), [match.span() for match in re.finditer(r"\s*\S+", text)]


class ClassifyingModel(FakeLanguageModel):
    """Counts the words that hint at a label; takes `seconds` for a text; a text with BOOM in it is refused."""

    def __init__(self, seconds: float = 0.0, cards: Sequence[HeadCard] = ()):
        super().__init__()
        self.seconds, self.cards = seconds, {card.key: card for card in cards}
        self.tokenizer = WordTokenizer()
        self.context_tokens = 512
        self.asked: list[Any] = []

    def answers(self, requests: Sequence[Any]) -> list[Scored | Classified]:
        """Each request's answer."""
        time.sleep(self.seconds)
        self.asked += requests
        return [self._answer(request) for request in requests]

    def loglikelihoods(self, requests: Sequence[LogLikelihood], alternatives: int = 0) -> list[Scored | Classified]:
        """The same answers, each with a token a word."""
        return self.answers(requests)

    def submit(self, requests: Sequence[Any]) -> Later:
        """The same, when it is waited for."""
        return Later(lambda: self.answers(requests))

    def _answer(self, request: LogLikelihood | Classify) -> Scored | Classified:
        if isinstance(request, Classify):
            text = _refuse_boom(request.text)
            card = self.cards[request.head]
            return Classified(tuple(_hits(text, label) for label in card.labels), tokens=len(text.split()))
        text = _refuse_boom(request.context.rpartition("\n\n")[2])
        label = request.continuation.strip()
        loglikelihood = _hits(text, label) + BIAS.get(label, 0.0) - 3.0
        words = request.continuation.split()
        return Scored(loglikelihood, False, tuple(TokenText(1, word, loglikelihood / len(words)) for word in words))


class ClassifyingManager(FakeManager):
    """A manager whose demo model has trained heads."""

    def __init__(self, seconds: float = 0.0, cards: Sequence[HeadCard] | None = None):
        self.cards = [class_card()] if cards is None else list(cards)
        super().__init__(ClassifyingModel(seconds, self.cards))
        self.used: list[str] = []

    def heads(self, spec: ModelSpec) -> list[HeadCard]:
        """The heads, which fit the demo model alone."""
        return self.cards if spec.checkpoint == "demo" else []

    def use_head(self, spec: ModelSpec, name_or_folder: str, kind: str | None = None) -> HeadCard:
        """Remembers which was asked for."""
        self.used.append(name_or_folder)
        for card in self.heads(spec):
            if name_or_folder in (card.key, card.version, card.name, str(card.folder)):
                return card
        raise BadRequest(f"There is no head {name_or_folder!r}.")


def _refuse_boom(text: str) -> str:
    if "BOOM" in text:
        raise BadRequest("The text holds <b>BOOM</b>. Take it out.")
    return text


def _hits(text: str, label: str) -> float:
    words = re.findall(r"\w+", text.lower())
    return 1.7 * sum(word in HINTS.get(label, ()) for word in words)
