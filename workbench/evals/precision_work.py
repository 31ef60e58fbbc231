"""Making a report on precisions: one after another is loaded and asked the same.

One precision is in memory at a time, so that even those that would not fit together can be compared. The first is the
reference; its distributions wait in a file for the others.
"""

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, TypeVar

from workbench.engine.jobs import Sampling
from workbench.errors import BadRequest, Cancelled, WorkbenchError
from workbench.evals.asking import Request, ask
from workbench.evals.precision import Divergence, divergence, first_parting, joined
from workbench.evals.precision_report import Material, Measured, Model, Opened, Precision, Report
from workbench.evals.precision_rows import KeptRows
from workbench.text.requests import ExtractSpan, Generate, Generated, LogLikelihood, fill

Result = TypeVar("Result")

WINDOW_TOKENS = 512
"""A longer text is read in pieces of so many tokens, each without those before it."""
MOST_TOKENS = 1_000_000
"""Whose distributions are compared."""
_TOLD_EVERY_SECONDS = 0.1


def measure(precisions: Sequence[Precision], material: Material) -> Generator[Report, None, Report]:
    """Yields the report as it grows and returns it at the end; closing it stops the computation.

    A precision that can't be loaded, or that fails, has its error in its place, and the others go on.

    Args:
        precisions: the first is the reference.

    Raises:
        BadRequest: fewer than two precisions, or nothing to compare them on. WorkbenchError: the reference fails.
    """
    if len(precisions) < 2:
        raise BadRequest("A comparison needs at least two precisions. Choose another one.")
    if not any(text.strip() for text in material.texts):
        raise BadRequest("There is no text to compare the precisions on. Write one, or choose a task.")
    with closing(_Work(len(precisions), material)) as work:
        for precision in precisions:
            yield from work.steps(precision)
        return work.report()


def asked_text(request: Request) -> str:
    """What a model reads of a request, without what is scored or written after it."""
    if isinstance(request, LogLikelihood):
        return request.context or request.continuation
    if isinstance(request, Generate):
        return request.prompt if isinstance(request.prompt, str) else ""  # no task asks by token ids
    if isinstance(request, ExtractSpan):
        return fill(request.template, request.context, request.question)
    return request.text


def windows(tokens: Sequence[int], size: int, end: int) -> Iterator[tuple[int, ...]]:
    """A text in pieces of so many tokens, each with the token after it, which is only predicted.

    Args:
        end: stands after the last piece; what it is changes no distribution.
    """
    for start in range(0, len(tokens), size):
        piece = tuple(tokens[start : start + size + 1])
        yield piece if len(piece) > size else (*piece, end)


