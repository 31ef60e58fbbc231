"""The models in memory: who holds which, and who has to leave for another."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from workbench.loading.head_card import HeadCard
from workbench.loading.identity import ModelIdentity
from workbench.loading.loaded import LoadedModel
from workbench.loading.spec import Found, ModelSpec

Model = TypeVar("Model")


@dataclass(eq=False)
class Resident(Generic[Model]):
    """A loaded model with what is kept beside it."""

    shown: LoadedModel
    found: Found | None
    """None: a server elsewhere has it."""
    key: ModelSpec
    """Equal for two specs that mean the same model."""
    language_model: Model
    identity: Callable[[HeadCard | None], ModelIdentity]
    """What names it, and a head of it, in the record of a run."""
    leases: int = 0
    last_used: float = 0.0
    leaving: bool = False
    """Whether it has to leave as soon as nobody holds it; until then nobody new does."""

    @property
    def with_leases(self) -> LoadedModel:
        """As it is shown, with how many hold it now."""
        return replace(self.shown, leases=self.leases)

    @property
    def own_precision(self) -> str | None:
        """The one that it has where none is asked for."""
        return self.key.precision if self.found is None else self.found.own_precision


class Residents(Generic[Model]):
    """The loaded models and their leases; `_lock` protects both.

    Args:
        ended: whether a model serves no more, so that it must be loaded anew.
    """

    def __init__(self, ended: Callable[[Model], bool]):
        self._ended = ended
        self._lock = threading.Condition()
        self._all: list[Resident[Model]] = []

    def all(self) -> list[Resident[Model]]:
        """In the order they were loaded."""
        with self._lock:
            return list(self._all)

    def find(self, spec: ModelSpec, name: ModelSpec) -> Resident[Model] | None:
        """The loaded model that a spec, or its `under_one_name`, means."""
        with self._lock:
            self._all = [resident for resident in self._all if not self._ended(resident.language_model)]
            for resident in self._all:
                key = replace(name, precision=name.precision or resident.own_precision)
                if spec == resident.shown.spec or key == resident.key:
                    return resident
        return None

    def add(self, resident: Resident[Model]) -> None:
        """One more."""
        with self._lock:
            self._all.append(resident)

    def remove(self, resident: Resident[Model]) -> bool:
        """Takes one out unless somebody holds it; gives whether it did."""
        with self._lock:
            if resident.leases:
                return False
            self._all = [other for other in self._all if other is not resident]
            return True

    def clear(self) -> list[Resident[Model]]:
        """Takes all out, whoever holds them."""
        with self._lock:
            gone, self._all = self._all, []
            return gone

    @contextmanager
    def held(self, choose: Callable[[], Resident[Model]], joining: bool = False) -> Iterator[Resident[Model]]:
        """A model that can't leave while the context lasts.

        Args:
            choose: loads it if need be; asked again if it left in between.
            joining: whether the caller may hold it already: then one that has to leave does not keep him waiting.
        """
        while True:
            resident = choose()
            with self._lock:
                self._lock.wait_for(lambda held=resident: not held.leaving or (joining and held.leases))  # type: ignore[misc]
                if resident in self._all:
                    resident.leases += 1
                    break
        try:
            yield resident
        finally:
            with self._lock:
                resident.leases -= 1
                resident.last_used = time.monotonic()
                self._lock.notify_all()

    def put_out(self, missing_bytes: int, seconds: float) -> list[Resident[Model]] | None:
        """Takes out models until so much is free, the least recently used first, and idle ones before any in use.

        Those in use leave when whoever holds them is done; newcomers wait meanwhile. None: they were not done in time,
        or all together are too small; then nobody leaves.
        """
        with self._lock:
            chosen: list[Resident[Model]] = []
            for resident in sorted(self._all, key=lambda one: (one.leases > 0, one.last_used)):
                if missing_bytes > 0 and resident.shown.memory_bytes:
                    chosen.append(resident)
                    missing_bytes -= resident.shown.memory_bytes
            if missing_bytes > 0:
                return None
            for resident in chosen:
                resident.leaving = True
            free = self._lock.wait_for(lambda: not any(one.leases for one in chosen), seconds)
            for resident in chosen:
                resident.leaving = False
            if free:
                self._all = [resident for resident in self._all if resident not in chosen]
            self._lock.notify_all()
            return chosen if free else None

    def held_bytes(self) -> int:
        """What all take."""
        with self._lock:
            return sum(resident.shown.memory_bytes for resident in self._all)
