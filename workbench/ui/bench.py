"""What every tab works with: the settings, the model manager, and what of the page stands outside the tabs."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import cached_property

import gradio as gr

from workbench.engine.limits import Limits as EngineLimits
from workbench.errors import BadRequest, WorkbenchError
from workbench.evals.runs.run import Run
from workbench.evals.runs.runner import Progress
from workbench.evals.runs.store import RunStore
from workbench.evaluating import Evaluation, run_evaluation
from workbench.loading.offer import named_specs, offer_of
from workbench.manager import ModelManager, ModelSpec
from workbench.settings import Settings
from workbench.speed import MemorySpeed
from workbench.ui.benchmark.bench_desk import BenchDesk
from workbench.ui.host.room import check_room
from workbench.ui.links.address import Address
from workbench.ui.sides.sides import Sides
from workbench.ui.sides.votes import VoteStore
from workbench.ui.spec_names import asked_spec, spec_name
from workbench.ui.train.training_desk import TrainingDesk

__all__ = ["Bench", "FirstLoad", "Page", "Tab", "asked_spec", "spec_name"]


@dataclass
class FirstLoad:
    """How the load of the first model stands: it is tried once, so that a model somebody unloaded stays unloaded."""

    over: bool = False
    error: WorkbenchError | None = None
    """Why there is no first model."""


@dataclass(frozen=True)
class Bench:
    """What app.py makes and passes down, how the first load went, and the desk for benchmarks."""

    settings: Settings
    manager: ModelManager
    first_load: FirstLoad = field(default_factory=FirstLoad)

    @cached_property
    def desk(self) -> BenchDesk:
        """Where the benchmarks of all visitors are run."""
        return BenchDesk(self.evaluate)

    @cached_property
    def training(self) -> TrainingDesk:
        """Where the one training that there may be sits."""
        return TrainingDesk()

    @cached_property
    def memory_speed(self) -> MemorySpeed:
        """How fast this machine reads memory."""
        return MemorySpeed(self.is_quiet)

    @cached_property
    def votes(self) -> VoteStore:
        """What was said of texts whose models nobody knew."""
        return VoteStore(self.settings.runs_folder)

    def is_quiet(self) -> bool:
        """Whether nobody uses a model, trains one, or waits for one to be loaded."""
        busy = self.training.is_taken or self.manager.is_loading()
        return not busy and not any(model.leases for model in self.manager.loaded())

    @property
    def runs(self) -> RunStore:
        """The runs of benchmarks that are kept here."""
        return RunStore(self.settings.runs_folder)

    def evaluate(self, evaluation: Evaluation) -> Generator[Progress, None, Run]:
        """Runs a benchmark, with the limits of who may come here."""
        check_room(self.settings)
        return run_evaluation(self.manager, evaluation, self.settings.runs_folder, self.settings.profile.files)

    def first_spec(self) -> ModelSpec:
        """The model that the settings serve first."""
        return ModelSpec(checkpoint=self.settings.model, precision=self.settings.precision)

    def specs(self) -> dict[str, ModelSpec]:
        """Every model that may be picked, by its name on the page: the loaded ones, then those known here."""
        loaded = [model.spec for model in self.manager.loaded()]
        known = [ModelSpec(checkpoint=name) for name in self.manager.known()]
        offered = named_specs(self.settings.models)
        return {spec_name(spec): spec for spec in [*loaded, self.first_spec(), *offered, *known]}

    def spec_named(self, name: str) -> ModelSpec:
        """The model behind a name from `specs`.

        Raises:
            BadRequest: no such model any more.
        """
        try:
            return self.specs()[name]
        except KeyError:
            raise BadRequest(
                f"The model {name!r} is not on the list any more. Pick another, or load it again."
            ) from None

    def is_loaded(self, spec: ModelSpec) -> bool:
        """Whether a request to this model starts without loading."""
        return self.manager.is_loaded(spec)


@dataclass(frozen=True)
class Page:
    """What a tab may show outside itself."""

    bench: Bench
    blocks: gr.Blocks
    """The page itself; its `load` is a visitor's arrival."""
    status: gr.HTML
    """The line in the page's head that says which models are ready."""
    tabs: gr.Tabs
    opened: gr.Textbox
    """The names, with commas, of runs that are to be opened on the Runs tab; not shown."""
    sides: Sides
    """The models that every tab asks, beside each other."""
    address: Address = field(default_factory=Address)
    """What the tabs keep in the page's address."""


@dataclass(frozen=True)
class Tab:
    """One tab: its name and the function that fills it."""

    name: str
    build: Callable[[Page, gr.Tab], None]


def manager_of(settings: Settings) -> ModelManager:
    """The manager that the settings ask for; nothing is loaded yet."""
    serving = settings.profile.serving
    return ModelManager(
        settings.memory_bytes,
        settings.offload_folder,
        settings.max_streams,
        settings.heads_folder,
        EngineLimits(serving.waiting, serving.wait_seconds, serving.run_seconds, serving.step_seconds),
        serving.drain_seconds,
        settings.remote,
        offer_of(settings),
    )