class _Work:
    """A report under way.

    Args:
        count: of the precisions.
        material: what they are compared on.
    """

    def __init__(self, count: int, material: Material):
        self._material, self._count = material, count
        self._results: list[Measured] = []
        self._now = Measured("")
        self._kept: KeptRows | None = None
        self._pieces: list[list[tuple[int, ...]]] = []
        """Of each text; see `windows`."""
        self._done = 0
        self._steps = max(1, len(material.texts) + len(material.prompts) + len(material.rows))

    def close(self) -> None:
        """Gives back what was kept."""
        if self._kept is not None:
            self._kept.close()

    def report(self, note: str = "") -> Report:
        """As it stands."""
        results = (*self._results, self._now) if self._now.name else tuple(self._results)
        done = min(1.0, self._done / (self._steps * self._count))
        kept = self._kept.bytes if self._kept is not None else 0
        return Report(self._material, results, len(self._results), done, note, kept)

    def steps(self, precision: Precision) -> Generator[Report, None, None]:
        """Everything that one precision is asked."""
        self._now = Measured(precision.name)
        yield self.report(f"Loading {precision.name}")
        try:
            with precision.open() as opened:
                self._now = replace(self._now, weights_bytes=opened.weights_bytes)
                for steps in (self._write(opened.model), self._read(opened.model), self._ask(opened)):
                    with closing(steps):
                        yield from map(self.report, steps)
        except Cancelled:
            raise
        except WorkbenchError as error:
            if not self._results:
                raise
            self._now = replace(self._now, error=str(error))
        self._results.append(self._now)
        self._now = Measured("")
        self._done = self._steps * len(self._results)
        yield self.report(f"{precision.name} is done")

    def _write(self, model: Model) -> Generator[str, None, None]:
        """Continues each prompt, and finds where the text parts from the reference's; yields what is being done."""
        for number, prompt in enumerate(self._material.prompts):
            request = Generate(
                prompt, self._material.new_tokens, sampling=Sampling(temperature=0), seed=0, lookup=False,
                truncate="beginning",
            )  # fmt: skip
            text, told = Generated(), 0.0
            with closing(model.stream(request)) as snapshots:
                for snapshot in snapshots:
                    text = snapshot
                    if time.monotonic() - told >= _TOLD_EVERY_SECONDS:
                        told = time.monotonic()
                        yield f"{self._now.name} writes text {number + 1} of {len(self._material.prompts)}"
            self._done += 1
            self._now = replace(self._now, written=(*self._now.written, text))
            if self._results:
                parting = first_parting(*(_ids(one.written[number]) for one in (self._results[0], self._now)))
                self._now = replace(self._now, partings=(*self._now.partings, parting))

    def _read(self, model: Model) -> Generator[str, None, None]:
        """Reads each text: the reference's distributions are kept, the others' compared with them."""
        if self._kept is None:
            self._cut(model)
            self._kept = KeptRows(sum(len(piece) - 1 for pieces in self._pieces for piece in pieces))
        self._kept.rewind()
        for number, pieces in enumerate(self._pieces):
            parts: list[Divergence] = []
            for piece in pieces:
                words = f"{self._now.name} reads text {number + 1} of {len(self._pieces)}"
                yield words
                parts += yield from self._compared(model, piece, self._kept, words)
            self._done += 1
            if self._results:
                self._now = replace(self._now, divergences=(*self._now.divergences, joined(parts)))

    def _compared(
        self, model: Model, piece: tuple[int, ...], kept: KeptRows, words: str
    ) -> Generator[str, None, list[Divergence]]:
        """The divergences of a piece; none of the reference's, which is kept. Yields `words` while it is computed.

        In a function of its own: no distribution is in memory any more when the next piece is computed.
        """
        began = time.monotonic()
        rows = yield from _told(words, model.logit_steps(piece))
        seconds = self._now.read_seconds + time.monotonic() - began
        self._now = replace(self._now, read_tokens=self._now.read_tokens + len(piece) - 1, read_seconds=seconds)
        if self._results:
            return [divergence(kept.read(len(part)), part) for part in rows]
        for part in rows:
            kept.write(part)
        return []

    def _cut(self, model: Model) -> None:
        """The texts in tokens; where the reference wrote on, with what it wrote."""
        size, end = min(WINDOW_TOKENS, model.context_tokens), model.tokenizer.eos_id
        for number, text in enumerate(self._material.texts):
            tokens = list(model.tokenizer.encode(text))
            if self._material.follows:
                tokens += _ids(self._now.written[number])
            self._pieces.append(list(windows(tokens, size, end)))
        count = sum(len(piece) - 1 for pieces in self._pieces for piece in pieces)
        if count > MOST_TOKENS:
            raise BadRequest(f"The texts have {count:,} tokens; at most {MOST_TOKENS:,} are compared. Take fewer.")

    def _ask(self, opened: Opened) -> Generator[str, None, None]:
        """Asks about each row, as a benchmark does."""
        rows, method = self._material.rows, opened.method
        if not rows or method is None:
            return
        examples: list[Any] = [row.example for row in rows]
        with closing(ask(opened.model, method, examples)) as predictions:
            for row, prediction in zip(rows, predictions, strict=True):
                named = replace(prediction, id=row.id, row=row.row, digest=row.digest)
                self._done += 1
                self._now = replace(self._now, predictions=(*self._now.predictions, named))
                yield f"{self._now.name} answers row {len(self._now.predictions):,} of {len(rows):,}"


def _told(words: str, steps: Generator[None, None, Result]) -> Generator[str, None, Result]:
    """Yields `words` whenever the steps yield; gives what they come to."""
    try:
        while True:
            next(steps)
            yield words
    except StopIteration as end:
        result: Result = end.value
        return result
    finally:
        steps.close()


def _ids(text: Generated) -> list[int]:
    return [token.id for token in text.tokens]
