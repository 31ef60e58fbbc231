"""Loads each model once and keeps it for everybody: plan, load, lease, unload, within a memory budget."""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from workbench.engine.engine import Engine, cpu_threads_for
from workbench.errors import Busy, NotEnoughMemory
from workbench.loading.checkpoint import find_weights
from workbench.loading.config_file import read_config
from workbench.loading.load import LoadProgress, load_model
from workbench.loading.memory import MemoryPlan, available_memory_bytes, plan_memory
from workbench.loading.names import LoadReport
from workbench.loading.parts import Part, parts_of
from workbench.loading.placement import DeviceMap, MaxMemory
from workbench.loading.precision import choose
from workbench.loading.source import resolve
from workbench.published import GPTJForCausalLM
from workbench.text.language_model import LanguageModel
from workbench.text.tokenizer import Tokenizer

DEMO = "demo"
DEMO_FOLDER = Path(__file__).parent / "demo"


@dataclass(frozen=True)
class ModelSpec:
    """Which model, and how it is held. Printed into every run."""

    checkpoint: str = DEMO
    """"demo", a folder or a Hub id."""
    revision: str | None = None
    precision: str | None = None
    """None: the folder's own."""
    device_map: DeviceMap | None = field(default=None, hash=False)
    max_memory: MaxMemory | None = field(default=None, hash=False)


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory, as the page and the command line show it."""

    spec: ModelSpec
    parameters: int
    weights_bytes: int
    parts: list[Part]
    seconds: float
    """The load took."""
    leases: int
    """Requests using it now."""
    report: LoadReport


@dataclass
class _Resident:
    """A loaded model with what the manager keeps beside it."""

    shown: LoadedModel
    language_model: LanguageModel
    leases: int = 0
    last_used: float = 0.0


class ModelManager:
    """Owns the loaded models.

    `_lock` protects `_residents` and their leases; `_loading` lets one load happen at a time, so that two loads
    never plan with the same free memory. A running request never waits for either.

    Args:
        budget_bytes: what all models' weights may take together; None: what the machine or container has free.
        offload_folder: for parts placed on disk.
        max_streams: streams decoding at a time, for each model.
    """

    def __init__(self, budget_bytes: int | None = None, offload_folder: Path | None = None, max_streams: int = 16):
        self._budget_bytes, self._offload_folder, self._max_streams = budget_bytes, offload_folder, max_streams
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._residents: dict[ModelSpec, _Resident] = {}
        self._cpu_threads = torch.get_num_threads()

    def known(self) -> list[str]:
        """Checkpoints that can be named without a path: the demo."""
        return [DEMO] if (DEMO_FOLDER / "config.json").exists() else []

    def loaded(self) -> list[LoadedModel]:
        """The models in memory, in the order they were loaded."""
        with self._lock:
            return [_with_leases(resident) for resident in self._residents.values()]

    def plan(self, spec: ModelSpec, streams: int = 1, context: int | None = None) -> MemoryPlan:
        """What the model would need beside what is free now.

        Raises:
            CannotLoad: there is no such checkpoint, or its config.json is broken.
            BadRequest: an unknown precision, or a context beyond the model's.
        """
        folder = self._folder(spec)
        precision = spec.precision or own_precision(folder)
        return plan_memory(read_config(folder), precision, streams, context, self._free_bytes())

    def load(self, spec: ModelSpec, progress: Callable[[LoadProgress], None] | None = None) -> LoadedModel:
        """Loads a model unless it is in memory; idle models leave, least recently used first, if room is short.

        A load that fails leaves what was loaded before as it was.

        Raises:
            CannotLoad: broken, missing, or too large even with all idle models gone.
            BadRequest: settings that can't be served.
        """
        with self._loading:
            with self._lock:
                if spec in self._residents:
                    return _with_leases(self._residents[spec])
            evicted = self._make_room(spec)
            try:
                resident = self._load(spec, progress)
            except BaseException:
                for earlier in evicted:
                    self._admit(earlier, self._load(earlier, None))
                raise
            self._admit(spec, resident)
            return _with_leases(resident)

    @contextmanager
    def lease(self, spec: ModelSpec) -> Iterator[LanguageModel]:
        """The model, loaded if need be; while leased it can't be unloaded."""
        resident = self._take(spec)
        try:
            yield resident.language_model
        finally:
            with self._lock:
                resident.leases -= 1
                resident.last_used = time.monotonic()

    def unload(self, spec: ModelSpec) -> None:
        """Frees a model's memory; nothing happens if it is not loaded.

        Raises:
            Busy: requests are using it.
        """
        with self._lock:
            resident = self._residents.get(spec)
            if resident is None:
                return
            if resident.leases:
                raise Busy(
                    f"{spec.checkpoint} is in use by {resident.leases} requests. Stop them, or wait for their end."
                )
            del self._residents[spec]
        _free(resident)

    def close(self) -> None:
        """Ends every model's engine; requests under way end with Cancelled."""
        with self._lock:
            residents = list(self._residents.values())
            self._residents.clear()
        for resident in residents:
            _free(resident)

    def _take(self, spec: ModelSpec) -> _Resident:
        while True:
            with self._lock:
                resident = self._residents.get(spec)
                if resident is not None:
                    resident.leases += 1
                    resident.last_used = time.monotonic()
                    return resident
            self.load(spec)

    def _folder(self, spec: ModelSpec) -> Path:
        return DEMO_FOLDER if spec.checkpoint == DEMO else resolve(spec.checkpoint, spec.revision)

    def _free_bytes(self) -> int:
        free = available_memory_bytes(torch.device("cuda", 0) if torch.cuda.is_available() else None)
        if self._budget_bytes is None:
            return free
        with self._lock:
            used = sum(resident.shown.weights_bytes for resident in self._residents.values())
        return max(0, min(free, self._budget_bytes - used))

    def _make_room(self, spec: ModelSpec) -> list[ModelSpec]:
        """Unloads idle models until the new one fits, or none if it could not fit anyway; gives who left.

        Raises:
            NotEnoughMemory: it would not fit with all idle models gone.
        """
        if spec.device_map is not None:
            return []  # an explicit placement may offload; the loader checks it
        plan = self.plan(spec)
        missing = plan.total_bytes - plan.available_bytes
        if missing <= 0:
            return []
        with self._lock:
            idle = sorted((r for r in self._residents.values() if not r.leases), key=lambda r: r.last_used)
            if sum(resident.shown.weights_bytes for resident in idle) < missing:
                raise NotEnoughMemory(plan.advice)
            leaving: list[_Resident] = []
            while missing > 0:
                leaving.append(self._residents.pop(idle[len(leaving)].shown.spec))
                missing -= leaving[-1].shown.weights_bytes
        for resident in leaving:
            _free(resident)
        return [resident.shown.spec for resident in leaving]

    def _load(self, spec: ModelSpec, progress: Callable[[LoadProgress], None] | None) -> _Resident:
        began = time.monotonic()
        # A thread begins with the number that the last engine set for itself; a load takes all.
        torch.set_num_threads(self._cpu_threads)
        folder = self._folder(spec)
        tokenizer = Tokenizer.from_folder(folder)
        model, report = load_model(
            GPTJForCausalLM,
            folder,
            precision=spec.precision,
            device_map=spec.device_map,
            max_memory=spec.max_memory,
            offload_folder=self._offload_folder,
            progress=progress,
        )
        parts = parts_of(model)
        shown = LoadedModel(
            spec=spec,
            parameters=sum(part.parameters for part in parts),
            weights_bytes=sum(part.bytes for part in parts),
            parts=parts,
            seconds=time.monotonic() - began,
            leases=0,
            report=report,
        )
        engine = Engine(
            model,
            known_tokens=tokenizer.size,
            max_rows=self._max_streams,
            cpu_threads=cpu_threads_for(model, self._cpu_threads),
        )
        return _Resident(shown, LanguageModel(engine, tokenizer, spec.checkpoint), last_used=time.monotonic())

    def _admit(self, spec: ModelSpec, resident: _Resident) -> None:
        with self._lock:
            self._residents[spec] = resident


def own_precision(folder: Path) -> str:
    """The precision a checkpoint folder is loaded in when none is asked for."""
    chosen_format, weights = find_weights(folder)
    return choose(chosen_format.open(weights).tensors, None, None).precision.name


def _with_leases(resident: _Resident) -> LoadedModel:
    return replace(resident.shown, leases=resident.leases)


def _free(resident: _Resident) -> None:
    resident.language_model.engine.close()
    del resident.language_model
    gc.collect()  # accelerate's hooks and modules point at each other
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
