"""From a folder to a model on its devices, tensor by tensor, and back to a folder."""

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import nn

from workbench.errors import BadCheckpoint, BadRequest, NotEnoughMemory, NotSaved
from workbench.loading.checkpoint import Checkpoint, find_weights
from workbench.loading.config_file import CONFIG, config_values, empty_model, read_config
from workbench.loading.devices import DISK, DeviceMap, MaxMemory
from workbench.loading.names import LoadReport, Matching, match
from workbench.loading.placement import DiskParts, Placement, connect, place, stored_values
from workbench.loading.precision import BLOCK_MATRIX, Chosen, choose, read_float, saved_precision
from workbench.loading.source import resolve
from workbench.loading.write import SHARD_BYTES, TensorToSave, write_json, write_weights

Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True)
class LoadProgress:
    """How far a load is, after each tensor."""

    tensors_done: int
    tensors_total: int
    bytes_done: int
    """Of the checkpoint's files."""
    bytes_total: int
    name: str
    """The parameter just placed."""


def from_pretrained(
    cls: type[Model],
    folder_or_hub_id: str | os.PathLike[str],
    revision: str | None = None,
    dtype: torch.dtype | str | None = None,
    precision: str | None = None,
    device_map: DeviceMap | None = None,
    max_memory: MaxMemory | None = None,
    offload_folder: str | Path | None = None,
) -> Model:
    """A model in evaluation mode from a folder or a repository of the Hub; its `load_report` tells what was left over.

    Args:
        revision: the repository's branch, tag or commit; None is its main branch.
        dtype: the type of the float weights; None keeps the checkpoint's.
        precision: float32, bfloat16, float16, int8, nf4 or int4; None keeps the folder's own.
        device_map: None is the first GPU or else the CPU; "auto", a device, or a device for each module.
        max_memory: bytes (or "10GiB") that "auto" may use of each device.
        offload_folder: where parts on "disk" keep their files.

    Raises:
        CannotLoad: the checkpoint is not there, is broken, or does not fit.
        BadRequest: settings that can't be served.
    """
    folder = resolve(folder_or_hub_id, revision)
    model, report = load_model(cls, folder, precision, dtype, device_map, max_memory, offload_folder)
    model.load_report = report  # type: ignore[assignment]
    return model


def load_model(
    cls: type[Model],
    folder: Path,
    precision: str | None = None,
    dtype: torch.dtype | str | None = None,
    device_map: DeviceMap | None = None,
    max_memory: MaxMemory | None = None,
    offload_folder: str | Path | None = None,
    progress: Callable[[LoadProgress], None] | None = None,
) -> tuple[Model, LoadReport]:
    """As `from_pretrained`, from a local folder, with the report beside the model.

    Everything is checked, the memory included, before the first weight is read; a load that fails keeps nothing.

    Args:
        progress: called after each tensor; an exception from it ends the load.
    """
    # Tensors made in inference mode could never be trained.
    with torch.inference_mode(False), torch.no_grad():
        checked = check_checkpoint(cls, folder, precision, dtype)
        load = _placed(checked, device_map, max_memory, offload_folder)
        try:
            load.fill(progress)
            load.tie()
            load.disk.finish(load.model)
            connect(load.model.eval(), load.placement)
        except BaseException as error:
            load.disk.discard()
            _forget(load.model)
            if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error):
                raise NotEnoughMemory(f"The memory ran out while {folder.name} was loaded ({error}).") from error
            raise
    report = load.matching.report
    if report.untrained:
        warnings.warn(f"{cls.__name__} from {folder.name}: {report}", stacklevel=3)
    return load.model, report


def save_pretrained(model: nn.Module, folder: str | os.PathLike[str], max_shard_bytes: int = SHARD_BYTES) -> None:
    """Writes config.json and safetensors files of at most `max_shard_bytes` each (or one larger tensor).

    A model is saved in the precision it is held in; each file appears whole or not at all.

    Raises:
        BadRequest: the folder is a file. NotSaved: it can't be written to, or the disk is full.
    """
    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise BadRequest(f"{path} is a file; give a folder to save to")
    tied = _tied_names(model)
    tensors = [
        TensorToSave(name, tuple(value.shape), value.dtype, _reader(model, name, value))
        for name, value in model.state_dict().items()
        if name not in tied
    ]
    try:
        path.mkdir(parents=True, exist_ok=True)
        write_weights(path, tensors, max_shard_bytes)
        write_json(path / CONFIG, config_values(model, [tensor.name for tensor in tensors]))
    except OSError as error:
        raise NotSaved(
            f"The model can't be saved to {path} ({error.strerror or error}). Make room, or name another folder."
        ) from error


@dataclass(frozen=True)
class Checked(Generic[Model]):
    """A checkpoint of which everything is checked but the values, and the model, still without weights."""

    model: Model
    checkpoint: Checkpoint
    chosen: Chosen
    matching: Matching
    tied: Mapping[str, str]
    sizes: Mapping[str, int]
    """Bytes of each parameter."""


def check_checkpoint(
    cls: type[Model], folder: Path, precision: str | None = None, dtype: torch.dtype | str | None = None
) -> Checked[Model]:
    """Checks config.json and the weights' names, shapes and types against each other; takes no memory.

    Raises:
        BadCheckpoint: they do not make a model of this class. MissingDependency: the precision needs a package.
        BadRequest: settings that can't be served.
    """
    config = read_config(folder)
    chosen_format, weights = find_weights(folder)
    checkpoint = chosen_format.open(weights)
    chosen = choose(checkpoint.tensors, precision, dtype)
    model = empty_model(cls, config)
    tied = _tied_names(model)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    matching = _match(shapes, tied, checkpoint, weights.name)
    _check_tensors(matching, shapes, checkpoint, chosen)
    chosen.precision.prepare(model, chosen.dtype)
    sizes = {name: chosen.precision.bytes(name, shape, chosen.dtype) for name, shape in shapes.items()}
    return Checked(model, checkpoint, chosen, matching, tied, sizes)


