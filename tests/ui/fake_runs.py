"""Benchmarks for tests of the page: a model that answers by a hash, and runs that were really made with it."""

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.evals.answering import StandIn
from tests.ui.fake import FakeLanguageModel, FakeManager
from workbench.evals.asking import Answer, Request
from workbench.evals.runs.protocol import ModelIdentity
from workbench.evals.runs.run import Run
from workbench.evals.runs.runner import Options
from workbench.evaluating import SAMPLES, Evaluation, run_evaluation, tasks_named
from workbench.manager import ModelSpec
from workbench.settings import Settings
from workbench.text.requests import LogLikelihood, RollingLogLikelihood, Scored, TokenText
from workbench.ui.bench import Bench


class HashModel(FakeLanguageModel, StandIn):
    """A log-likelihood between -20 and 0 that depends on the texts and on `salt`; BOOM in a prompt breaks it."""

    def __init__(self, salt: str, seconds: float = 0.0):
        super().__init__()
        self.salt, self.seconds = salt, seconds
        self.asked = 0

    def answers(self, requests: Sequence[Request]) -> Sequence[Answer]:
        """One for each, after a while."""
        time.sleep(self.seconds)
        self.asked += 1
        return [self._scored(request) for request in requests]

    def loglikelihoods(self, requests: Sequence[LogLikelihood], alternatives: int = 0) -> Sequence[Answer]:
        """The same answers, each with its one token."""
        return self.answers(requests)

    def _scored(self, request: Request) -> Scored:
        assert isinstance(request, LogLikelihood | RollingLogLikelihood)
        texts = [request.context, request.continuation] if isinstance(request, LogLikelihood) else [request.text]
        number = int.from_bytes(hashlib.sha256("|".join([self.salt, *texts]).encode()).digest()[:6], "big") / 2**48
        return Scored(-20 * number, number < 0.1, (TokenText(0, texts[-1], -20 * number),))


class BenchmarkManager(FakeManager):
    """A model for each precision; each takes `seconds` for an example."""

    def __init__(self, seconds: float = 0.0):
        super().__init__()
        self.seconds = seconds
        self.models: dict[str, HashModel] = {}

    @contextmanager
    def lease(self, spec: ModelSpec) -> Iterator[HashModel]:  # type: ignore[override]
        """The precision's model."""
        with super().lease(spec):
            model = self.models.setdefault(spec.precision or "float32", HashModel(spec.precision or "float32"))
            model.seconds = self.seconds
            yield model

    def identity(self, spec: ModelSpec, head: str | None = None) -> ModelIdentity:
        """What names it."""
        precision = spec.precision or "float32"
        return ModelIdentity(spec.checkpoint, None, precision, precision, "cpu", "f" * 64, 1000, 4000, 512)


def asked(task: str = "piqa", precision: str | None = None, shots: int = 0, limit: int | None = None) -> Evaluation:
    """A task's made-up samples on the demo."""
    (found,) = tasks_named([task])
    return Evaluation(found, ModelSpec("demo", precision=precision), Options(limit, shots), SAMPLES)


def finished(folder: Path, evaluation: Evaluation) -> Run:
    """The run, made in a folder."""
    steps = run_evaluation(BenchmarkManager(), evaluation, folder)  # type: ignore[arg-type]
    while True:
        try:
            next(steps)
        except StopIteration as end:
            run: Run = end.value
            return run


def stopped(folder: Path, evaluation: Evaluation) -> Run:
    """A run that ended before its first example was told of."""
    steps = run_evaluation(BenchmarkManager(), evaluation, folder)  # type: ignore[arg-type]
    for progress in steps:
        if progress.total:
            break
    steps.close()
    return next(run for run in bench(folder).runs.runs() if not run.is_done)


def bench(folder: Path, manager: FakeManager | None = None, host: str = "127.0.0.1") -> Bench:
    """A page's bench whose runs stand in a folder."""
    return Bench(Settings(runs_folder=folder, host=host), manager or BenchmarkManager())  # type: ignore[arg-type]
