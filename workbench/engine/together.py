"""One step of all streams together; where it fails, each takes it alone, so that a fault is its own stream's only."""

import time
from collections.abc import Callable, Sequence

from torch import Tensor

from workbench.engine.decoding import BeamWork, DecodeWork, totals
from workbench.engine.pace import PaceRecord, Step, read_bytes
from workbench.engine.served import Following, Served, is_out_of_memory

RowWork = DecodeWork | BeamWork
Fail = Callable[[RowWork, BaseException], None]
FAULTS = (Exception, SystemExit)
"""What one stream may be to blame for; a key that stops the caller is none."""


def step_together(works: Sequence[RowWork], served: Served, pace: PaceRecord, fail: Fail) -> None:
    """The next token of each stream, and the guesses that come true.

    Args:
        fail: is told of each stream that failed, and with what.
    """
    brought = _brought(works, served, fail)
    if not brought:
        return
    streams = [work for work, _ in brought if isinstance(work, DecodeWork)]
    began, (written, came_true) = time.perf_counter(), totals(streams)
    rows = [mine for _, mine in brought]
    counts = [sum(len(tokens) for tokens, _ in mine) for mine in rows]
    logits = _logits(rows, served)
    if logits is None:
        _each_alone(brought, served, fail)
        return
    held = read_bytes(mine[0][1] for mine in rows)
    for (work, _), part in zip(brought, logits.split(counts), strict=True):
        _advance(work, part, fail)
    if len(streams) == len(brought):  # of a beam search's rows only one text comes
        seconds, (tokens, guesses) = time.perf_counter() - began, totals(streams)
        pace.note(Step(seconds, len(rows), sum(counts), tokens - written, held, guesses - came_true))


def _brought(works: Sequence[RowWork], served: Served, fail: Fail) -> list[tuple[RowWork, list[Following]]]:
    """What each brings to the next step; rows that cost next to nothing are offered around for guesses."""
    spare = served.spare_rows(sum(work.row_count for work in works))
    brought = []
    for left, work in zip(range(len(works), 0, -1), works, strict=True):
        try:
            mine = work.rows(-(-spare // left))
        except FAULTS as error:
            fail(work, error)
            continue
        spare -= sum(len(tokens) - 1 for tokens, _ in mine)
        brought.append((work, mine))
    return brought


def _logits(rows: Sequence[Sequence[Following]], served: Served) -> Tensor | None:
    """Of all rows; None if that failed and there are several, and then the caches are as they were.

    Without the error, whose frames would keep the step's tensors alive when memory is short.
    """
    lengths = [[cache.length for _, cache in mine] for mine in rows]
    try:
        return served.decode([row for mine in rows for row in mine])
    except FAULTS as error:
        if len(rows) == 1:
            raise
        for mine, before in zip(rows, lengths, strict=True):
            for (_, cache), length in zip(mine, before, strict=True):
                cache.trim(length)
        if is_out_of_memory(error):
            served.prefixes.clear()  # what is kept only for speed makes room
    return None


def _each_alone(brought: Sequence[tuple[RowWork, list[Following]]], served: Served, fail: Fail) -> None:
    """The bits are the same: no row's depend on who else is in the step."""
    for work, mine in brought:
        try:
            logits = served.decode(mine)
        except FAULTS as error:
            fail(work, error)
        else:
            _advance(work, logits, fail)


def _advance(work: RowWork, logits: Tensor, fail: Fail) -> None:
    try:
        work.advance(logits)
    except BaseException as error:  # whatever it was, it is this stream's alone
        fail(work, error)
