"""Texts as tokens to be read by a head, and the way that many jobs take through the engine."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

from workbench.engine.handle import Handle
from workbench.engine.jobs import Job, Read, Result
from workbench.engine.serving import Serving
from workbench.errors import BadRequest, Busy, TooLong
from workbench.loading.head_card import HeadCard
from workbench.text.pending import Later
from workbench.text.requests import Answer, Classified, Classify
from workbench.text.tokenizer import Tokenizer

AnyJob = TypeVar("AnyJob", bound=Job)
IN_FLIGHT = 8
"""Jobs handed to the engine at a time: each holds the keys and values of its text."""
PAUSE_SECONDS = 0.05
"""Before a full engine is asked again."""
SMALLEST_SETTINGS = {"window_tokens": 8, "doc_stride": 0, "max_answer_tokens": 1}
"""Of ExtractSpan, those that a span head was trained with."""
ASKED_WITH = {"classify": "a classification", "answer": "a question about a passage"}


class Line(Generic[AnyJob, Result]):
    """Jobs on their way through the engine, IN_FLIGHT of them at a time; the first ones start at once.

    Iterate it for the results, in order. If a job fails or the caller leaves, those under way are cancelled. Once
    begun, it waits where the engine is full.

    Raises:
        Busy: the engine takes not even the first job.
    """

    def __init__(self, submit: Callable[[AnyJob], Handle[Result]], jobs: Iterable[AnyJob]):
        self._submit: Callable[[AnyJob], Handle[Result]] = submit
        self._jobs = iter(jobs)
        self._held = next(self._jobs, None)
        """The next job to be submitted."""
        self._under_way: deque[Handle[Result]] = deque()
        self._fill()

    def __iter__(self) -> Iterator[Result]:
        try:
            while self._under_way:
                yield self._under_way[0].result()
                self._under_way.popleft()
                self._refill()
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Stops the jobs under way, and starts no more."""
        self._held, self._jobs = None, iter(())
        for handle in self._under_way:
            handle.cancel()

    def _fill(self) -> None:
        """Submits jobs, as many as the engine takes; raises Busy where it takes none and none is under way."""
        try:
            while len(self._under_way) < IN_FLIGHT and self._held is not None:
                self._under_way.append(self._submit(self._held))
                self._held = next(self._jobs, None)
        except Busy:
            if not self._under_way:
                raise
        except BaseException:
            self.cancel()
            raise

    def _refill(self) -> None:
        """Submits more jobs; where the engine is full of others', waits until some of them are done."""
        while True:
            try:
                return self._fill()
            except Busy:
                time.sleep(PAUSE_SECONDS)


def classify(
    engine: Serving, tokenizer: Tokenizer, heads: Mapping[str, HeadCard], requests: Sequence[Classify]
) -> Later:
    """What the heads say of each text, by its last token: one text at a time, so nothing is padded.

    A head that was trained on the beginnings of texts reads as many tokens as it did then.

    Raises:
        BadRequest: an empty text, a head that is not there or that answers questions.
        TooLong: beyond the context, where the head's training says nothing of long texts.
    """
    jobs, unseen = [], []
    for request in requests:
        check_kind(heads, request.head, "classify")
        most = most_tokens(heads.get(request.head))
        tokens, left = text_tokens(tokenizer, request.text, engine.served.context, most)
        jobs.append(Read(tokens, request.head, last_only=True))
        unseen.append(left)
    line = Line(engine.read, jobs)

    def read() -> list[Answer]:
        results = zip(jobs, unseen, line, strict=True)
        return [Classified(tuple(logits[0].tolist()), len(job.tokens), left) for job, left, logits in results]

    return Later(read, line.cancel)


def text_tokens(
    tokenizer: Tokenizer, text: str, context_tokens: int, most: int | None = None
) -> tuple[tuple[int, ...], int]:
    """A text's own tokens as a head reads them, nothing around them, and how many of its end are left out.

    Args:
        most: a longer text loses its end; None: it keeps all its tokens.

    Raises:
        BadRequest: the text is empty. TooLong: all its tokens are wanted, and exceed the context.
    """
    tokens = tuple(tokenizer.encode(text))
    if not tokens:
        raise BadRequest("The text is empty: there is nothing to classify.")
    if most is not None:
        kept = tokens[: min(most, context_tokens)]
        return kept, len(tokens) - len(kept)
    if len(tokens) > context_tokens:
        raise TooLong(
            f"The text has {len(tokens):,} tokens; the model's context is {context_tokens:,}. "
            f"Shorten it by {len(tokens) - context_tokens:,} tokens."
        )
    return tokens, 0


def most_tokens(card: HeadCard | None) -> int | None:
    """How many tokens of a text a classification head was trained to read; None: its card does not say."""
    return None if card is None else _whole(card.data.get("max_tokens"), 1)


def trained_windows(card: HeadCard) -> dict[str, int]:
    """How a span head was trained to read a passage, by the names of ExtractSpan's fields; what is not known is absent.

    The data's figures go before the settings: a window is cut to the model's context.
    """
    told = {**card.settings, **card.data}
    found = {name: _whole(told.get(name), least) for name, least in SMALLEST_SETTINGS.items()}
    return {name: value for name, value in found.items() if value is not None}


def _whole(value: object, least: int) -> int | None:
    """The value where it is a whole number of a size that makes sense: a card may hold anything."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= least else None


def check_kind(heads: Mapping[str, HeadCard], key: str, kind: str) -> None:
    """Raises BadRequest if a head is known to be of another kind."""
    card = heads.get(key)
    if card is not None and card.kind != kind:
        raise BadRequest(
            f"The head {card.name!r} is for {ASKED_WITH[card.kind]}, not for {ASKED_WITH[kind]}. Choose another head."
        )
