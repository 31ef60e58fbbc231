"""One thread owns a model: jobs go in from any thread, tokens and results come out through handles."""

import threading
from collections.abc import Mapping, Sequence
from types import TracebackType

import torch
from torch import Tensor, nn

from workbench.engine.branches import Grown, Tree
from workbench.engine.crew import Crew
from workbench.engine.decoding import BeamWork, DecodeWork
from workbench.engine.faults import RESTARTED, as_shown
from workbench.engine.handle import Handle
from workbench.engine.jobs import Decode, Decoded, Job, Read, Score, Scored
from workbench.engine.limits import Limits
from workbench.engine.pace import PaceRecord
from workbench.engine.scheduler import Scheduler
from workbench.engine.scoring import ReadWork, ScoreWork
from workbench.engine.served import AnyModel, spoils_thread
from workbench.engine.sizing import cpu_threads_for, serve, workers_for
from workbench.engine.together import step_together
from workbench.engine.trees import TreeWork
from workbench.engine.watch import Abandoned, Watch
from workbench.errors import Cancelled, EngineRestarted, NotEnoughMemory
from workbench.gptj.lora import Adapter

EngineWork = DecodeWork | BeamWork | ScoreWork | ReadWork | TreeWork


class Engine:
    """Serves one model. Use it as a context manager, or call `close`.

    `_lock` protects the scheduler and what decides whose turn it is. The model is touched by the engine's threads
    alone. One of them steps all streams together and takes turns with the rest; helpers, if there are any, take turns
    only with work that may be computed apart. A step is computed by one thread, so no number depends on which.

    A job's fault is its own: the others go on. A thread that hangs in a step is given up with what it computes, and
    another takes its place.

    Args:
        model: in eval mode; nobody else may run it meanwhile.
        known_tokens: the tokenizer's size; ids from here on are never drawn. None: all columns are tokens.
        heads: modules over hidden states (T, C), by name, for Read jobs; `add_head` brings further ones.
        max_rows: streams decoding at a time, and as many jobs beside them that score or read.
        threaded: False runs jobs only inside `run_until_idle`.
        cores: CPU cores to use, in threads of a pass or in passes side by side; None leaves PyTorch's own number, and
            computes one pass at a time.
        limits: what is refused, and what is given up.
    """

    def __init__(
        self,
        model: AnyModel,
        known_tokens: int | None = None,
        heads: Mapping[str, nn.Module] | None = None,
        max_rows: int = 16,
        threaded: bool = True,
        cores: int | None = None,
        limits: Limits = Limits(),  # noqa: B008 - it never changes
    ):
        self.served = serve(model, known_tokens, heads or {})
        self._scheduler: Scheduler[EngineWork] = Scheduler(
            max_rows, limits.waiting, limits.wait_seconds, limits.run_seconds
        )
        self._lock = threading.Condition()
        self._closed = False
        self._stirred = False
        """Whether something happened that the engine's thread has not looked at."""
        self._helping = 0
        """Helpers in the middle of a step."""
        self._exclusive = False
        """Whether the engine's thread needs the model for itself."""
        self.steps = 0
        """Forward passes so far."""
        self.pace = PaceRecord()
        self._helpers = 0 if cores is None or not threaded else workers_for(model, cores) - 1
        self._watch: Watch[EngineWork] = Watch(limits.step_seconds, self._replace)
        parts = [self._serve, *[self._help] * self._helpers] if threaded else []
        self._crew = Crew(parts, None if cores is None else cpu_threads_for(model, cores), self._give_up)

    def __enter__(self) -> "Engine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def decode(self, job: Decode) -> Handle[Decoded]:
        """Submits a continuation: iterate the handle for tokens."""
        self.served.check_writes()
        handle: Handle[Decoded] = Handle(job)
        kind = BeamWork if job.beams.count > 1 else DecodeWork
        self._add(kind(self.served, job, handle))
        return handle

    def score(self, job: Score) -> Handle[list[Scored]]:
        """Submits continuations to score."""
        self.served.check_writes()
        handle: Handle[list[Scored]] = Handle(job)
        self._add(ScoreWork(self.served, job, handle))
        return handle

    def tree(self, job: Tree) -> Handle[Grown]:
        """Submits a tree of continuations to score."""
        self.served.check_writes()
        handle: Handle[Grown] = Handle(job)
        self._add(TreeWork(self.served, job, handle))
        return handle

    def read(self, job: Read) -> Handle[Tensor]:
        """Submits a text to read."""
        handle: Handle[Tensor] = Handle(job)
        self._add(ReadWork(self.served, job, handle))
        return handle

    def add_head(self, name: str, module: nn.Module, adapter: Adapter | None = None) -> None:
        """Gives Read jobs one more head, at once; see `Served.add_head`."""
        self.served.add_head(name, module, adapter)

    def drop_head(self, name: str) -> None:
        """Takes a head away from the jobs to come; its memory is free when the jobs under way with it have ended."""
        self.served.heads.pop(name, None)

    def submit(self, job: Job) -> Handle:
        """Submits any job.

        Raises:
            TooLong: it does not fit the context.
            Busy: too many jobs are waiting.
            Cancelled: the engine is closed.
        """
        if isinstance(job, Decode):
            return self.decode(job)
        if isinstance(job, Tree):
            return self.tree(job)
        return self.score(job) if isinstance(job, Score) else self.read(job)

    @property
    def closed(self) -> bool:
        """Whether it takes no more jobs: `close` was called, or a step that hangs has the model for itself."""
        return self._closed

    def close(self) -> None:
        """Ends the thread after its current step and fails what was left with Cancelled."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        self._crew.join()
        self._watch.close()
        for work in self._scheduler.jobs:
            if not work.done:
                work.handle.fail(Cancelled("The model was unloaded before the request was done."))
        self.served.prefixes.clear()

    @torch.inference_mode()
    def run_until_idle(self) -> None:
        """Computes all jobs in the caller's thread; only for an engine that is not threaded."""
        while self._turn():
            pass

    def _add(self, work: EngineWork) -> None:
        with self._lock:
            if self._closed:
                raise Cancelled("The model was unloaded. Choose a loaded model.")
            self._scheduler.add(work)
            self._stir()

    def _stir(self) -> None:
        """Wakes who waits; call it under the lock."""
        self._stirred = True
        self._lock.notify_all()

    def _serve(self) -> bool:
        """What the engine's own thread does; False: the engine closes."""
        with self._lock:
            self._lock.wait_for(lambda: self._closed or self._stirred)
            if self._closed:
                return False
            self._stirred = False
        if self._turn():
            with self._lock:
                self._stir()
        return True

    def _help(self) -> bool:
        """One step for the engine, once there is any; False: the engine closes."""
        work = self._wait_apart()
        if work is None:
            return False
        self._solo_step(work)
        with self._lock:
            self._helping -= 1
            self._stir()
        return True

    def _wait_apart(self) -> EngineWork | None:
        """The next work for a helper, once there is any; None when the engine closes."""
        with self._lock:
            while not self._closed:
                work = None if self._exclusive else self._scheduler.next_solo((True,))
                if work is not None:
                    self._scheduler.begin(work)
                    self._helping += 1
                    return work
                self._lock.wait()
            return None

    def _turn(self) -> bool:
        """At most one solo step and one row step; gives whether anything was done."""
        with self._lock:
            for late, error in self._scheduler.overdue():
                self._fail(late, error)
            cancelled = self._scheduler.sweep()
            for work in cancelled:
                work.handle.drop()
            # Where somebody helps, streams do not wait for what a helper can do.
            left = (True, False) if not self._helpers or not self._scheduler.row_works() else (False,)
            solo = self._scheduler.next_solo(left)
            if solo is not None:
                self._scheduler.begin(solo)
                if solo.exclusive:
                    self._exclusive = True
                    self._lock.wait_for(lambda: not self._helping)
            self._lock.notify_all()
        if solo is not None:
            self._solo_step(solo)
        with self._lock:
            self._exclusive = False
            together = self._scheduler.row_works()
        if together:
            self._row_step(together)
        return bool(cancelled or solo is not None or together)

    def _solo_step(self, work: EngineWork) -> None:
        try:
            with self._watch.over([work]):
                work.solo_step()
        except Abandoned:
            raise
        except BaseException as error:  # whatever it was, it must reach the asker, and the engine must go on
            self._fail(work, error)
        with self._lock:
            self.steps += 1
            self._scheduler.end(work)

    def _row_step(self, together: list[EngineWork]) -> None:
        self.steps += 1
        works = [work for work in together if isinstance(work, (DecodeWork, BeamWork))]
        try:
            with self._watch.over(works):
                step_together(works, self.served, self.pace, self._fail)
        except Abandoned:
            raise
        except BaseException as error:
            for work in works:
                if not work.handle.done:
                    self._fail(work, error)

    def _fail(self, work: EngineWork, error: BaseException) -> None:
        shown = as_shown(error)
        if isinstance(shown, NotEnoughMemory):
            self.served.prefixes.clear()  # what is kept only for speed makes room for the next request
        if spoils_thread(error):
            self._crew.spoil()
        with self._lock:
            self._scheduler.remove(work)
        if not work.handle.done:
            work.handle.fail(shown)
        if not isinstance(error, Exception) and not self._crew.threads:
            raise error  # it is for the caller, in whose thread this runs

    def _give_up(self, error: BaseException) -> None:
        """Goes on without what is being computed, or where nothing is, without what waits."""
        with self._lock:
            works = self._scheduler.give_up()
            self._exclusive = False
            self._stir()
        for work in works:
            self._fail(work, error)

    def _replace(self, thread: threading.Thread, works: Sequence[EngineWork]) -> None:
        """Goes on with another thread in place of one that hangs, and without what it computes; what waits is kept."""
        with self._lock:
            for work in works:
                self._scheduler.end(work)
                self._scheduler.remove(work)  # before the next thread could take it up again
            if any(work.exclusive for work in works):  # what is attached to the trunk stays attached: nothing may go on
                self._closed = True
                works = [*works, *self._scheduler.jobs]
            self._helping -= self._crew.replace(thread) > 0
            self._exclusive = False
            self._stir()
        self.served.prefixes.clear()
        for work in works:
            self._fail(work, EngineRestarted(RESTARTED.format(why="was restarted, because a step did not end,")))
