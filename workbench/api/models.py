"""The names by which callers ask for models."""

import time
from dataclasses import dataclass, field
from typing import Any

from workbench.api.refusals import Refused
from workbench.loading.offer import named_specs
from workbench.loading.precision import precisions
from workbench.manager import ModelManager, ModelSpec
from workbench.settings import Settings

LONGEST_SHOWN = 200
"""Characters of an unknown name that its refusal repeats."""


@dataclass(frozen=True)
class Models:
    """What may be asked for: "demo", or with a precision "demo:int8"."""

    settings: Settings
    manager: ModelManager
    created: int = field(default_factory=lambda: int(time.time()))

    def first(self) -> ModelSpec:
        """The model served first."""
        return ModelSpec(checkpoint=self.settings.model, precision=self.settings.precision)

    def specs(self) -> dict[str, ModelSpec]:
        """Every model that is loaded or known here, by its name."""
        loaded = [model.spec for model in self.manager.loaded() if _plain(model.spec)]
        known = [ModelSpec(checkpoint=name) for name in self.manager.known()]
        return {name_of(spec): spec for spec in [*loaded, self.first(), *named_specs(self.settings.models), *known]}

    def named(self, name: str) -> ModelSpec:
        """The model of a name; beside the listed ones, their checkpoints in any precision.

        Raises:
            Refused: 404, there is none.
        """
        specs = self.specs()
        if name in specs:
            return specs[name]
        if name == self.settings.model:  # in the one precision it is served in
            return self.first()
        checkpoint, colon, precision = name.rpartition(":")
        if colon and precision in precisions() and checkpoint in {spec.checkpoint for spec in specs.values()}:
            return ModelSpec(checkpoint=checkpoint, precision=precision)
        shown = name if len(name) <= LONGEST_SHOWN else f"{name[:LONGEST_SHOWN]}..."
        told = f"The model {shown!r} does not exist. There are: {', '.join(specs)}; add :int8 or another precision."
        raise Refused(404, told, "model", "model_not_found")

    def card(self, name: str) -> dict[str, Any]:
        """A model as /v1/models tells it."""
        about = {"id": name, "object": "model", "created": self.created, "owned_by": "gptj-workbench"}
        return about | {"root": self.named(name).checkpoint}


def name_of(spec: ModelSpec) -> str:
    """A model's name in the API."""
    return spec.checkpoint if spec.precision is None else f"{spec.checkpoint}:{spec.precision}"


def _plain(spec: ModelSpec) -> bool:
    """Whether its name says all that was asked of it."""
    return spec == ModelSpec(checkpoint=spec.checkpoint, precision=spec.precision)
