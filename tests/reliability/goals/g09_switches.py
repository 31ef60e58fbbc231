"""G9: models that take turns in too little memory never mix, and a load that fails leaves the old one serving."""

import random
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from tests.loading.test_bad_checkpoints import LFS
from tests.reliability.goal import Goal, Mutant, Outcome
from tests.reliability.people import together
from tests.text.tiny import tiny_network, write_checkpoint
from workbench.engine.jobs import Sampling
from workbench.engine.prefix import most_kept_bytes
from workbench.errors import CannotLoad
from workbench.manager import ModelManager, ModelSpec
from workbench.residents import Resident, Residents
from workbench.text.requests import Generate

STREAMS, ROWS = 16, 6
CONTEXT_TOKENS = 24
DRAIN_SECONDS = 120.0
BROKEN: tuple[Callable[[bytes], bytes], ...] = (
    lambda data: b"",
    lambda data: LFS,
    lambda data: b"<!DOCTYPE html><html></html>",
    lambda data: data[:4],
    lambda data: data[:200],
    lambda data: data[:-100],
    lambda data: bytes(len(data)),
    lambda data: data[:-8] + b"\xff" * 8,
    lambda data: data[:8] + b"[" + data[9:],
    lambda data: data + b"more",
)
"""What became of the third model's weights."""


def check(size: int, seed: int) -> Outcome:
    """So many switches between two models, of which one finds room, by 16 people who ask either; and broken loads."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = [
            str(write_checkpoint(Path(scratch, name), place, CONTEXT_TOKENS)) for place, name in enumerate("abc")
        ]
        return _switched(folders, size, seed)


def _switched(folders: list[str], size: int, seed: int) -> Outcome:
    weights = sum(4 * weight.numel() for weight in tiny_network().parameters())
    cache = 2 * 2 * 32 * CONTEXT_TOKENS * 4
    budget = weights + ROWS * cache + most_kept_bytes(cache) + 100  # less than two models take
    manager = ModelManager(budget, drain_seconds=DRAIN_SECONDS)
    specs = [ModelSpec(folder) for folder in folders[:2]]
    requests = [_request(number) for number in range(24)]
    alone, prints = _references(manager, specs, requests)
    failures: list[str] = []
    counts = {"switches": 0, "requests": 0, "failed_loads": 0}
    lock, good = threading.Lock(), Path(folders[2], "model.safetensors").read_bytes()
    load = manager._load

    def counted(*arguments: Any) -> Any:
        with lock:
            counts["switches"] += 1
        return load(*arguments)

    manager._load = counted  # type: ignore[method-assign]

    def person(number: int) -> None:
        rng = random.Random(seed * 1000 + number)
        while counts["switches"] < size and len(failures) < 10:
            place, which = rng.randrange(2), rng.randrange(len(requests))
            said = _asked(manager, specs[place], requests[which], alone[place][which], prints[place])
            with lock:
                counts["requests"] += 1
                failures.extend(said)
            if number == 0 and rng.random() < 0.2:
                failures.extend(_failing(manager, folders[2], BROKEN[counts["failed_loads"] % len(BROKEN)](good)))
                counts["failed_loads"] += 1

    together([lambda number=number: person(number) for number in range(STREAMS)])  # type: ignore[misc]
    manager.close()
    level = (
        f"{counts['switches']:,} switches under {STREAMS} live streams, {counts['requests']:,} answers: "
        f"{len(failures)} mixed, lost or of another model; {counts['failed_loads']} loads of {len(BROKEN)} broken "
        "kinds left the old model serving"
    )
    return Outcome(level, counts, tuple(failures))


def _request(number: int) -> Generate:
    sampling = Sampling(0.0) if number % 2 else Sampling(1.0)
    return Generate(f"The unicorn {number}", 4 + number % 8, sampling=sampling, seed=number)


def _references(
    manager: ModelManager, specs: list[ModelSpec], requests: list[Generate]
) -> tuple[list[list[str]], list[str]]:
    """What each model writes when nobody else asks, and its fingerprint."""
    texts, prints = [], []
    for spec in specs:
        with manager.lease(spec) as model:
            texts.append([model.generate(request).text for request in requests])
        prints.append(manager.identity(spec).fingerprint)
    return texts, prints


def _asked(manager: ModelManager, spec: ModelSpec, request: Generate, expected: str, fingerprint: str) -> list[str]:
    try:
        with manager.lease(spec) as model:
            told = manager.identity(spec).fingerprint
            text = model.generate(request).text
    except Exception as error:
        return [f"a request failed: {error!r}"]
    if told != fingerprint:
        return ["another model's fingerprint"]
    return [] if text == expected else ["another model's text, or a mixture"]


def _failing(manager: ModelManager, folder: str, data: bytes) -> list[str]:
    Path(folder, "model.safetensors").write_bytes(data)
    try:
        manager.load(ModelSpec(folder))
    except CannotLoad:
        return []
    except Exception as error:
        return [f"a broken checkpoint ended in {error!r}"]
    return ["a broken checkpoint was loaded"]


def uncounted_leases() -> AbstractContextManager[object]:
    """Models leave whoever holds them."""
    put_out = Residents.put_out

    def at_once(residents: Residents[Any], missing_bytes: int, seconds: float) -> Any:
        held = [resident.leases for resident in residents.all()]
        for resident in residents.all():
            resident.leases = 0
        try:
            return put_out(residents, missing_bytes, 0)
        finally:
            for resident, leases in zip(residents.all(), held, strict=False):
                resident.leases = leases

    return mock.patch.object(Residents, "put_out", at_once)


@contextmanager
def any_model() -> Iterator[None]:
    """Whatever is loaded is taken for what was asked."""
    find = Residents.find

    def first(residents: Residents[Any], spec: ModelSpec, name: ModelSpec) -> Resident[Any] | None:
        return next(iter(residents.all()), None) or find(residents, spec, name)

    with mock.patch.object(Residents, "find", first):
        yield


GOAL = Goal(
    name="G9",
    promise="Switching models under load never mixes them; a load that fails leaves the old model serving",
    peer="none tests it; web UIs report crashes and mixed weights",
    unit="switches",
    short=15,
    full=500,
    check=check,
    mutants=(
        Mutant("a model leaves although it is held", uncounted_leases, 8),
        Mutant("any loaded model is taken for the one asked", any_model, 4),
    ),
)
