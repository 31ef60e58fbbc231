"""Which device holds which part of a model, and the hooks that bring the parts together (accelerate)."""

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import dispatch_model, infer_auto_device_map
from accelerate.utils import CustomDtype, convert_file_size_to_int, offload_weight, save_offload_index
from torch import nn

from workbench.errors import BadRequest, NotEnoughMemory
from workbench.loading.devices import (
    DISK,
    FILL,
    DeviceMap,
    MaxMemory,
    automatic_limits,
    device_named,
)
from workbench.loading.memory import available_memory_bytes, default_device, size_text
from workbench.loading.precision import BLOCK_MATRIX, Precision

UNSPLIT = ["GPTJBlock"]


@dataclass(frozen=True)
class Placement:
    """The device of every part: "" is the whole model, a longer name beats a shorter one."""

    devices: Mapping[str, torch.device | str]
    """Module or parameter name -> a device, or "disk"."""
    folder: Path | None = None
    """Where parts on disk are kept; this load's own."""

    def device_of(self, parameter: str) -> torch.device | str:
        """The device of one parameter."""
        for end in _prefixes(parameter):
            if end in self.devices:
                return self.devices[end]
        raise BadRequest(f"device_map gives {parameter} no device")

    @property
    def needs_hooks(self) -> bool:
        """Whether the parts lie on several devices, or on disk."""
        return len(set(self.devices.values())) > 1 or DISK in self.devices.values()


def place(
    model: nn.Module,
    precision: Precision,
    sizes: Mapping[str, int],
    device_map: DeviceMap | None,
    max_memory: MaxMemory | None,
    offload_folder: str | Path | None,
) -> Placement:
    """Where each part of a model without weights shall go.

    Args:
        sizes: bytes of each parameter.
        device_map: None is the first GPU or else the CPU; "auto" fills GPUs, then the CPU, then the disk; a device;
            or a device for each module.
        max_memory: bytes (or "10GiB") that "auto" may use of each device; what it leaves out is measured, within
            the container's limit.
        offload_folder: where "disk" keeps its files.

    Raises:
        BadRequest: a map that leaves parts out, or names what is not there.
        NotEnoughMemory: the parts do not fit their devices.
    """
    automatic = device_map == "auto"
    if isinstance(device_map, str) and automatic:
        devices = _inferred(model, precision, _limits(max_memory))
    elif isinstance(device_map, Mapping):
        devices = {name: device_named(device) for name, device in device_map.items()}
        _check_complete(model, devices)
    else:
        devices = {"": default_device() if device_map is None else device_named(device_map)}
    placement = Placement(devices)
    _check_disk(placement, precision, automatic, sizes, offload_folder)
    _check_room(placement, sizes, precision, None if automatic else max_memory)
    if DISK not in devices.values():
        return placement
    on_disk = sum(size for name, size in sizes.items() if placement.device_of(name) == DISK)
    return Placement(devices, _own_folder(Path(offload_folder or ""), on_disk))


