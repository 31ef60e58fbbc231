"""What the token lens shows of a score: a label's, an answer's or a choice's tokens, asked of the model once more.

Runs and predictions keep sums; here the same requests are asked again with each token's rank and its alternatives.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from workbench.errors import BadRequest
from workbench.evals.methods.labels import LabelLikelihood, TextExample, gold_of
from workbench.text.language_model import LanguageModel
from workbench.text.requests import ExtractSpan, LogLikelihood, Scored, Span
from workbench.text.spans import prompt_windows, written_prompt
from workbench.ui.lens.lens import ScoredText

ALTERNATIVES = 5
"""Beside each token."""
MOST_TEXTS = 30
"""That are looked at together."""
TOGETHER = 8
"""Texts a step: whoever waits for them can leave between two steps."""
RIGHT = "right answer"


class Scorer(Protocol):
    """What scores texts: a LanguageModel, or whatever stands in for one."""

    def loglikelihoods(self, requests: Sequence[LogLikelihood], alternatives: int = 0) -> Sequence[Scored]:
        """An answer for each request, in their order."""
        ...


@dataclass(frozen=True)
class ScoreAsk:
    """A text whose tokens are looked at."""

    name: str
    requests: tuple[LogLikelihood, ...]
    """Nearly always one; of several, such as an answer's in each window that holds it, the likeliest counts."""
    note: str = ""
    kept: float | None = None
    """The log-likelihood that was found before, where it is known."""


def scored_texts(model: Scorer, asks: Sequence[ScoreAsk]) -> Generator[list[ScoredText], None, None]:
    """The texts as they are scored: a longer list with each step. Closing this stops between two steps."""
    found: list[ScoredText] = []
    for start in range(0, len(asks), TOGETHER):
        part = asks[start : start + TOGETHER]
        answers = iter(model.loglikelihoods([one for ask in part for one in ask.requests], ALTERNATIVES))
        found += [_likeliest(ask, [next(answers) for _ in ask.requests]) for ask in part]
        yield list(found)


def label_asks(
    method: LabelLikelihood, example: TextExample, gold: str | None = None, labels: Sequence[str] = ()
) -> list[ScoreAsk]:
    """The labels after the text, as the method asks for them.

    Args:
        gold: the right label; None: the example's own, if it has one.
        labels: those to look at, such as the likeliest ones; empty: the method's first ones.
    """
    right = gold_of(example) if gold is None else gold
    requests = dict(zip(method.labels, method.requests(example), strict=False))
    looked_at = [label for label in labels or method.labels if label in requests][:MOST_TEXTS]
    return [ScoreAsk(label, (requests[label],), RIGHT if label == right else "") for label in looked_at]


def span_asks(model: LanguageModel, request: ExtractSpan, spans: Sequence[Span]) -> list[ScoreAsk]:
    """Answers after the passage and the question, each with the line break that ends it.

    Raises:
        BadRequest: a trained head answered. TooLong: no room is left for the passage.
    """
    if request.head is not None:
        raise BadRequest(no_tokens("Its scores are start and end logits."))
    windows = prompt_windows(model.tokenizer, request, model.context_tokens)
    asks = []
    for span in spans[:MOST_TEXTS]:
        holding = [window for window in windows if window[0] <= span.start and span.end <= window[1]]
        prompts = [written_prompt(request, window) for window in holding]
        asks.append(ScoreAsk(span.text, tuple(LogLikelihood(prompt, ended(span.text)) for prompt in prompts)))
    return [ask for ask in asks if ask.requests]


def ended(answer: str) -> str:
    """An answer as a language model writes it, with the line break that ends it."""
    return f" {answer.strip()}\n"


def no_tokens(why: str) -> str:
    """Says that there is nothing for the lens to show of a trained head's answer."""
    return f"A trained head reads the text as a whole, so no token has a probability of its own. {why}"


def _likeliest(ask: ScoreAsk, scored: Sequence[Scored]) -> ScoredText:
    best = max(range(len(scored)), key=lambda place: scored[place].loglikelihood)
    found = scored[best]
    notes = [ask.note] if ask.note else []
    if ask.kept is not None and abs(ask.kept - found.loglikelihood) > 0.005 * max(10.0, abs(ask.kept)):
        notes.append(f"it was {ask.kept:.2f} in the run".replace("-", "−"))
    if found.unseen_tokens:
        notes.append(f"{found.unseen_tokens:,} tokens of the prompt found no room")
    # Spaces at a prompt's end belong to the first token that is scored.
    return ScoredText(ask.name, found.tokens, ask.requests[best].context.rstrip(), " · ".join(notes))
