"""Loads each model once and keeps it for everybody: plan, load, lease, unload, within a memory budget."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from workbench.engine.limits import Limits
from workbench.engine.pace import PaceRecord
from workbench.errors import BadRequest, Busy, NotEnoughMemory
from workbench.loading.config_file import read_config
from workbench.loading.devices import automatic_limits, cpu_threads, free_bytes, may_offload
from workbench.loading.heads import HeadCard
from workbench.loading.identity import ModelIdentity
from workbench.loading.load import LoadProgress, check_checkpoint
from workbench.loading.loaded import LoadedModel
from workbench.loading.memory import MemoryPlan, plan_memory
from workbench.loading.offer import Offer
from workbench.loading.shelf import Shelf
from workbench.loading.spec import DEMO, DEMO_FOLDER, SHIPPED, Found, ModelSpec, under_one_name
from workbench.opening import Open, Room, end, loaded_here, memory_told, served_elsewhere
from workbench.published import CLASSES
from workbench.remote.address import is_remote
from workbench.remote.connect import asked_name, remote_plan
from workbench.residents import Residents
from workbench.settings import RemoteSettings, read_remote
from workbench.text.language_model import LanguageModel
from workbench.text.tokenizer import Tokenizer

__all__ = ["DEMO", "DEMO_FOLDER", "SHIPPED", "LoadedModel", "ModelManager", "ModelSpec"]

_WITHOUT_PLAN = "Unload a model, or end what else takes this machine's memory, and load it again."
"""Advice where the memory ran out before it was known what the model needs."""


class ModelManager:
    """Owns the loaded models.

    `_residents` has a lock of its own; `_loading` lets one load happen at a time, so that two loads never plan with the
    same free memory, and `_connecting` one connection to a server. A running request never waits for any of them.

    Args:
        budget_bytes: what all models' weights may take together; None: what the machine or container has free.
        offload_folder: for parts placed on disk.
        max_streams: streams decoding at a time, for each model; fewer where the memory holds no more caches.
        heads_folder: where trained heads are kept, beside those in a checkpoint's own folder.
        limits: of each model's engine.
        drain_seconds: how long a load that needs the room of models in use waits for their requests to end; new ones
            wait meanwhile.
        remote: how servers elsewhere are asked; None: as the environment says.
        offer: which models may be asked for.
    """

    def __init__(
        self,
        budget_bytes: int | None = None,
        offload_folder: Path | None = None,
        max_streams: int = 16,
        heads_folder: Path | None = None,
        limits: Limits = Limits(),  # noqa: B008 - it never changes
        drain_seconds: float = 0.0,
        remote: RemoteSettings | None = None,
        offer: Offer = Offer(),  # noqa: B008 - it never changes
    ):
        self._remote = read_remote() if remote is None else remote
        self._budget_bytes, self._offload_folder, self._max_streams = budget_bytes, offload_folder, max_streams
        self._shelf, self._limits, self._drain_seconds = Shelf(heads_folder, offer.is_open), limits, drain_seconds
        self._offer = offer
        self._loading, self._connecting = threading.Lock(), threading.Lock()
        self._residents: Residents[LanguageModel] = Residents(lambda model: model.engine.closed)
        self._cpu_threads = cpu_threads()

    def known(self) -> list[str]:
        """Names without a path: models that come with the workbench, and those of servers that the settings name."""
        shipped = [name for name, folder in SHIPPED.items() if (folder / "config.json").exists()]
        return shipped + [name for name in self._remote.models if is_remote(name)]

    def loaded(self) -> list[LoadedModel]:
        """The models in memory, in the order they were loaded."""
        return [resident.with_leases for resident in self._residents.all()]

    def paces(self) -> dict[ModelSpec, PaceRecord]:
        """How fast each loaded model has been writing, by the spec it was first asked for."""
        return {resident.shown.spec: resident.language_model.engine.pace for resident in self._residents.all()}

    def is_loading(self) -> bool:
        """Whether a model is being loaded now."""
        return self._loading.locked()

    def is_loaded(self, spec: ModelSpec) -> bool:
        """Whether a lease of this model starts without loading, under whichever name it was loaded."""
        return self._resident(spec) is not None

    def plan(self, spec: ModelSpec, streams: int = 1, context: int | None = None) -> MemoryPlan:
        """What the model would need beside what is free now; its weights may still be on the Hub.

        Raises:
            CannotLoad: no such checkpoint, or a broken config.json. BadRequest: no such precision, or a long context.
        """
        if is_remote(spec.checkpoint):
            resident = self._resident(spec)
            return remote_plan(0 if resident is None else resident.language_model.context_tokens)
        return self._plan(self._offer.locate(spec, weights=False), streams, context)

    def load(self, spec: ModelSpec, progress: Callable[[LoadProgress], None] | None = None) -> LoadedModel:
        """Loads a model unless it is in memory; idle models leave, least recently used first, if room is short.

        A load that fails leaves what was loaded before as it was.

        Raises:
            CannotLoad: broken, missing, or too large with all idle models gone. BadRequest: settings it can't serve.
        """
        return self._loaded(spec, progress).with_leases

    @contextmanager
    def lease(self, spec: ModelSpec) -> Iterator[LanguageModel]:
        """The model, loaded if need be; while leased it can't be unloaded."""
        with self._leased(spec) as resident:
            yield resident.language_model

    def heads(self, spec: ModelSpec) -> list[HeadCard]:
        """The trained heads that fit a model, its own first; no weights are loaded or downloaded for it."""
        if is_remote(spec.checkpoint):
            return []
        resident = self._resident(spec)
        return self._shelf.cards((resident and resident.found) or self._offer.locate(spec, weights=False))

    def use_head(self, spec: ModelSpec, name_or_folder: str, kind: str | None = None) -> HeadCard:
        """Puts a head beside a model's others, once; the card's `key` goes into requests.

        The head leaves with the model: call it inside the lease in which it is asked.

        Raises:
            BadRequest: there is no such head (of the `kind`), or it was trained on another trunk. CannotLoad: damaged.
        """
        with self._leased(spec, joining=True) as resident:
            model, found = resident.language_model, resident.found
            if found is None:
                raise BadRequest(
                    f"The head {name_or_folder[:200]!r} reads the model's hidden states, which no server tells. Ask "
                    "the language model itself, or load the model here."
                )
            card = self._shelf.choose(found, name_or_folder, kind)
            if card.key in model.heads:
                return card
            head = self._shelf.load(found, card)
            model.add_head(head)
            return head.card

    def identity(self, spec: ModelSpec, head: str | None = None) -> ModelIdentity:
        """What names a model, and a head of it, in the record of a run; loads it if need be; see `use_head`."""
        with self._leased(spec, joining=True) as resident:
            card = None if head is None else self.use_head(spec, head)
            return resident.identity(card)

    def unload(self, spec: ModelSpec) -> None:
        """Frees a model's memory; nothing happens if it is not loaded.

        Raises:
            Busy: requests are using it.
        """
        resident = self._resident(spec)
        if resident is None:
            return
        if not self._residents.remove(resident):
            raise Busy(f"{spec.checkpoint} is in use by {resident.leases} requests. Stop them, or wait.")
        end(resident)

    def close(self) -> None:
        """Ends every model's engine; requests under way end with Cancelled."""
        for resident in self._residents.clear():
            end(resident)

    @contextmanager
    def _leased(self, spec: ModelSpec, joining: bool = False) -> Iterator[Open]:
        with self._residents.held(lambda: self._loaded(spec, None), joining) as resident:
            yield resident

    def _loaded(self, spec: ModelSpec, progress: Callable[[LoadProgress], None] | None) -> Open:
        resident = self._resident(spec)
        if resident is not None:
            return resident
        with memory_told(spec.checkpoint, _WITHOUT_PLAN):
            if is_remote(spec.checkpoint):
                return self._connected(spec)
            found = self._offer.locate(spec)  # a download holds up nobody else's load
            with self._loading:
                return self._residents.find(found.key, found.key) or self._exchange(found, progress)

    def _connected(self, spec: ModelSpec) -> Open:
        with self._connecting:
            if (resident := self._resident(spec)) is not None:
                return resident
            made = served_elsewhere(spec, self._remote)
            known = self._residents.find(made.key, made.key)
            if known is None:
                made.language_model.limits = self._offer.requests
                self._residents.add(made)
        if known is not None:  # it was connected under its whole name
            end(made)
        return known or made

    def _resident(self, spec: ModelSpec) -> Open | None:
        if is_remote(spec.checkpoint):
            return self._residents.find(spec, replace(spec, checkpoint=str(asked_name(spec, self._remote))))
        return self._residents.find(spec, under_one_name(spec))

    def _plan(self, found: Found, streams: int = 1, context: int | None = None) -> MemoryPlan:
        free, left = free_bytes(found.spec.device_map), self._budget_left()
        available = free if left is None else min(free, left)
        config, precision = read_config(found.folder), found.spec.precision or found.own_precision
        return plan_memory(config, precision, streams, context, available, CLASSES[found.own_head])

    def _budget_left(self) -> int | None:
        return None if self._budget_bytes is None else max(0, self._budget_bytes - self._residents.held_bytes())

    def _exchange(self, found: Found, progress: Callable[[LoadProgress], None] | None) -> Open:
        """Loads a model in place of idle ones, which come back if it fails."""
        # All that can be known without the values is checked while the old models still serve.
        check_checkpoint(CLASSES[found.own_head], found.folder, found.spec.precision)
        tokenizer = Tokenizer.from_folder(found.folder)
        evicted = self._make_room(found)
        try:
            return self._load(found, tokenizer, progress)
        except BaseException:
            for earlier in evicted:
                try:
                    self._load(earlier, Tokenizer.from_folder(earlier.folder), None)
                except Exception as error:
                    # The first error is the one to tell; the others still come back.
                    logging.getLogger(__name__).warning("%s did not come back: %s", earlier.spec.checkpoint, error)
            raise

    def _make_room(self, found: Found) -> list[Found]:
        """Unloads models until the new one fits, or none if it could not fit anyway; gives who left.

        Raises:
            NotEnoughMemory: it would not fit with all of them gone, or those in use did not become idle in time.
        """
        if may_offload(found.spec.device_map):
            return []  # what finds no room goes to disk; the loader checks that it may
        plan = self._plan(found)
        missing = plan.total_bytes - plan.available_bytes
        if missing <= 0:
            return []
        leaving = self._residents.put_out(missing, self._drain_seconds)
        if leaving is None:
            raise NotEnoughMemory(plan.advice)
        for resident in leaving:
            end(resident)
        return [resident.found for resident in leaving if resident.found]

    def _load(self, found: Found, tokenizer: Tokenizer, progress: Callable[[LoadProgress], None] | None) -> Open:
        """Loads and admits a model."""
        plan, limits, left = self._plan(found), found.spec.max_memory, self._budget_left()
        if found.spec.device_map == "auto" and limits is None and left is not None:
            limits = automatic_limits(left)
        room = Room(plan, limits, self._offload_folder, self._max_streams, self._cpu_threads, self._limits)
        with memory_told(found.folder.name, plan.advice):
            resident = loaded_here(found, tokenizer, self._shelf, room, progress)
        resident.language_model.limits = self._offer.requests
        self._residents.add(resident)
        return resident
