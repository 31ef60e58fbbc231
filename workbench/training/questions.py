"""Questions on passages for a span head: windows with the answer's place, and how validation reads them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from workbench.errors import BadRequest, TooLong
from workbench.evals.data.squad_files import Question, read_questions
from workbench.evals.data.tables import LOCAL
from workbench.evals.metrics.squad import exact_match, f1
from workbench.text.requests import ExtractSpan
from workbench.text.spans import head_spans
from workbench.text.tokenizer import Tokenizer
from workbench.text.windows import SpanWindow, SpanWindows, span_windows
from workbench.training.examples import Example, Split, file_facts, held_back
from workbench.training.head_request import TrainAnswer


@dataclass(frozen=True)
class Asked:
    """A question with its windows."""

    question: Question
    windows: SpanWindows

    def target(self, window: SpanWindow) -> tuple[float, ...]:
        """First and last token of the first answer that stands wholly in the window, or its null slot twice."""
        for text, start in zip(self.question.answers, self.question.answer_starts, strict=True):
            found = None if start is None else window.locate(start, start + len(text))
            if found is not None:
                return tuple(map(float, found))
        return float(window.null_index), float(window.null_index)


@dataclass(frozen=True)
class AskedQuestions:
    """The questions that can be trained on."""

    training: tuple[Asked, ...]
    validation: tuple[Asked, ...]
    facts: dict[str, object]
    max_answer_tokens: int

    def split(self) -> Split:
        """A window is an example; the validation windows follow their questions' order."""
        sides = [
            tuple(Example(window.tokens, one.target(window)) for one in asked for window in one.windows)
            for asked in (self.training, self.validation)
        ]
        return Split(sides[0], sides[1], {**self.facts, "windows": len(sides[0]), "validation_windows": len(sides[1])})

    def measure(self, logits: Sequence[np.ndarray]) -> dict[str, float]:
        """Exact match and F1, in percent, of the answers that all validation windows' logits (T, 2) amount to.

        Where every question has an answer, the best span is taken; else none where the null score is above it.
        """
        always = all(one.question.answers for one in self.validation)
        left = iter(logits)
        exact, overlap = 0.0, 0.0
        for one in self.validation:
            said = self._answer(one, [torch.from_numpy(next(left)) for _ in one.windows], always)
            exact += exact_match(said, one.question.answers or ("",))
            overlap += f1(said, one.question.answers or ("",))
        count = len(self.validation)
        return {"exact": 100 * exact / count, "f1": 100 * overlap / count}

    def _answer(self, one: Asked, logits: list[torch.Tensor], always: bool) -> str:
        request = ExtractSpan(one.question.question, one.question.context, max_answer_tokens=self.max_answer_tokens)
        best, place, null = -np.inf, (0, 0), np.inf
        for window, scores in zip(one.windows, logits, strict=True):
            null = min(null, float(scores[window.null_index].sum()))
            for span, score in head_spans(window, scores, request):
                if score > best:
                    best, place = score, span
        return one.question.context[slice(*place)] if always or best >= null else ""


def read_asked(request: TrainAnswer, tokenizer: Tokenizer, context: int) -> AskedQuestions:
    """The questions of the request's files in windows; those that can't be trained on are dropped and counted.

    Raises:
        BadRequest: a file can't be read, or nothing is left.
    """
    path = Path(request.data)
    facts: dict[str, object] = dict(file_facts(path))
    questions = read_questions(path, LOCAL)
    if request.validation is None:
        back = held_back([question.context for question in questions], request.validation_share, request.seed)
        training = [question for question, held in zip(questions, back, strict=True) if not held]
        validation = [question for question, held in zip(questions, back, strict=True) if held]
    else:
        other = Path(request.validation)
        facts["validation"] = file_facts(other)
        training, validation = questions, read_questions(other, LOCAL)
    dropped: Counter[str] = Counter()
    window_tokens = min(request.window_tokens, context)
    kept = _windows(training, request, tokenizer, window_tokens, dropped, True)
    held_out = _windows(validation, request, tokenizer, window_tokens, dropped, False)
    if not kept or (validation and not held_out):
        side = "validation" if kept else "training"
        reasons = ", ".join(f"{count} with {reason}" for reason, count in sorted(dropped.items()))
        raise BadRequest(f"No question is left for {side}: {reasons}. Give questions whose answers stand in the "
                         "passage, or that are marked as impossible.")  # fmt: skip
    facts |= {
        "questions": len(questions), "training": len(kept), "validation_rows": len(held_out),
        "dropped": dict(sorted(dropped.items())), "window_tokens": window_tokens,
    }  # fmt: skip
    return AskedQuestions(kept, held_out, facts, request.max_answer_tokens)


def _windows(questions: Sequence[Question], request: TrainAnswer, tokenizer: Tokenizer, window_tokens: int,
             dropped: Counter[str], training: bool) -> tuple[Asked, ...]:  # fmt: skip
    found: list[Asked] = []
    for question in questions:
        if not question.answers and not question.is_impossible:
            dropped["no answer given"] += 1
            continue
        if training and question.answers and all(start is None for start in question.answer_starts):
            dropped["no answer that stands in the passage"] += 1
            continue
        try:
            windows = span_windows(tokenizer, question.question, question.context, window_tokens, request.doc_stride)
        except TooLong:
            dropped["a question too long for a window"] += 1
            continue
        found.append(Asked(question, windows))
    return tuple(found)
