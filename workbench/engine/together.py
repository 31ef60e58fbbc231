"""One step of all streams together; where it fails, each takes it alone, so that a fault is its own stream's only."""

import time
from collections.abc import Callable, Sequence

from torch import Tensor

from workbench.engine.decoding import BeamWork, DecodeWork, taking_part, totals
from workbench.engine.pace import PaceRecord, Step, read_bytes
from workbench.engine.served import Following, Served, is_out_of_memory

RowWork = DecodeWork | BeamWork
Fail = Callable[[RowWork, BaseException], None]


def step_together(works: Sequence[RowWork], served: Served, pace: PaceRecord, fail: Fail) -> None:
    """The next token of each stream, and the guesses that come true.

    Args:
        fail: is told of each stream that failed, and with what.
    """
    streams = [work for work in works if isinstance(work, DecodeWork)]
    began, (written, came_true) = time.perf_counter(), totals(streams)
    rows = taking_part(works, served)
    counts = [sum(len(tokens) for tokens, _ in mine) for mine in rows]
    logits = _logits(rows, served)
    if logits is None:
        _each_alone(works, rows, served, fail)
        return
    held = read_bytes(mine[0][1] for mine in rows)
    for work, part in zip(works, logits.split(counts), strict=True):
        _advance(work, part, fail)
    if len(streams) == len(works):  # of a beam search's rows only one text comes
        seconds, (tokens, guesses) = time.perf_counter() - began, totals(streams)
        pace.note(Step(seconds, len(rows), sum(counts), tokens - written, held, guesses - came_true))


def _logits(rows: Sequence[Sequence[Following]], served: Served) -> Tensor | None:
    """Of all rows; None if that failed and there are several, and then the caches are as they were.

    Without the error, whose frames would keep the step's tensors alive when memory is short.
    """
    lengths = [[cache.length for _, cache in mine] for mine in rows]
    try:
        return served.decode([row for mine in rows for row in mine])
    except Exception as error:
        if len(rows) == 1:
            raise
        for mine, before in zip(rows, lengths, strict=True):
            for (_, cache), length in zip(mine, before, strict=True):
                cache.trim(length)
        if is_out_of_memory(error):
            served.prefixes.clear()  # what is kept only for speed makes room
    return None


def _each_alone(works: Sequence[RowWork], rows: Sequence[Sequence[Following]], served: Served, fail: Fail) -> None:
    """The bits are the same: no row's depend on who else is in the step."""
    for work, mine in zip(works, rows, strict=True):
        try:
            logits = served.decode(mine)
        except Exception as error:
            fail(work, error)
        else:
            _advance(work, logits, fail)


def _advance(work: RowWork, logits: Tensor, fail: Fail) -> None:
    try:
        work.advance(logits)
    except BaseException as error:  # whatever it was, it is this stream's alone
        fail(work, error)
