"""Which models may be asked for and how much of them, as the profile says; asked where a checkpoint is looked for."""

from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import BadRequest
from workbench.loading.precision import precisions
from workbench.loading.source import local_folder
from workbench.loading.spec import SHIPPED, Found, ModelSpec, locate, under_one_name
from workbench.profiles import LOCAL, RequestLimits
from workbench.settings import Settings

SMALL = tuple(SHIPPED)
"""Checkpoints that come along: they have room in any precision."""


@dataclass(frozen=True)
class Offer:
    """What there is to choose from; without arguments everything."""

    specs: tuple[ModelSpec, ...] | None = None
    """The only models; None: any."""
    root: Path | None = None
    """The folder that checkpoints on this machine must be in; None: anywhere."""
    requests: RequestLimits = field(default=LOCAL.requests)

    @property
    def is_open(self) -> bool:
        """Whether models and heads may be named by folders."""
        return self.specs is None

    def locate(self, spec: ModelSpec, weights: bool = True) -> Found:
        """The folder of a model that is offered; see `spec.locate`.

        Raises:
            BadRequest: it is not offered. CannotLoad: it can't be read.
        """
        self.check(spec)
        return locate(spec, weights)

    def check(self, spec: ModelSpec) -> None:
        """Raises BadRequest unless the model is offered."""
        if self.specs is not None and not any(_covers(offered, spec) for offered in self.specs):
            there = ", ".join(dict.fromkeys(_shown(offered) for offered in self.specs))
            raise BadRequest(
                f"The model {_shown(spec)[:200]!r} is not offered on this page, which others use too. There are: "
                f"{there}. Run the workbench on your own machine to load any other."
            )
        folder = None if self.root is None else local_folder(spec.checkpoint)
        if self.root is None or folder is None or under_one_name(spec).checkpoint in SMALL:
            return
        if not folder.is_relative_to(self.root.resolve()):
            raise BadRequest(f"The folder {spec.checkpoint} is not in {self.root}, where checkpoints are kept here.")


def offer_of(settings: Settings) -> Offer:
    """What the settings offer.

    Raises:
        BadRequest: WORKBENCH_MODELS names an unknown precision.
    """
    requests = settings.profile.requests
    if settings.serves_locally:
        return Offer(None, settings.root, requests)
    first = ModelSpec(settings.model, precision=settings.precision)
    return Offer((first, *named_specs(settings.models), *map(ModelSpec, SMALL)), None, requests)


def named_specs(names: tuple[str, ...]) -> tuple[ModelSpec, ...]:
    """The models of a list such as ("demo", "EleutherAI/gpt-j-6b:int8")."""
    found = []
    for name in names:
        checkpoint, colon, precision = name.rpartition(":")
        has_precision = colon and precision in precisions()
        found.append(ModelSpec(checkpoint, precision=precision) if has_precision else ModelSpec(name))
    return tuple(found)


def _covers(offered: ModelSpec, spec: ModelSpec) -> bool:
    if spec.checkpoint != offered.checkpoint or spec.device_map is not None or spec.max_memory is not None:
        return False
    if spec.revision != offered.revision:
        return False
    return spec.precision == offered.precision or spec.checkpoint in SMALL


def _shown(spec: ModelSpec) -> str:
    return spec.checkpoint if spec.precision is None else f"{spec.checkpoint}:{spec.precision}"