class DiskParts:
    """The parameters of one model that are kept on disk."""

    def __init__(self, placement: Placement):
        self._folder = placement.folder
        self._index: dict[str, dict[str, object]] = {}

    def add(self, name: str, tensor: torch.Tensor) -> None:
        """Writes one parameter."""
        if self._folder is not None:
            self._index = offload_weight(tensor.detach(), name, str(self._folder), self._index)

    def copy(self, name: str, other: str) -> None:
        """Gives a parameter that shares another one's values its own file."""
        if self._folder is not None:
            shutil.copyfile(self._folder / f"{name}.dat", self._folder / f"{other}.dat")
            self._index[other] = dict(self._index[name])

    def finish(self, model: nn.Module) -> None:
        """Writes the list of parameters, and removes the folder when the model goes."""
        if self._folder is not None:
            save_offload_index(self._index, str(self._folder))
            weakref.finalize(model, shutil.rmtree, self._folder, ignore_errors=True)

    def discard(self) -> None:
        """Removes the folder after a load that failed."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def connect(model: nn.Module, placement: Placement) -> None:
    """Adds the hooks that move activations, and offloaded weights for their moment, between devices."""
    if placement.needs_hooks:
        devices = {name: _for_accelerate(device) for name, device in placement.devices.items()}
        offload_dir = str(placement.folder) if placement.folder else None
        # The cache stays where each block wrote it.
        dispatch_model(model, devices, offload_dir=offload_dir, skip_keys="past_key_values")
    model.hf_device_map = {name: _for_accelerate(device) for name, device in placement.devices.items()}  # type: ignore[assignment]


def stored_values(model: nn.Module, name: str) -> torch.Tensor:
    """The values of a parameter that a hook keeps elsewhere than in the module."""
    module_name, _, attribute = name.rpartition(".")
    hook = getattr(model.get_submodule(module_name), "_hf_hook", None)
    weights = getattr(hook, "weights_map", None)
    if weights is None:
        raise BadRequest(f"{name} has no values: it is on the meta device")
    found: torch.Tensor = weights[attribute]
    return found


def _own_folder(offload_folder: Path, needed: int) -> Path:
    """A new folder inside the caller's: two models that shared one would read each other's weights."""
    try:
        offload_folder.mkdir(parents=True, exist_ok=True)
        # The files are mapped while they are written: a full disk would end the process, not raise.
        free = shutil.disk_usage(offload_folder).free
        if needed > free:
            raise NotEnoughMemory(
                f"offload_folder {offload_folder} needs {size_text(needed)}, and its disk has {size_text(free)} free."
            )
        return Path(tempfile.mkdtemp(prefix="offload-", dir=offload_folder))
    except OSError as error:
        raise BadRequest(f"offload_folder {offload_folder} can't be written ({error.strerror or error})") from error


def _inferred(model: nn.Module, precision: Precision, limits: dict[int | str, int]) -> dict[str, torch.device | str]:
    widths: dict[str, object] = {}
    if precision.matrices is not None:
        width = torch.int8 if precision.matrices.bytes(1, 1024) > 1024 else CustomDtype.INT4
        widths = {name: width for name, _ in model.named_parameters() if BLOCK_MATRIX.fullmatch(name)}
    found = infer_auto_device_map(model, max_memory=limits, no_split_module_classes=UNSPLIT, special_dtypes=widths)
    return {name: device_named(device) for name, device in found.items()}


def _limits(max_memory: MaxMemory | None) -> dict[int | str, int]:
    limits: dict[int | str, int] = {}
    for device, limit in (max_memory or {}).items():
        try:
            limits[device] = convert_file_size_to_int(limit)
        except ValueError as error:
            raise BadRequest(f'max_memory[{device!r}] must be bytes or a text like "10GiB"; got {limit!r}.') from error
    if max_memory is None:
        limits = automatic_limits()
    limits.setdefault("cpu", int(FILL * available_memory_bytes()))
    for device in limits:
        if device != DISK:
            device_named(device)
    # accelerate fills the devices in this order.
    return dict(sorted(limits.items(), key=lambda item: (isinstance(item[0], str), item[0] == DISK, str(item[0]))))


def _for_accelerate(device: torch.device | str) -> int | str:
    if isinstance(device, torch.device):
        return device.index if device.type == "cuda" and device.index is not None else "cpu"
    return device


def _check_complete(model: nn.Module, devices: Mapping[str, torch.device | str]) -> None:
    parameters = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    known = {"", *(name for name, _ in model.named_modules()), *parameters}
    unknown = [name for name in devices if name not in known]
    if unknown:
        raise BadRequest(f"device_map names parts that the model does not have: {', '.join(unknown[:5])}")
    left = [name for name in parameters if not any(end in devices for end in _prefixes(name))]
    if left:
        more = f" and {len(left) - 5} more" if len(left) > 5 else ""
        raise BadRequest(f"device_map leaves out {', '.join(left[:5])}{more}")


def _check_disk(
    placement: Placement,
    precision: Precision,
    automatic: bool,
    sizes: Mapping[str, int],
    offload_folder: str | Path | None,
) -> None:
    on_disk = sum(size for name, size in sizes.items() if placement.device_of(name) == DISK)
    kinds = {device if isinstance(device, str) else device.type for device in placement.devices.values()}
    total = size_text(sum(sizes.values()))
    if not all(precision.computes_on(kind) for kind in kinds - {DISK}):
        raise BadRequest(
            f"{precision.name} weights compute on a CPU alone; device_map asks for {', '.join(sorted(kinds))}. "
            'Choose device_map="cpu", or nf4: four bits on GPUs.'
        )
    if precision.matrices is not None and kinds not in ({"cpu"}, {"cuda"}):
        reason = f"{precision.name} weights can't be offloaded: they stay on CUDA devices alone or on the CPU alone"
        if automatic:
            raise NotEnoughMemory(f"The model needs {total}, more than the devices give, and {reason}.")
        raise BadRequest(f"{reason}; device_map asks for {', '.join(sorted(kinds))}.")
    if DISK in kinds and offload_folder is None:
        if automatic:
            raise NotEnoughMemory(
                f"The model needs {total}, and {size_text(on_disk)} of it do not fit the memory of the devices. "
                "Give an offload_folder to keep that part on disk, or choose a smaller precision."
            )
        raise BadRequest('device_map puts parts on "disk"; give the offload_folder to keep them in')


def _check_room(
    placement: Placement, sizes: Mapping[str, int], precision: Precision, max_memory: MaxMemory | None
) -> None:
    """Refuses parts that do not fit their device's free memory, or the caller's bound on it."""
    needed: dict[torch.device, int] = {}
    for name, size in sizes.items():
        device = placement.device_of(name)
        if isinstance(device, torch.device):
            needed[device] = needed.get(device, 0) + size
    limits = _limits(max_memory) if max_memory is not None else {}
    for device, need in needed.items():
        free = available_memory_bytes(device)
        bound = limits.get("cpu" if device.type == "cpu" else (device.index or 0), free)
        if need > min(free, bound):
            raise NotEnoughMemory(
                f"The weights in {precision.name} need {size_text(need)} on {device}, where "
                f"{size_text(min(free, bound))} are free. Choose a smaller precision (int8, nf4), "
                'or device_map="auto" with an offload_folder.'
            )


def _prefixes(name: str) -> list[str]:
    """A dotted name, then its parents, then "": "a.b" -> ["a.b", "a", ""]."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), -1, -1)]
