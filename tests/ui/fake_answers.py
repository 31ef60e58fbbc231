"""A scripted model that answers questions, and a manager with trained heads: for tests of the Answer tab."""

import math
import re
import time
from collections.abc import Generator, Sequence
from pathlib import Path

from tests.ui.fake import FakeLanguageModel, FakeManager
from tests.ui.fake_classes import WordTokenizer
from workbench.errors import BadRequest
from workbench.loading.heads import HeadCard
from workbench.manager import ModelSpec
from workbench.text.pending import Later
from workbench.text.requests import ExtractSpan, LogLikelihood, Scored, Span, Spans, TokenText

NULL_SCORE = -3.0
SCORES = tuple(-1.5 - 0.7 * rank for rank in range(50))


def head_card(name: str = "squad-lora", kind: str = "answer", **changes: object) -> HeadCard:
    """A card as a training run writes it."""
    facts: dict[str, object] = {
        "name": name, "kind": kind, "labels": () if kind == "answer" else ("ham", "spam"),
        "problem": None if kind == "answer" else "single_label_classification", "method": "lora",
        "trunk": "0" * 64, "trunk_name": "demo", "precision": "bfloat16",
        "data": {"file": "questions.json", "rows": 1200}, "settings": {"epochs": 2},
        "metrics": {"exact_match": 41.3, "f1": 52.75}, "folder": Path("heads") / name, "key": f"heads/{name}#1",
    }  # fmt: skip
    return HeadCard(**(facts | changes))  # type: ignore[arg-type]


class AnsweringModel(FakeLanguageModel):
    """Answers with the passage's longest words that the question does not have; takes `seconds` over it."""

    def __init__(self, seconds: float = 0.0):
        super().__init__()
        self.seconds = seconds
        self.asked: list[ExtractSpan] = []
        self.tokenizer = WordTokenizer()
        self.context_tokens = 512

    def extract_steps(self, request: ExtractSpan) -> Generator[tuple[int, int], None, Spans]:
        """Ten steps on the way to the n best."""
        try:
            for step in range(10):
                yield step, 10
                time.sleep(self.seconds / 10)
            return self._found(request)
        finally:
            self.closed += 1

    def extract(self, request: ExtractSpan) -> Spans:
        """The n best, after a while."""
        time.sleep(self.seconds)
        return self._found(request)

    def _found(self, request: ExtractSpan) -> Spans:
        """A question with BOOM in it is refused."""
        if "BOOM" in request.question:
            raise BadRequest("The question holds <b>BOOM</b>. Take it out.")
        self.asked.append(request)
        said = set(re.findall(r"\w+", request.question.lower()))
        words = [word for word in re.finditer(r"\w+", request.context) if word.group().lower() not in said]
        words.sort(key=lambda word: (word.start() - word.end(), word.start()))
        found = words[: request.n_best]
        total = sum(math.exp(score) for score in (*SCORES[: len(found)], NULL_SCORE))
        spans = tuple(
            Span(word.group(), word.start(), word.end(), score, math.exp(score) / total)
            for word, score in zip(found, SCORES, strict=False)
        )
        return Spans(spans, NULL_SCORE, windows=1 + len(request.context) // 2000)

    def loglikelihoods(self, requests: Sequence[LogLikelihood], alternatives: int = 0) -> list[Scored]:
        """A continuation's log-likelihood is minus its length, a token a word; takes `seconds` too."""
        time.sleep(self.seconds)
        words = [re.findall(r"\s*\S+", request.continuation) for request in requests]
        return [
            Scored(-sum(map(len, each)), False, tuple(TokenText(1, word, -float(len(word))) for word in each))
            for each in words
        ]

    def answers(self, requests: list[ExtractSpan]) -> list[Spans]:
        """Each request's answer."""
        return [self.extract(request) for request in requests]

    def submit(self, requests: list[ExtractSpan]) -> Later:
        """The same, when it is waited for."""
        return Later(lambda: self.answers(requests))


class AnsweringManager(FakeManager):
    """A manager whose demo model has trained heads."""

    def __init__(self, model: AnsweringModel | None = None, cards: tuple[HeadCard, ...] = (head_card(),)):
        super().__init__(model or AnsweringModel())
        self.cards, self.used = cards, list[str]()

    def heads(self, spec: ModelSpec) -> list[HeadCard]:
        """The heads, which fit the demo model alone."""
        return list(self.cards) if spec.checkpoint == "demo" else []

    def use_head(self, spec: ModelSpec, name_or_folder: str, kind: str | None = None) -> HeadCard:
        """Remembers which was asked for."""
        self.used.append(name_or_folder)
        for card in self.heads(spec):
            if name_or_folder in (card.key, card.version, card.name, str(card.folder)):
                return card
        raise BadRequest(f"There is no head {name_or_folder!r}.")
