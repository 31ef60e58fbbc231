"""Runs a benchmark task on a model: reads, asks, records, measures; stopped or killed at any point it goes on there.

Examples are asked about longest first, so that memory runs out at once or never and the time left is told by the
slowest. What an example's numbers are depends on the example and the worked examples alone, so neither the order nor
the number of examples under way together changes the result.
"""

import hashlib
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from workbench.errors import BadRequest
from workbench.evals.asking import IN_FLIGHT, Answer, Answerer, Request, ask
from workbench.evals.data.rows import Data, Row
from workbench.evals.metrics.estimates import estimate
from workbench.evals.prediction import Prediction
from workbench.evals.runs.cost import SittingClock
from workbench.evals.runs.process import Process
from workbench.evals.runs.progress import Meter, Progress
from workbench.evals.runs.protocol import ModelIdentity, Protocol, code_record, content_digest, digest_of, model_record
from workbench.evals.runs.run import Run
from workbench.evals.runs.sharing import wait_for_first, wait_for_others
from workbench.evals.runs.shots import MOST_SHOTS, Shots, draw_shots
from workbench.evals.runs.writer import Names, RunWriter
from workbench.evals.task import BenchmarkMethod, Task
from workbench.text.requests import Classified, Generated, Scored

__all__ = ["Options", "Progress", "evaluate"]

LARGEST_SEED = 2**63 - 1
MOST_TOGETHER = 1024
ALONE = Process()


@dataclass(frozen=True)
class Options:
    """How a run is done.

    Raises:
        BadRequest: a value out of its range; the message names it.
    """

    limit: int | None = None
    """At most so many examples, from the data's beginning; None: all."""
    shots: int = 0
    """Worked examples before each."""
    seed: int = 0
    """By which they are drawn."""
    batch_size: int = IN_FLIGHT
    """Examples under way together; no result depends on it."""
    fresh: bool = False
    """Whether to compute anew what an earlier process of the same run left."""

    def __post_init__(self) -> None:
        _check_whole("limit", self.limit if self.limit is not None else 1, 1, 2**31)
        _check_whole("shots", self.shots, 0, MOST_SHOTS)
        _check_whole("seed", self.seed, 0, LARGEST_SEED)
        _check_whole("batch_size", self.batch_size, 1, MOST_TOGETHER)


@dataclass(frozen=True)
class Asked:
    """An example on its way to the model."""

    row: Row
    id: str
    digest: str
    example: Any
    method: BenchmarkMethod[Any]
    """With the worked examples that stand before this one."""


@dataclass(frozen=True)
class Work:
    """A run before anything is computed."""

    protocol: Protocol
    method: BenchmarkMethod[Any]
    """With the worked examples that nearly all examples have."""
    asked: tuple[Asked, ...]
    """In the data's order."""

    @property
    def names(self) -> Names:
        """What a prediction must be of, to be kept."""
        return {one.row.index: (one.id, one.digest) for one in self.asked}


def evaluate(
    model: Answerer,
    identity: ModelIdentity,
    task: Task[Any],
    data: Data,
    options: Options,
    folder: Path,
    process: Process = ALONE,
) -> Generator[Progress, None, Run]:
    """Asks a model about all examples of a task; gives the run, which stands in a folder of its own inside `folder`.

    Closing the generator stops the run; the same call goes on with it. A run that was done before comes back as it is.

    Raises:
        BadRequest: the data, the options or the folder can't be used; nothing was computed.
        NotSaved: the disk is full. Busy, Cancelled, CannotLoad: as `ask` says. What was computed is kept.
    """
    if options.fresh and process.count > 1:
        raise BadRequest("Several processes can't start a run anew together. Delete its folder, or use one process.")
    work = prepare(identity, task, data, options)
    home = folder / f"{task.name}-{work.protocol.short_digest}"
    with closing(RunWriter(home, work.protocol, process, options.fresh)) as writer:
        if writer.finished is not None:
            yield _done_before(writer.finished)
            return writer.finished
        clock = SittingClock(home, process.rank, identity.weights_bytes)
        try:
            yield from _computed(model, work, options, writer, clock)
        finally:
            clock.save()
        if process.is_first:
            wait_for_others(home, process, lambda: writer.kept(work.names).keys() == work.names.keys())
            return _put_together(work, writer)
    return wait_for_first(home)


def prepare(identity: ModelIdentity, task: Task[Any], data: Data, options: Options) -> Work:
    """Everything that can be wrong about a run is found here, before anything is computed.

    Raises:
        BadRequest: a row that can't be read, or worked examples that can't be had.
    """
    rows = data.rows[: options.limit]
    shots: Shots[Any] = draw_shots(data.shot_rows, options.shots, options.seed, task.read)
    method = task.method.with_shots(shots.examples[: shots.count])
    asked = tuple(_asked(task, row, shots, method) for row in rows)
    sha256 = data.origin.get("sha256") or digest_of([one.digest for one in asked])
    protocol = Protocol(
        task={
            "name": task.name,
            "version": task.version,
            "method": task.method.name,
            "settings": task.method.settings,
            "metrics": [metric.name for metric in task.method.metrics],
        },
        data={**data.origin, "sha256": sha256, "rows": len(rows)},
        shots={**shots.record, "prefix": method.prefix},
        limit=options.limit,
        model=model_record(identity),
        code=code_record(),
    )
    return Work(protocol, method, asked)