@dataclass(frozen=True)
class _Load(Generic[Model]):
    """A checked checkpoint and where its parts go."""

    model: Model
    checkpoint: Checkpoint
    chosen: Chosen
    matching: Matching
    tied: Mapping[str, str]
    placement: Placement
    disk: DiskParts

    def fill(self, progress: Callable[[LoadProgress], None] | None) -> None:
        """Gives every parameter its values, in the checkpoint's precision or a smaller one, one after another."""
        tensors = self.checkpoint.tensors
        work: dict[str, str | None] = {**self.matching.sources, **dict.fromkeys(self.matching.report.untrained)}
        total = sum(tensors[source].bytes for source in self.matching.sources.values())
        done = 0
        for count, (name, source) in enumerate(work.items(), start=1):
            self._place(name, source)
            done += tensors[source].bytes if source is not None else 0
            if progress is not None:
                progress(LoadProgress(count, len(work), done, total, name))

    def tie(self) -> None:
        """Shares the values of tied parameters again."""
        for name, owner in self.tied.items():
            module, attribute = _home(self.model, name)
            if self.placement.device_of(owner) == DISK:
                self.disk.copy(owner, name)
            setattr(module, attribute, self.model.get_parameter(owner))

    def _place(self, name: str, source: str | None) -> None:
        """Gives one parameter its values; without a source, fresh ones."""
        where = self.placement.device_of(name)
        device = torch.device("cpu") if isinstance(where, str) else where
        module, attribute = _home(self.model, name)
        matrices = self.chosen.precision.matrices
        if source is None:
            parameter = nn.Parameter(_fresh(self.model, name, device, self.chosen.dtype))
        elif matrices is not None and BLOCK_MATRIX.fullmatch(name):
            floating = self.checkpoint.tensors[source].dtype.is_floating_point
            make = matrices.quantise if floating else matrices.restore
            parameter = make(module, self.checkpoint, source, device)
        else:
            parameter = nn.Parameter(read_float(self.checkpoint, source, self.chosen.dtype, device))
        if where == DISK:
            self.disk.add(name, parameter)
        else:
            setattr(module, attribute, parameter)


def _placed(
    checked: Checked[Model],
    device_map: DeviceMap | None,
    max_memory: MaxMemory | None,
    offload_folder: str | Path | None,
) -> _Load[Model]:
    """Decides where everything goes; refuses what does not fit there."""
    c = checked
    placement = place(c.model, c.chosen.precision, c.sizes, device_map, max_memory, offload_folder)
    return _Load(c.model, c.checkpoint, c.chosen, c.matching, c.tied, placement, DiskParts(placement))


def _match(
    shapes: Mapping[str, tuple[int, ...]], tied: Mapping[str, str], checkpoint: Checkpoint, weights_file: str
) -> Matching:
    saved = saved_precision(checkpoint.tensors)

    def companions(name: str) -> tuple[str, ...]:
        return saved.matrices.companions(name) if saved is not None and saved.matrices is not None else ()

    return match(shapes, tied, checkpoint.tensors, companions, weights_file)


def _check_tensors(
    matching: Matching, shapes: Mapping[str, tuple[int, ...]], checkpoint: Checkpoint, chosen: Chosen
) -> None:
    """Refuses wrong shapes and types before anything is read."""
    for name, source in matching.sources.items():
        info = checkpoint.tensors[source]
        matrices = chosen.precision.matrices if BLOCK_MATRIX.fullmatch(name) else None
        stored = matrices is not None and info.dtype == matrices.dtype
        if info.shape != shapes[name] and not (matrices is not None and stored and matrices.packs):
            reason = f"the tensor {source!r} has the shape {list(info.shape)}, and config.json asks for"
            hint = "Do the weights and config.json belong together?"
            raise BadCheckpoint(info.file, f"{reason} {list(shapes[name])}", hint)
        if not info.dtype.is_floating_point and not stored:
            raise BadCheckpoint(info.file, f"the tensor {source!r} is {info.dtype}, where float weights belong")


def _fresh(model: nn.Module, name: str, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """A new head's values: normal with deviation `initializer_range`, biases 0."""
    shape = model.get_parameter(name).shape
    if name.endswith("bias"):
        return torch.zeros(shape, dtype=dtype, device=device)
    deviation: float = model.config.initializer_range  # type: ignore[union-attr, assignment]
    return torch.empty(shape, dtype=dtype, device=device).normal_(std=deviation)


def _tied_names(model: nn.Module) -> dict[str, str]:
    """Parameters that are another one under a second name -> that one's name."""
    first: dict[int, str] = {}
    tied: dict[str, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owner = first.setdefault(id(parameter), name)
        if owner != name:
            tied[name] = owner
    return tied


def _home(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    """The module that owns a parameter, and the parameter's name in it."""
    owner, _, attribute = name.rpartition(".")
    return model.get_submodule(owner), attribute


def _forget(model: nn.Module) -> None:
    """Frees the weights at once: the error's traceback may keep the model itself alive for long."""
    for module in model.modules():
        for name in list(module._parameters):
            module._parameters[name] = None


def _reader(model: nn.Module, name: str, value: torch.Tensor) -> Callable[[], torch.Tensor]:
    return lambda: stored_values(model, name) if value.is_meta else value
