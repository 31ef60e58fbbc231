"""G19: the server ends in time when it is asked to, what runs can be gone on with, and a hung engine is not ready."""

import json
import os
import random
import runpy
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import httpx

from tests.evals.runs.toy_benchmark import contents, finished
from tests.reliability.goal import Goal, Mutant, Outcome
from tests.reliability.running_app import App, running_app
from workbench.api.health import Probe
from workbench.evals.runs.run import Run
from workbench.evals.runs.runner import Options
from workbench.evals.runs.store import RunStore
from workbench.evaluating import Evaluation, all_tasks, asked_again, run_evaluation
from workbench.gptj.model import GPTJModel
from workbench.manager import ModelManager, ModelSpec
from workbench.ui import web
from workbench.ui.host import ending

MODEL, TASKS, EXAMPLES, SHOTS = "demo-small", ("our_questions", "our_sentiment"), 40, 4
STREAMS = 4
ENDED_SECONDS, TOLD_SECONDS = 10.0, 15.0
"""Until the process has ended, and until /readyz says that the engine hangs."""
PATIENCE_SECONDS = 20.0
HANG, GO_ON = signal.SIGUSR1, signal.SIGUSR2
MISSING = "GUARD_TAKEN_AWAY"
"""A variable of the environment: the app is a process of its own."""


def check(size: int, seed: int) -> Outcome:
    """So many servers are asked to end under load, every other one, the first among them, with an engine that hangs."""
    rng, failures, slowest, told, going_on = random.Random(seed), list[str](), 0.0, 0.0, 0
    manager = ModelManager()
    try:
        with tempfile.TemporaryDirectory() as folder:
            whole = _whole(manager, Path(folder))
            for number in range(size):
                hangs = number % 2 == 0
                with running_app(True, ("-m", __spec__.name), WORKBENCH_MODEL=MODEL) as app:
                    streams = _load(app)
                    _until_begun(app, rng)
                    if hangs:
                        told = max(told, _until_told(app, failures))
                    seconds = _ended(app, failures)
                    slowest = max(slowest, seconds)
                    failures += [] if hangs else streams.unsaid()
                    going_on += _gone_on(manager, app.home / "runs", whole, failures)
    finally:
        manager.close()
    level = (
        f"{size:,} servers ended under load: the slowest after {slowest:.1f} s, {going_on} benchmarks went on to the "
        f"same bytes; /readyz told after {told:.1f} s of an engine that hangs"
    )
    counts = {"stops": size, "slowest_seconds": round(slowest, 1), "told_seconds": round(told, 1), "resumed": going_on}
    return Outcome(level, counts, tuple(failures))


class _Streams:
    """Readers of texts that are being written, and of a benchmark."""

    def __init__(self, url: str):
        self._url, self._said = url, list[str]()
        self._threads = [threading.Thread(target=self._read, args=(number,), daemon=True) for number in range(STREAMS)]
        for thread in self._threads:
            thread.start()

    def unsaid(self) -> list[str]:
        """Streams that ended in the middle of a document, or without a word."""
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        return self._said if not any(thread.is_alive() for thread in self._threads) else ["a stream never ended"]

    def _read(self, number: int) -> None:
        body = {"model": MODEL, "prompt": f"Tale {number}", "max_tokens": 400, "stream": True}
        try:
            with httpx.Client(base_url=self._url, timeout=60, trust_env=False) as client:
                while True:
                    last = ""
                    with client.stream("POST", "/v1/completions", json=body) as answer:
                        if answer.status_code != 200:
                            return  # the door is closed, and says so
                        for line in answer.iter_lines():
                            last = line or last
                            if line.startswith("data: {"):
                                json.loads(line[6:])
                    if last != "data: [DONE]":
                        self._said.append(f"a stream ended with {last[:80]!r}")
        except httpx.ConnectError:
            return  # the server has ended
        except (httpx.HTTPError, ValueError) as error:
            self._said.append(f"a stream broke off: {error!r}"[:200])


def _load(app: App) -> _Streams:
    """Readers, and a benchmark that the page's endpoint runs."""
    asked = [",".join(TASKS), MODEL, EXAMPLES, SHOTS, 0, "", "hub", ""]
    app.client.post("/gradio_api/call/evaluate", json={"data": asked}).raise_for_status()
    return _Streams(app.url)


def _until_begun(app: App, rng: random.Random) -> None:
    """Waits for the benchmark's first examples, and a while."""
    until = time.monotonic() + PATIENCE_SECONDS * 3
    while not any(path.stat().st_size for path in (app.home / "runs").glob("*/predictions.jsonl")):
        if time.monotonic() > until:
            raise AssertionError(f"the benchmark does not begin: {app.log[-1000:]}")
        time.sleep(0.02)
    time.sleep(rng.uniform(0, 0.5))