def _asked(task: Task[Any], row: Row, shots: Shots[Any], method: BenchmarkMethod[Any]) -> Asked:
    example = task.read(row)
    digest = content_digest(example)
    before = shots.before(row, digest)
    own = method if before == shots.examples[: shots.count] else task.method.with_shots(before)
    return Asked(row, row.identity(task.id_column), digest, example, own)


def _computed(
    model: Answerer, work: Work, options: Options, writer: RunWriter, clock: SittingClock
) -> Generator[Progress, None, None]:
    """Asks about what is not there yet, and records it."""
    sizes = {one.row.index: _characters(one) for one in work.asked}
    by_length = sorted(work.asked, key=lambda one: (-sizes[one.row.index], one.row.index))
    mine = writer.process.share(by_length)
    kept = writer.kept(work.names)
    left = [one for one in mine if one.row.index not in kept]
    rows = {one.row.index for one in mine}
    own_kept = {row: one for row, one in kept.items() if row in rows}
    meter = Meter(work.method.metrics, {row: sizes[row] for row in rows}, own_kept)
    yield meter.progress(_resumed(len(own_kept), len(mine), writer.broken))
    method = _ByExample()
    with closing(ask(model, method, left, options.batch_size)) as predictions:
        for one, prediction in zip(left, predictions, strict=True):
            prefix = None if one.method is work.method else one.method.prefix
            named = replace(prediction, prefix=prefix, id=one.id, row=one.row.index, digest=one.digest)
            writer.append(named)
            clock.count(method.taken_tokens())
            meter.add(named)
            if meter.is_due:
                yield meter.progress()
    yield meter.progress()


def _put_together(work: Work, writer: RunWriter) -> Run:
    """The results, from the predictions as they can be read again."""
    kept = writer.kept(work.names)
    predictions = [kept[row] for row in sorted(kept)]
    return writer.finish(predictions, results(work, predictions))


def results(work: Work, predictions: Sequence[Prediction]) -> dict[str, Any]:
    """What the predictions, in the data's order, come to: the part of run.json that is no protocol."""
    prompts = hashlib.sha256(work.method.prefix.encode("utf-8", "surrogatepass"))
    for one in predictions:
        prompts.update(b"\0" + ((one.prefix or "") + one.prompt).encode("utf-8", "surrogatepass"))
    metrics: dict[str, Any] = {}
    for metric in work.method.metrics:
        found = estimate(metric, predictions)
        metrics[metric.name] = {
            "value": None if found is None else found.value,
            "stderr": None if found is None else found.stderr,
            "n": 0 if found is None else found.n,
            "higher_is_better": metric.higher_is_better,
            "is_share": metric.is_share,
        }
    return {
        "n": len(predictions),
        "errors": sum(one.error is not None for one in predictions),
        "truncated": sum(one.unseen_tokens > 0 for one in predictions),
        "prompts_sha256": prompts.hexdigest(),
        "metrics": metrics,
    }


class _ByExample:
    """Asks about each example by the method that has its worked examples, and counts the answers' tokens."""

    def __init__(self) -> None:
        self._tokens = 0

    def taken_tokens(self) -> int:
        """Of the answers since the last call."""
        taken, self._tokens = self._tokens, 0
        return taken

    def requests(self, example: Asked) -> Sequence[Request]:
        """As the example's method says."""
        return example.method.requests(example.example)

    def judge(self, example: Asked, answers: Sequence[Answer]) -> Prediction:
        """As the example's method says."""
        self._tokens += sum(map(_tokens, answers))
        return example.method.judge(example.example, answers)

    def failed(self, example: Asked, reason: str) -> Prediction:
        """As the example's method says."""
        return example.method.failed(example.example, reason)


def _tokens(answer: Answer) -> int:
    """That the answer tells of."""
    if isinstance(answer, Generated):
        return answer.prompt_tokens + answer.completion_tokens
    if isinstance(answer, Classified):
        return answer.tokens
    return len(answer.tokens) if isinstance(answer, Scored) else 0


def _characters(one: Asked) -> int:
    """Of all texts of an example's requests; 0 for one that can't be asked about."""
    try:
        asked = one.method.requests(one.example)
    except BadRequest:
        return 0
    values = [getattr(request, field.name) for request in asked for field in fields(request)]
    return sum(len(value) for value in values if isinstance(value, str))


def _resumed(kept: int, total: int, broken: int) -> str:
    """What a person should know of a run that goes on."""
    found = f"{kept:,} of {total:,} examples were there already. " if kept else ""
    return found + (f"{broken:,} damaged lines are left out, and their examples asked again." if broken else "")


def _done_before(run: Run) -> Progress:
    total = len(run.predictions)
    note = "This run was done before; these are its results. To compute it anew, delete it (a command: --fresh)."
    return Progress(total, total, 0.0, 0.0, run.metrics, run.predictions, note)


def _check_whole(name: str, value: Any, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadRequest(f"{name} must be a whole number from {low:,} to {high:,}; got {value!r}.")
