"""The devices that a model may be asked to lie on, and what each of them has free."""

import gc
from collections.abc import Mapping

import torch

from workbench.errors import BadRequest
from workbench.loading.control_groups import cores_of_groups
from workbench.loading.memory import available_memory_bytes, default_device

Device = int | str | torch.device
DeviceMap = str | int | torch.device | Mapping[str, Device]
MaxMemory = Mapping[int | str, int | str]
DISK = "disk"
FILL = 0.9
"""How much of the free memory an automatic placement fills: activations and caches need the rest."""


def single_device(device_map: DeviceMap | None) -> torch.device | None:
    """The one device that holds a whole model; None where there may be several, or the disk.

    Raises:
        BadRequest: there is no such device.
    """
    if device_map is None:
        return default_device()
    if isinstance(device_map, Mapping) or device_map in ("auto", DISK):
        return None
    found = device_named(device_map)
    return found if isinstance(found, torch.device) else None


def free_bytes(device_map: DeviceMap | None) -> int:
    """Free memory of the devices that a device_map may use."""
    device = single_device(device_map)
    if device is not None:
        return available_memory_bytes(device)
    gpus = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    return available_memory_bytes() + sum(available_memory_bytes(torch.device("cuda", gpu)) for gpu in gpus)


def may_offload(device_map: DeviceMap | None) -> bool:
    """Whether parts of a model may lie on disk."""
    return DISK in device_map.values() if isinstance(device_map, Mapping) else device_map in ("auto", DISK)


def automatic_limits(most_bytes: int | None = None) -> dict[int | str, int]:
    """What "auto" may fill of each device; of all together no more than `most_bytes`."""
    gpus = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    limits: dict[int | str, int] = {gpu: int(FILL * available_memory_bytes(torch.device("cuda", gpu))) for gpu in gpus}
    limits["cpu"] = int(FILL * available_memory_bytes())
    if most_bytes is not None:
        for device, limit in limits.items():
            limits[device] = min(limit, most_bytes)
            most_bytes -= limits[device]
    return limits


def device_named(device: Device) -> torch.device | str:
    """One device of a device_map.

    Raises:
        BadRequest: there is no such device.
    """
    if device == DISK:
        return DISK
    try:
        found = torch.device("cuda", device) if isinstance(device, int) else torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise BadRequest(
            f'device_map knows "auto", "cpu", "cuda:0" and the like, and "disk"; got {device!r}.'
        ) from error
    if found.type not in ("cpu", "cuda"):
        raise BadRequest(f"a model can be placed on cpu, cuda and disk; got {device!r}.")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found.type == "cuda" and (found.index or 0) >= count:
        raise BadRequest(
            f"device_map asks for {found}, and this machine has {count} CUDA devices. Choose cpu or auto instead."
        )
    return torch.device("cuda", found.index or 0) if found.type == "cuda" else torch.device("cpu")


def cpu_threads() -> int:
    """How many threads PyTorch uses here, no more than a container's quota: beyond it all of them would be paused."""
    return min([torch.get_num_threads(), *cores_of_groups()])


def give_back_memory() -> None:
    """Frees what nobody holds any more, for other programs too."""
    gc.collect()  # accelerate's hooks and modules point at each other
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
