"""The desk where benchmarks are run: one after another, in a thread of the page's server, whoever's browser is open."""

import secrets
import threading
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from workbench.errors import Busy
from workbench.evals.runs.run import Run
from workbench.evals.runs.runner import Progress
from workbench.evaluating import Evaluation
from workbench.ui.parts import error_text

State = Literal["waiting", "running", "stopping", "done", "stopped", "failed"]
ENDED: tuple[State, ...] = ("done", "stopped", "failed")
MOST_WAITING = 500
_KEPT = 200
"""Ended lines that stay on the desk; the runs themselves stay in their folder."""

Work = Callable[[Evaluation], Generator[Progress, None, Run]]


@dataclass(frozen=True)
class Line:
    """One benchmark on the desk, as it stands."""

    number: int
    batch: str
    """Of the lines that were asked for together; the address a visitor comes back by."""
    evaluation: Evaluation
    state: State = "waiting"
    progress: Progress | None = None
    """The latest; None before the first."""
    run: Run | None = None
    """Once it is done."""
    error: str = ""


@dataclass
class _Ask:
    """A line and what stops it."""

    line: Line
    stop: threading.Event = field(default_factory=threading.Event)


class BenchDesk:
    """Runs what is put on it. `_lock` protects the lines, their number and whether the thread is there."""

    def __init__(self, work: Work, most_waiting: int = MOST_WAITING):
        self._work, self._most_waiting = work, most_waiting
        self._lock = threading.Lock()
        self._asks: dict[int, _Ask] = {}
        self._numbers, self._version = 0, 0
        self._serving = False

    @property
    def version(self) -> int:
        """Another one whenever anything on the desk changed."""
        with self._lock:
            return self._version

    @property
    def busy(self) -> bool:
        """Whether anything is running or waits to."""
        return any(line.state not in ENDED for line in self.lines())

    def lines(self) -> list[Line]:
        """Everything on the desk, in the order it was asked for."""
        with self._lock:
            return [ask.line for ask in self._asks.values()]

    def put(self, evaluations: Iterable[Evaluation]) -> str:
        """Lays evaluations down; they begin at once if the desk is idle. Gives the batch's name.

        Raises:
            Busy: too many wait already.
        """
        asked, batch = list(evaluations), secrets.token_hex(16)
        with self._lock:
            waiting = sum(ask.line.state == "waiting" for ask in self._asks.values())
            if waiting + len(asked) > self._most_waiting:
                raise Busy(
                    f"{waiting:,} benchmarks wait already, and there is room for {self._most_waiting:,}. "
                    "Wait until some are done, or ask for fewer."
                )
            for evaluation in asked:
                self._numbers += 1
                self._asks[self._numbers] = _Ask(Line(self._numbers, batch, evaluation))
            self._serve()
        return batch

    def stop(self, number: int) -> None:
        """Ends a line after the example at hand, or before it began; what is done of it is kept."""
        with self._lock:
            ask = self._asks.get(number)
            if ask is None or ask.line.state in ENDED:
                return
            ask.stop.set()
            self._change(ask, state="stopped" if ask.line.state == "waiting" else "stopping")

    def stop_all(self) -> None:
        """Ends every line that has not ended."""
        for line in self.lines():
            self.stop(line.number)

    def again(self, number: int) -> None:
        """Puts a line that ended early back among those that wait; its run goes on where it stopped."""
        with self._lock:
            ask = self._asks.get(number)
            if ask is None or ask.line.state not in ("stopped", "failed"):
                return
            ask.stop = threading.Event()
            self._change(ask, state="waiting", error="", progress=None)
            self._serve()

    def clear(self) -> None:
        """Takes the lines that ended off the desk; their runs stay."""
        with self._lock:
            self._asks = {number: ask for number, ask in self._asks.items() if ask.line.state not in ENDED}
            self._version += 1

    def _serve(self) -> None:
        """Begins a thread unless there is one; the caller holds `_lock`."""
        self._version += 1
        if not self._serving:
            self._serving = True
            threading.Thread(target=self._run_all, name="benchmarks", daemon=True).start()

    def _run_all(self) -> None:
        while (ask := self._next()) is not None:
            try:
                self._run(ask)
            except Exception as error:  # one benchmark's end is not the others'; error_text logs the unforeseen
                self._told(ask, state="failed", error=error_text(error))

    def _next(self) -> _Ask | None:
        """The first line that waits, now running; None ends the thread."""
        with self._lock:
            for ask in self._asks.values():
                if ask.line.state == "waiting":
                    self._change(ask, state="running")
                    return ask
            self._serving = False
            return None

    def _run(self, ask: _Ask) -> None:
        steps = self._work(ask.line.evaluation)
        try:
            while not ask.stop.is_set():
                self._told(ask, progress=next(steps))
        except StopIteration as end:
            self._told(ask, state="done", run=end.value)
            return
        finally:
            steps.close()
        self._told(ask, state="stopped")

    def _told(self, ask: _Ask, **changes: object) -> None:
        with self._lock:
            self._change(ask, **changes)

    def _change(self, ask: _Ask, **changes: object) -> None:
        """The caller holds `_lock`."""
        ask.line = replace(ask.line, **changes)  # type: ignore[arg-type]
        self._version += 1
        ended = [number for number, other in self._asks.items() if other.line.state in ENDED]
        for number in ended[:-_KEPT]:
            del self._asks[number]
