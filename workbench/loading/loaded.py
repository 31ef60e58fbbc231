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
    parts: list[Part]
    seconds: float
    """The load took."""
    report: LoadReport
    max_streams: int = 1
    """Texts it writes at the same time: the setting, or fewer where the memory holds no more whole contexts."""
    leases: int = 0
    """Requests using it now."""
    served_by: str = ""
    """The server that has it; empty: it is here."""

    @property
    def parameters(self) -> int:
        """Of all parts."""
        return sum(part.parameters for part in self.parts)

    @property
    def weights_bytes(self) -> int:
        """Of all parts, wherever they are."""
        return sum(part.bytes for part in self.parts)

    @property
    def memory_bytes(self) -> int:
        """Of its weights, without those on disk."""
        return sum(part.bytes for part in self.parts if DISK not in part.device)

    @property
    def read_bytes(self) -> int:
        """Of the weights that are read whole for each token it writes; 0 where it can't write.

        A head that is the embedding too weighs next to nothing in its own part; see `parts_of`.
        """
        sizes = {part.name: part for part in self.parts}
        if "lm_head" not in sizes:
            return 0
        embedding, head = sizes["transformer.wte"], sizes["lm_head"]
        is_tied = head.parameters < embedding.parameters
        return self.weights_bytes - (0 if is_tied else embedding.bytes)

    @property
    def is_on_cpu(self) -> bool:
        """Whether the CPU alone computes, from memory."""
        return all(part.device == "cpu" for part in self.parts)
