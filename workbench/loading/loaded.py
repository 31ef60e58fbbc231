"""What is shown of a model in memory."""

from dataclasses import dataclass

from workbench.loading.devices import DISK
from workbench.loading.names import LoadReport
from workbench.loading.parts import Part
from workbench.loading.spec import ModelSpec


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory, as the page and the command line show it."""

    spec: ModelSpec
    """As it was first asked for."""
    parameters: int
    weights_bytes: int
    parts: list[Part]
    seconds: float
    """The load took."""
    leases: int
    """Requests using it now."""
    report: LoadReport
    max_streams: int = 1
    """Texts it writes at the same time: the setting, or fewer where the memory holds no more whole contexts."""

    @property
    def memory_bytes(self) -> int:
        """Of its weights, without those on disk."""
        return sum(part.bytes for part in self.parts if DISK not in part.device)
