"""One thread owns a model: jobs go in from any thread, tokens and results come out through handles."""

import threading
from collections.abc import Mapping
from types import TracebackType

import torch
from torch import Tensor, nn

from workbench.engine.branches import Grown, Tree
from workbench.engine.decoding import BeamWork, DecodeWork
from workbench.engine.jobs import Decode, Decoded, Handle, Job, Read, Score, Scored
from workbench.engine.scheduler import Scheduler
from workbench.engine.scoring import ReadWork, ScoreWork
from workbench.engine.served import AnyModel, Served, ServedHead, input_device
from workbench.engine.trees import TreeWork
from workbench.errors import Cancelled, NotEnoughMemory
from workbench.gptj.lora import Adapter

EngineWork = DecodeWork | BeamWork | ScoreWork | ReadWork | TreeWork

CHUNK_BUDGET_FLOP = 2e11
"""Work of one prefill chunk on a CPU: about a second on two cores, so Stop and other streams never wait long."""
SMALLEST_CHUNK_TOKENS, LARGEST_CHUNK_TOKENS = 16, 512
ROW_BLOCK = 8
SMALL_MODEL_PARAMETERS = 50_000_000


class Engine:
    """Serves one model. Use it as a context manager, or call `close`.

    `_lock` protects the scheduler and `_closed`; the model is touched by the engine's thread alone.

    Args:
        model: in eval mode; nobody else may run it meanwhile.
        known_tokens: the tokenizer's size; ids from here on are never drawn. None: all columns are tokens.
        heads: modules over hidden states (T, C), by name, for Read jobs; `add_head` brings further ones.
        max_rows: streams decoding at a time, and as many jobs beside them that score or read.
        max_waiting: jobs waiting before newcomers are refused.
        threaded: False runs jobs only inside `run_until_idle`.
        cpu_threads: of the engine's thread; None leaves PyTorch's own number.
    """

    def __init__(
        self,
        model: AnyModel,
        known_tokens: int | None = None,
        heads: Mapping[str, nn.Module] | None = None,
        max_rows: int = 16,
        max_waiting: int = 256,
        threaded: bool = True,
        cpu_threads: int | None = None,
    ):
        self.served = Served(
            model=model,
            chunk_tokens=chunk_tokens(model),
            row_block=row_block(model),
            known_tokens=model.config.vocab_size if known_tokens is None else known_tokens,
            heads={name: ServedHead(module) for name, module in (heads or {}).items()},
        )
        self._scheduler: Scheduler[EngineWork] = Scheduler(max_rows, max_waiting)
        self._lock = threading.Condition()
        self._closed = False
        self._cpu_threads = cpu_threads
        self.steps = 0
        """Forward passes so far."""
        self._thread = threading.Thread(target=self._serve, name="engine", daemon=True) if threaded else None
        if self._thread is not None:
            self._thread.start()

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
        if self._thread is not None:
            self._thread.join()
        for work in self._scheduler.jobs:
            if not work.done:
                work.handle.fail(Cancelled("The model was unloaded before the request was done."))

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
            self._lock.notify_all()

    @torch.inference_mode()
    def _serve(self) -> None:
        if self._cpu_threads is not None:
            torch.set_num_threads(self._cpu_threads)
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._closed or not self._scheduler.idle)
                if self._closed:
                    return
            self._turn()

    def _turn(self) -> bool:
        """At most one solo step and one row step; gives whether there is more to do."""
        with self._lock:
            for work in self._scheduler.sweep():
                work.handle.drop()
            solo = self._scheduler.next_solo()
        if solo is not None:
            self._solo_step(solo)
        with self._lock:
            together = self._scheduler.row_works()
        if together:
            self._row_step(together)
        with self._lock:
            return not self._scheduler.idle

    def _solo_step(self, work: EngineWork) -> None:
        self.steps += 1
        try:
            work.solo_step()
        except Exception as error:  # whatever it was, it must reach the asker, and the engine must go on
            self._fail(work, error)

    def _row_step(self, together: list[EngineWork]) -> None:
        self.steps += 1
        works = [work for work in together if isinstance(work, (DecodeWork, BeamWork))]
        rows = [work.rows() for work in works]
        try:
            logits = self.served.decode([row for mine in rows for row in mine])
        except Exception as error:
            for work in works:
                self._fail(work, error)
            return
        for work, part in zip(works, logits.split([len(mine) for mine in rows]), strict=True):
            try:
                work.advance(part)
            except Exception as error:
                self._fail(work, error)

    def _fail(self, work: EngineWork, error: Exception) -> None:
        with self._lock:
            self._scheduler.remove(work)
        work.handle.fail(as_shown(error))


def as_shown(error: Exception) -> Exception:
    """The error that reaches the asker: a failed allocation as NotEnoughMemory, anything else as it is."""
    # On a CPU a failed allocation is a plain RuntimeError, known by its words alone.
    told = isinstance(error, RuntimeError) and "allocate memory" in str(error)
    if not told and not isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return error
    shown = NotEnoughMemory(
        "The memory ran out while the request was computed, and the request was dropped. Make it shorter (prompt and "
        "new tokens), or run fewer streams or beams at a time; a smaller precision leaves more room as well."
    )
    # Without its traceback, whose frames would keep the step's tensors alive when memory is short.
    shown.__cause__ = error.with_traceback(None)
    return shown


def cpu_threads_for(model: AnyModel, available: int) -> int:
    """How many CPU threads serve a model best: a small one loses more to waiting for threads than they bring."""
    return available if block_parameters(model) >= SMALL_MODEL_PARAMETERS else 1


def row_block(model: AnyModel) -> int:
    """Rows of a decoding step: a fixed number for float weights, so that company changes no bit of a stream.

    Quantized weights take what there is (0): LLM.int8 looks for outliers over all rows of a step.
    """
    return ROW_BLOCK if all(weight.is_floating_point() for weight in model.parameters()) else 0


def chunk_tokens(model: AnyModel) -> int:
    """Tokens a prefill chunk: a power of two that depends on the model and device alone, never on the load."""
    if input_device(model).type != "cpu":
        return LARGEST_CHUNK_TOKENS
    fitting = int(CHUNK_BUDGET_FLOP / (2 * block_parameters(model)))
    return max(SMALLEST_CHUNK_TOKENS, min(LARGEST_CHUNK_TOKENS, 2 ** fitting.bit_length() // 2))


def block_parameters(model: AnyModel) -> int:
    """Parameters of the blocks' matrices, from the configuration: four-bit weights pack two into one element."""
    c = model.config
    return c.n_layer * (4 * c.n_embd**2 + 2 * c.n_embd * c.inner_width)
