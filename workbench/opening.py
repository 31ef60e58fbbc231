"""Opens a model: a checkpoint is loaded and gets an engine here, or a server that has the model is connected to."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from workbench.engine.engine import Engine
from workbench.engine.limits import Limits
from workbench.engine.prefix import most_kept_bytes
from workbench.engine.served import is_out_of_memory
from workbench.errors import NotEnoughMemory
from workbench.loading.devices import DISK, MaxMemory, give_back_memory
from workbench.loading.load import LoadProgress, load_model
from workbench.loading.loaded import LoadedModel
from workbench.loading.memory import MemoryPlan
from workbench.loading.names import LoadReport
from workbench.loading.parts import parts_of
from workbench.loading.precision import named
from workbench.loading.shelf import Shelf
from workbench.loading.spec import Found, ModelSpec
from workbench.published import CLASSES, trained_heads
from workbench.remote.connect import PRECISION, connect
from workbench.remote.engine import TOGETHER
from workbench.residents import Resident
from workbench.settings import RemoteSettings
from workbench.text.language_model import LanguageModel
from workbench.text.tokenizer import Tokenizer

Open = Resident[LanguageModel]


@dataclass(frozen=True)
class Room:
    """What a load may use of this machine."""

    plan: MemoryPlan
    limits: MaxMemory | None
    offload_folder: Path | None
    max_streams: int
    cores: int
    engine: Limits


@contextmanager
def memory_told(name: str, advice: str) -> Iterator[None]:
    """Tells of an allocation that fails while a model is made ready.

    Raises:
        NotEnoughMemory: in place of whatever error the allocation failed with.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        reason = str(error) or type(error).__name__  # Python's own MemoryError has no words
        raise NotEnoughMemory(f"The memory ran out while {name} was made ready ({reason}). {advice}") from error


def loaded_here(
    found: Found, tokenizer: Tokenizer, shelf: Shelf, room: Room, progress: Callable[[LoadProgress], None] | None
) -> Open:
    """Loads a checkpoint and starts its engine.

    Raises:
        CannotLoad: broken, or too large.
    """
    began = time.monotonic()
    # A thread begins with the number that the last engine set for itself; a load takes all.
    torch.set_num_threads(room.cores)
    spec, plan = found.spec, room.plan
    model, report = load_model(
        CLASSES[found.own_head],
        found.folder,
        precision=spec.precision,
        device_map=spec.device_map,
        max_memory=room.limits,
        offload_folder=room.offload_folder,
        progress=progress,
    )
    parts = parts_of(model, named(found.key.precision or ""))
    in_memory = sum(part.bytes for part in parts if DISK not in part.device)
    one = plan.kv_cache_bytes_per_stream  # beside the streams' caches there is room for the prompts that are kept
    caches = (plan.available_bytes - in_memory - most_kept_bytes(one)) // one
    streams = max(1, min(room.max_streams, caches))
    shown = LoadedModel(spec, parts, time.monotonic() - began, report, streams)
    heads, cores = trained_heads(model), room.cores
    engine = Engine(model, tokenizer.size, heads, shown.max_streams, cores=cores, limits=room.engine)
    writer = LanguageModel(engine, tokenizer, spec.checkpoint, shelf.own(found))
    return Resident(
        shown, found, found.key, writer, lambda card: shelf.identity(found, shown, card), last_used=time.monotonic()
    )


def served_elsewhere(spec: ModelSpec, settings: RemoteSettings) -> Open:
    """Connects to a server that has the model.

    Raises:
        BadRequest, CannotLoad: as `connect`.
    """
    began = time.monotonic()
    connection = connect(spec, settings)
    name = str(connection.name)
    seconds = time.monotonic() - began
    shown = LoadedModel(spec, [], seconds, LoadReport(), TOGETHER, served_by=connection.name.origin)
    writer = LanguageModel(connection.engine, connection.tokenizer, name)
    key = ModelSpec(name, precision=PRECISION)
    return Resident(shown, None, key, writer, lambda card: connection.identity, last_used=time.monotonic())


def end(resident: Open) -> None:
    """Ends its engine and gives its memory back."""
    resident.language_model.engine.close()
    del resident.language_model
    give_back_memory()
