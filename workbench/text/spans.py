"""Answers that are pieces of the passage: by a trained span head, or by the language model's own likelihoods.

Both ways give their best spans and a null score: how well "no answer" does on the same scale. Both are generators that
return Spans and yield (windows done, windows in all) again and again, so that whoever drives them can show it, or stop.
"""

import heapq
import math
from collections.abc import Generator, Iterator

from torch import Tensor

from workbench.engine.branches import Tree
from workbench.engine.handle import Handle
from workbench.engine.jobs import Read, Result
from workbench.engine.serving import Serving
from workbench.errors import BadRequest, TooLong
from workbench.text.candidates import span_tree
from workbench.text.requests import ExtractSpan, Span, Spans, fill
from workbench.text.tokenizer import Tokenizer
from workbench.text.windows import SMALLEST_PIECE_TOKENS, SpanWindow, pieces, span_windows

HEARTBEAT_SECONDS = 0.25
SEAM_TOKENS = 8
"""Spare room: texts encoded together may have a few more tokens than each for itself."""
BETWEEN_EXAMPLES = "\n\n"

Progress = tuple[int, int]
"""Windows done, windows in all."""
Place = tuple[int, int]
"""Characters [start, end) of the passage."""


def extract_spans(engine: Serving, tokenizer: Tokenizer, request: ExtractSpan) -> Generator[Progress, None, Spans]:
    """The way the request asks for.

    Raises:
        BadRequest: a passage without a word, or an unknown head.
        TooLong: the question, or the examples, leave no room for the passage.
    """
    if not any(character.isalnum() for character in request.context):
        raise BadRequest("The passage holds no word, so no answer can stand in it. Give a passage of words.")
    if request.head is not None:
        return (yield from spans_by_head(engine, tokenizer, request, request.head))
    return (yield from spans_by_likelihood(engine, tokenizer, request))


def to_the_end(steps: Generator[Progress, None, Spans]) -> Spans:
    """What the steps return, once all are taken."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            spans: Spans = end.value
            return spans


def spans_by_head(
    engine: Serving, tokenizer: Tokenizer, request: ExtractSpan, head: str
) -> Generator[Progress, None, Spans]:
    """Spans by start logit plus end logit, in windows; the null score is that of each window's last token."""
    window_tokens = min(request.window_tokens, engine.served.context)
    windows = span_windows(tokenizer, request.question, request.context, window_tokens, request.doc_stride)
    kept = _Kept(request)
    for done, window in enumerate(windows):
        logits = yield from _awaited(engine.read(Read(window.tokens, head)), (done, len(windows)))
        if logits.shape[-1] != 2:
            raise BadRequest(f"The head {head!r} gives {logits.shape[-1]} numbers a token; a span head gives two.")
        kept.add(dict(head_spans(window, logits, request)), float(logits[window.null_index].sum()))
    yield len(windows), len(windows)
    return kept.answer()


def head_spans(window: SpanWindow, logits: Tensor, request: ExtractSpan) -> Iterator[tuple[Place, float]]:
    """The spans of one window with their scores: n_best likeliest starts times n_best likeliest ends.

    A start counts where its token has its fullest context, so a span comes from one window only; a span runs forwards,
    has at most max_answer_tokens, and neither starts nor ends with spaces. What is not passage is never chosen.

    Args:
        logits: (T, 2), start and end.
    """
    start_logits, end_logits = logits[window.passage_start : window.null_index].unbind(-1)
    by_start, by_end = start_logits.tolist(), end_logits.tolist()
    first_tokens = [token for token, mine in enumerate(window.is_max_context) if mine]
    starts = heapq.nlargest(request.n_best, first_tokens, key=by_start.__getitem__)
    ends = heapq.nlargest(request.n_best, range(len(by_end)), key=by_end.__getitem__)
    spans: dict[Place, float] = {}
    for start in starts:
        for end in ends:
            if start <= end < start + request.max_answer_tokens:
                place = trimmed(request.context, window.offsets[start][0], window.offsets[end][1])
                spans[place] = max(by_start[start] + by_end[end], spans.get(place, -math.inf))
    return ((place, score) for place, score in spans.items() if place[0] < place[1])


