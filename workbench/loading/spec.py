"""Which model is asked for, and the folder that it means."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from workbench.loading.devices import DeviceMap, MaxMemory
from workbench.loading.memory import folder_precision
from workbench.loading.own_head import own_kind
from workbench.loading.source import local_folder, resolve

DEMO = "demo"
DEMO_FOLDER = Path(__file__).parents[1] / "demo"
SHIPPED = {DEMO: DEMO_FOLDER, "demo-small": DEMO_FOLDER / "small"}
"""The folders of the checkpoints that come with the workbench, by their names."""


@dataclass(frozen=True)
class ModelSpec:
    """Which model, and how it is held. Printed into every run."""

    checkpoint: str = DEMO
    """"demo", "demo-small", a folder or a Hub id."""
    revision: str | None = None
    precision: str | None = None
    """None: the folder's own."""
    device_map: DeviceMap | None = field(default=None, hash=False)
    max_memory: MaxMemory | None = field(default=None, hash=False)


@dataclass(frozen=True)
class Found:
    """A checkpoint on this machine, and what was asked of it."""

    spec: ModelSpec
    folder: Path
    own_precision: str
    own_head: str | None = None
    """"classify" or "answer" for a checkpoint that is a classifier or a span reader itself."""

    @property
    def key(self) -> ModelSpec:
        """Equal for two specs that mean the same model."""
        return replace(under_one_name(self.spec), precision=self.spec.precision or self.own_precision)


def locate(spec: ModelSpec, weights: bool = True) -> Found:
    """The folder of a spec, downloaded if need be; without `weights` they may stay on the Hub.

    Raises:
        CannotLoad: there is no such checkpoint, or it can't be read.
    """
    folder = SHIPPED.get(under_one_name(spec).checkpoint) or resolve(spec.checkpoint, spec.revision, weights)
    return Found(spec, folder, folder_precision(folder), own_kind(folder))


def under_one_name(spec: ModelSpec) -> ModelSpec:
    """The spec with its checkpoint under its one name: of SHIPPED, the absolute path of a folder, or a Hub id."""
    if spec.checkpoint in SHIPPED:
        return replace(spec, revision=None)
    folder = local_folder(spec.checkpoint)
    if folder is None:
        return spec
    names = {shipped.resolve(): name for name, shipped in SHIPPED.items()}
    return replace(spec, checkpoint=names.get(folder, str(folder)), revision=None)