def _until_told(app: App, failures: list[str]) -> float:
    """The seconds after which /readyz says that the engine hangs; a server that answers is no less well for it."""
    app.process.send_signal(HANG)
    began = time.monotonic()
    while app.client.get("/readyz").status_code == 200:
        if time.monotonic() - began > TOLD_SECONDS:
            failures.append(f"/readyz is content {TOLD_SECONDS:g} s after the engine hung")
            return time.monotonic() - began
        time.sleep(0.2)
    seconds = time.monotonic() - began
    failures += [] if app.client.get("/healthz").status_code == 200 else ["/healthz tells of a dead server"]
    failures += _again_ready(app)
    app.process.send_signal(HANG)
    return seconds


def _again_ready(app: App) -> list[str]:
    app.process.send_signal(GO_ON)
    until = time.monotonic() + PATIENCE_SECONDS
    while app.client.get("/readyz").status_code != 200:
        if time.monotonic() > until:
            return ["/readyz does not see that the engine goes on"]
        time.sleep(0.2)
    return []


def _ended(app: App, failures: list[str]) -> float:
    """The seconds that it takes to end."""
    try:
        status, seconds = app.stop(patience_seconds=PATIENCE_SECONDS)
    except TimeoutError as error:
        failures.append(str(error))
        app.process.kill()
        app.process.wait()
        return PATIENCE_SECONDS
    failures += [] if seconds <= ENDED_SECONDS else [f"the end took {seconds:.1f} s"]
    failures += [] if status == 0 else [f"it ended with status {status}"]
    failures += ["Traceback in the log"] if "Traceback" in app.log else []
    return seconds


def _whole(manager: ModelManager, folder: Path) -> dict[str, tuple[bytes, bytes]]:
    """The runs as they are when nobody ends them."""
    runs = [
        _run(manager, Evaluation(all_tasks()[name], ModelSpec(MODEL), Options(EXAMPLES, SHOTS, 0)), folder)
        for name in TASKS
    ]
    return {run.task: contents(run) for run in runs}


def _gone_on(manager: ModelManager, folder: Path, whole: dict[str, tuple[bytes, bytes]], failures: list[str]) -> int:
    """How many benchmarks were left in the middle, of which each must go on to what it had come to otherwise."""
    failures += [f"{name}: {why}" for name, why in RunStore(folder).damaged().items()]
    left = [run for run in RunStore(folder).runs() if not run.is_done]
    for run in left:
        begun = contents(run)[1].split(b"\n")[:-1]
        done = _run(manager, asked_again(run, folder), folder)
        failures += [] if done.folder == run.folder else [f"{run.task} was begun anew"]
        kept = set(begun) <= set(contents(done)[1].split(b"\n"))
        failures += [] if kept else [f"{run.task}: what was done is not what it was"]
        failures += [] if contents(done) == whole[run.task] else [f"{run.task} went on to other bytes"]
    return len(left)


def _run(manager: ModelManager, evaluation: Evaluation, folder: Path) -> Run:
    return finished(run_evaluation(manager, evaluation, folder))


def always_ready() -> AbstractContextManager[object]:
    """/readyz asks no model."""
    return mock.patch.object(Probe, "why_not_ready", return_value="")


def no_last_moment() -> AbstractContextManager[object]:
    """The end waits for whatever runs."""
    return mock.patch.object(ending, "_later")


def no_handler() -> AbstractContextManager[object]:
    """Nobody hears the signal."""
    return mock.patch.object(web, "wait_for_the_end", threading.Event().wait)


GUARDS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "/readyz asks no model": always_ready,
    "the end waits for whatever runs": no_last_moment,
    "nobody hears the signal": no_handler,
}


def without(guard: str) -> Callable[[], AbstractContextManager[object]]:
    """Takes a guard away in the app's process."""
    return lambda: mock.patch.dict(os.environ, {MISSING: guard})


GOAL = Goal(
    name="G19",
    promise="A server that is asked to end does so within ten seconds, what ran can go on, and a hung engine is told",
    peer="tabbyAPI answers 200 while its generator is deadlocked; none tests the end",
    unit="stops",
    short=1,
    full=5,
    check=check,
    mutants=tuple(Mutant(guard, without(guard), 1) for guard in GUARDS),
)


def main() -> None:
    """app.py, whose model can be told to hang."""
    hung, forward = threading.Event(), GPTJModel.forward

    def hanging(model: GPTJModel, *arguments: Any, **named: Any) -> Any:
        while hung.is_set():
            time.sleep(0.05)
        return forward(model, *arguments, **named)

    signal.signal(HANG, lambda *_: hung.set())
    signal.signal(GO_ON, lambda *_: hung.clear())
    with mock.patch.object(GPTJModel, "forward", hanging):
        sys.argv = ["app.py"]
        runpy.run_path("app.py", run_name="__main__")


if __name__ == "__main__":
    with GUARDS[os.environ[MISSING]]() if MISSING in os.environ else nullcontext():
        main()