def spans_by_likelihood(
    engine: Serving, tokenizer: Tokenizer, request: ExtractSpan
) -> Generator[Progress, None, Spans]:
    """Spans by the log-probability that the model writes them, and then ends its answer, after the filled template.

    An answer is written as a space and its text, and ended by a line break or the end-of-text token.
    """
    windows = prompt_windows(tokenizer, request, engine.served.context)
    closing = tuple(dict.fromkeys((tokenizer.encode("\n")[0], tokenizer.eos_id)))
    kept = _Kept(request)
    for done, (first, last) in enumerate(windows):
        tree = span_tree(tokenizer, request.context, first, last, request.max_answer_tokens)
        null = tree.grow(tokenizer.encode(_written(request.unanswerable)))[-1]
        job = Tree(
            context=tuple(tokenizer.encode(written_prompt(request, (first, last)))),
            tokens=tuple(tree.tokens),
            parents=tuple(tree.parents),
            closing=closing,
            ends=frozenset(tree.places),
            best=request.n_best,
            always=frozenset({null}),
        )
        grown = yield from _awaited(engine.tree(job), (done, len(windows)))
        kept.add({place: grown.finished(node) for node, place in tree.places.items()}, grown.finished(null))
    yield len(windows), len(windows)
    return kept.answer()


def prompt_windows(tokenizer: Tokenizer, request: ExtractSpan, context_tokens: int) -> list[Place]:
    """The pieces of the passage, in characters, that go into the language model's prompt one after another.

    A filled template has window_tokens at most; with the examples before it and the longest answer after it, it fits
    the model's context.

    Raises:
        TooLong: no room is left for the passage.
    """
    _, offsets = tokenizer.encode_with_offsets(request.context)
    asked = len(tokenizer.encode(fill(request.template, "", request.question)))
    shown = len(tokenizer.encode(_examples(request)))
    null = len(tokenizer.encode(_written(request.unanswerable)))
    answer = max(min(request.max_answer_tokens, len(offsets) + 1), null) + SEAM_TOKENS
    room = min(request.window_tokens - asked, context_tokens - asked - shown - answer)
    if room < min(SMALLEST_PIECE_TOKENS, len(offsets)):
        raise TooLong(
            f"The question and its template have {asked:,} tokens, the examples {shown:,}, and {answer:,} are kept "
            f"free for the answer, which leaves {max(0, room):,} for the passage: a window has "
            f"{request.window_tokens:,} tokens, the model's context {context_tokens:,}. Shorten the question, drop "
            "examples, or lower max_answer_tokens."
        )
    ranges = pieces(len(offsets), room, request.doc_stride)
    return [(offsets[piece.start][0], offsets[piece.stop - 1][1]) for piece in ranges]


def written_prompt(request: ExtractSpan, window: Place) -> str:
    """What the language model reads before a space and an answer: the examples, and the template with one window."""
    first, last = window
    filled = fill(request.template, request.context[first:last], request.question)
    return (_examples(request) + filled).rstrip(" ")


def trimmed(text: str, start: int, end: int) -> Place:
    """The characters [start, end) of a text without the spaces around them; equal numbers: nothing else was there."""
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    return start, max(start, start + len(piece.strip()))


def _examples(request: ExtractSpan) -> str:
    """The worked examples as they stand before the prompt; an empty answer is the one that stands for none."""
    written = (
        fill(request.template, passage, question).rstrip(" ") + _written(answer or request.unanswerable)
        for passage, question, answer in request.shots
    )
    return "".join(example + BETWEEN_EXAMPLES for example in written)


def _written(answer: str) -> str:
    return " " + answer.strip()


def _awaited(handle: Handle[Result], so_far: Progress) -> Generator[Progress, None, Result]:
    """Waits for a result, and says so a few times a second; whoever leaves meanwhile stops the computation."""
    try:
        yield so_far
        for _ in handle.events(HEARTBEAT_SECONDS):
            yield so_far
        return handle.result()
    finally:
        handle.cancel()


class _Kept:
    """The best spans so far: nothing else of a long passage is held in memory."""

    def __init__(self, request: ExtractSpan):
        self._request = request
        self._best: dict[Place | str, tuple[float, Place]] = {}
        """By place, for a head. By text, for likelihoods: they know no place, so an answer counts once."""
        self._null = math.inf
        self._windows = 0

    def add(self, scores: dict[Place, float], null: float) -> None:
        """One more window's spans and null score."""
        self._windows += 1
        self._null = min(self._null, null)
        for place, score in scores.items():
            key = place if self._request.head is not None else self._request.context[slice(*place)]
            if score > self._best.get(key, (-math.inf, place))[0]:
                self._best[key] = score, place
        best = heapq.nsmallest(self._request.n_best, self._best.items(), key=lambda item: (-item[1][0], item[1][1]))
        self._best = dict(best)

    def answer(self) -> Spans:
        """All windows' best spans, best first, with their probabilities beside the null score's."""
        scores = [score for score, _ in self._best.values()]
        highest = max([self._null, *scores])
        total = math.fsum(math.exp(score - highest) for score in [self._null, *scores])
        spans = tuple(
            Span(self._request.context[start:end], start, end, score, math.exp(score - highest) / total)
            for score, (start, end) in self._best.values()
        )
        return Spans(spans, self._null, self._windows)
