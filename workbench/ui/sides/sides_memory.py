"""Whether the models of all sides fit in memory beside each other, told before any of them is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from workbench.errors import NotEnoughMemory, WorkbenchError
from workbench.loading.memory import MemoryPlan
from workbench.loading.spec import under_one_name
from workbench.manager import ModelSpec
from workbench.ui.bench import Bench
from workbench.ui.parts import bytes_text
from workbench.ui.sides.sides import Chosen


@dataclass(frozen=True)
class Shortage:
    """Sides that have no room beside each other."""

    text: str
    """What is needed, what is there, and what to do."""
    changes: tuple[tuple[int, str], ...]
    """Sides, by their index, and the precisions in which all would fit; empty where nothing helps."""


@dataclass(frozen=True)
class _Need:
    """A model that is still to be loaded."""

    side: Chosen
    plan: MemoryPlan


def check_together(bench: Bench, sides: Sequence[Chosen]) -> None:
    """Refuses sides that can't be in memory at the same time.

    Raises:
        NotEnoughMemory: they can't; the message says what would fit.
    """
    shortage = shortage_of(bench, sides)
    if shortage is not None:
        raise NotEnoughMemory(shortage.text)


def shortage_of(bench: Bench, sides: Sequence[Chosen]) -> Shortage | None:
    """What is missing for all sides at once; None where they fit, or where one alone is asked.

    One model more than fits is told when it is loaded, as ever; idle models of nobody's side leave for these.
    """
    if len(sides) < 2 or any(side.spec.device_map for side in sides):  # parts that find no room go elsewhere
        return None
    needs = _needs(bench, sides)
    if not needs:
        return None
    free = needs[0].plan.available_bytes + _idle_bytes(bench, sides)
    if sum(need.plan.total_bytes for need in needs) <= free:
        return None
    changes = _changes(needs, free)
    return Shortage(_words(needs, free, changes), changes)


def _needs(bench: Bench, sides: Sequence[Chosen]) -> list[_Need]:
    """The models to be loaded, each once; one that can't be planned is told when it is asked."""
    needs: dict[ModelSpec, _Need] = {}
    for side in sides:
        try:
            if not bench.is_loaded(side.spec):
                plan = bench.manager.plan(side.spec)
                needs.setdefault(replace(under_one_name(side.spec), precision=plan.precision), _Need(side, plan))
        except WorkbenchError:
            continue
    return list(needs.values())


def _idle_bytes(bench: Bench, sides: Sequence[Chosen]) -> int:
    """What the models hold that would leave: nobody uses them, and no side stands for them."""
    names = {_key(bench, side.spec) for side in sides}
    idle = [model for model in bench.manager.loaded() if not model.leases and _key(bench, model.spec) not in names]
    return sum(model.memory_bytes for model in idle)


def _key(bench: Bench, spec: ModelSpec) -> ModelSpec:
    """Equal for two specs that mean the same model."""
    try:
        return replace(under_one_name(spec), precision=bench.manager.plan(spec).precision)
    except WorkbenchError:
        return spec


def _changes(needs: Sequence[_Need], free: int) -> tuple[tuple[int, str], ...]:
    """The precisions in which all fit: as few changes as possible, and of those the largest weights."""
    choices = [
        [(need.plan.precision, need.plan.total_bytes), *((name, total) for name, total, _ in need.plan.alternatives)]
        for need in needs
    ]
    found = []
    for picked in product(*choices):
        total = sum(size for _, size in picked)
        if total <= free:
            changes = tuple(
                (need.side.index, name)
                for need, (name, _) in zip(needs, picked, strict=True)
                if name != need.plan.precision
            )
            found.append((len(changes), -total, changes))
    return min(found)[2] if found else ()


def _words(needs: Sequence[_Need], free: int, changes: Sequence[tuple[int, str]]) -> str:
    each = " and ".join(
        f"{need.side.letter} ({need.side.name}) needs {bytes_text(need.plan.total_bytes)}" for need in needs
    )
    total = bytes_text(sum(need.plan.total_bytes for need in needs))
    there = f"{each}: {total} together, and there is room for {bytes_text(free)}."
    if not changes:
        return f"{there} No precision makes them fit: take fewer sides, or smaller models."
    letters = {need.side.index: need.side.letter for need in needs}
    fit = " and ".join(f"{letters[index]} in {precision}" for index, precision in changes)
    return f"{there} They fit with {fit}."
