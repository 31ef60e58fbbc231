"""One thread owns a model: jobs go in from any thread, tokens and results come out through handles."""

import threading
import time
from collections.abc import Mapping
from types import TracebackType

import torch
from torch import Tensor, nn

from workbench.engine.branches import Grown, Tree
from workbench.engine.decoding import BeamWork, DecodeWork, taking_part, totals
from workbench.engine.handle import Handle
from workbench.engine.jobs import Decode, Decoded, Job, Read, Score, Scored
from workbench.engine.pace import PaceRecord, Step, read_bytes
from workbench.engine.scheduler import Scheduler
from workbench.engine.scoring import ReadWork, ScoreWork
from workbench.engine.served import AnyModel, ServedHead, is_out_of_memory
from workbench.engine.sizing import cpu_threads_for, serve, workers_for
from workbench.engine.trees import TreeWork
from workbench.errors import Cancelled, NotEnoughMemory
from workbench.gptj.lora import Adapter

EngineWork = DecodeWork | BeamWork | ScoreWork | ReadWork | TreeWork


class Engine:
    """Serves one model. Use it as a context manager, or call `close`.

    `_lock` protects the scheduler and what decides whose turn it is. The model is touched by the engine's threads
    alone. One of them steps all streams together and takes turns with the rest; helpers, if there are any, take turns
    only with work that may be computed apart. A step is computed by one thread, so no number depends on which.

    Args:
        model: in eval mode; nobody else may run it meanwhile.
        known_tokens: the tokenizer's size; ids from here on are never drawn. None: all columns are tokens.
        heads: modules over hidden states (T, C), by name, for Read jobs; `add_head` brings further ones.
        max_rows: streams decoding at a time, and as many jobs beside them that score or read.
        max_waiting: jobs waiting before newcomers are refused.
        threaded: False runs jobs only inside `run_until_idle`.
        cores: CPU cores to use, in threads of a pass or in passes side by side; None leaves PyTorch's own number, and
            computes one pass at a time.
    """

    def __init__(
        self,
        model: AnyModel,
        known_tokens: int | None = None,
        heads: Mapping[str, nn.Module] | None = None,
        max_rows: int = 16,
        max_waiting: int = 256,
        threaded: bool = True,
        cores: int | None = None,
    ):
        self.served = serve(model, known_tokens, heads or {})
        self._scheduler: Scheduler[EngineWork] = Scheduler(max_rows, max_waiting)
        self._lock = threading.Condition()
        self._closed = False
        self._cpu_threads = None if cores is None else cpu_threads_for(model, cores)
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
        targets = [self._serve, *[self._help] * self._helpers] if threaded else []
        self._threads = [threading.Thread(target=target, name="engine", daemon=True) for target in targets]
        for thread in self._threads:
            thread.start()

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
        """Gives Read jobs one more head, at once; the trunk stays in memory once for all of them.

        Args:
            name: what jobs call it; an earlier head of this name is replaced for the jobs to come.
            adapter: what the trunk gets added while a job of this head computes, and no other.
        """
        last = self.served.model.transformer.ln_f.weight.device
        module.to("cpu" if last.type == "meta" else last)
        if adapter is not None:
            adapter.place(self.served.model)
        self.served.heads[name] = ServedHead(module, adapter)

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

    def close(self) -> None:
        """Ends the thread after its current step and fails what was left with Cancelled."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        for thread in self._threads:
            thread.join()
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

    @torch.inference_mode()
    def _serve(self) -> None:
        """The engine's own thread."""
        if self._cpu_threads is not None:
            torch.set_num_threads(self._cpu_threads)
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._closed or self._stirred)
                if self._closed:
                    return
                self._stirred = False
            if self._turn():
                with self._lock:
                    self._stir()

    @torch.inference_mode()
    def _help(self) -> None:
        """A helper's thread."""
        if self._cpu_threads is not None:
            torch.set_num_threads(self._cpu_threads)
        while self._help_once():
            pass

    def _help_once(self) -> bool:
        """One step for the engine, once there is any; gives whether there may be another.

        In a function of its own: a helper that waits keeps nothing of the work it did last.
        """
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
            work.solo_step()
        except Exception as error:  # whatever it was, it must reach the asker, and the engine must go on
            self._fail(work, error)
        with self._lock:
            self.steps += 1
            self._scheduler.end(work)

    def _row_step(self, together: list[EngineWork]) -> None:
        self.steps += 1
        works = [work for work in together if isinstance(work, (DecodeWork, BeamWork))]
        try:
            self._step_of(works)
        except Exception as error:
            for work in works:
                if not work.handle.done:
                    self._fail(work, error)

    def _step_of(self, works: list[DecodeWork | BeamWork]) -> None:
        streams = [work for work in works if isinstance(work, DecodeWork)]
        began, (written, came_true) = time.perf_counter(), totals(streams)
        rows = taking_part(works, self.served)
        logits = self.served.decode([row for mine in rows for row in mine])
        counts = [sum(len(tokens) for tokens, _ in mine) for mine in rows]
        held = read_bytes(mine[0][1] for mine in rows)
        for work, part in zip(works, logits.split(counts), strict=True):
            try:
                work.advance(part)
            except Exception as error:
                self._fail(work, error)
        if len(streams) == len(works):  # of a beam search's rows only one text comes
            seconds, (tokens, guesses) = time.perf_counter() - began, totals(streams)
            self.pace.note(Step(seconds, len(rows), sum(counts), tokens - written, held, guesses - came_true))

    def _fail(self, work: EngineWork, error: Exception) -> None:
        shown = as_shown(error)
        if isinstance(shown, NotEnoughMemory):
            self.served.prefixes.clear()  # what is kept only for speed makes room for the next request
        with self._lock:
            self._scheduler.remove(work)
        work.handle.fail(shown)


def as_shown(error: Exception) -> Exception:
    """The error that reaches the asker: a failed allocation as NotEnoughMemory, anything else as it is."""
    if not is_out_of_memory(error):
        return error
    shown = NotEnoughMemory(
        "The memory ran out while the request was computed, and the request was dropped. Make it shorter (prompt and "
        "new tokens), or run fewer streams or beams at a time; a smaller precision leaves more room as well."
    )
    # Without its traceback, whose frames would keep the step's tensors alive when memory is short.
    shown.__cause__ = error.with_traceback(None)
    return shown
