"""Who is in memory when room is short, and what a plan tells of it beforehand."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests import managed
from tests.managed import (
    CACHE_BYTES,
    REQUEST,
    ROOM_FOR_TWO,
    WEIGHTS_BYTES,
    OpenManager,
    break_values,
    names,
    text_of,
)
from tests.text.tiny import tiny_network, write_checkpoint
from workbench import opening
from workbench.engine.prefix import MOST_BYTES, most_kept_bytes
from workbench.errors import BadCheckpoint, BadRequest, CannotLoad, CheckpointNotFound, NotEnoughMemory
from workbench.loading import offer
from workbench.loading import spec as spec_module
from workbench.manager import ModelSpec

folders, open_manager = managed.folders, managed.open_manager


def test_the_least_recently_used_model_leaves_when_room_is_short(folders: list[str], open_manager: OpenManager) -> None:
    manager = open_manager(ROOM_FOR_TWO)
    first, second, third = (ModelSpec(folder) for folder in folders)
    manager.load(first)
    manager.load(second)
    text_of(manager, first)
    manager.load(third)
    assert names(manager) == ["0", "2"]
    text_of(manager, second)
    assert names(manager) == ["2", "1"]


def test_leased_models_are_never_put_out(folders: list[str], open_manager: OpenManager) -> None:
    manager = open_manager(ROOM_FOR_TWO)
    first, second, third = (ModelSpec(folder) for folder in folders)
    with manager.lease(first) as model, manager.lease(second):
        with pytest.raises(NotEnoughMemory, match=r"needs .* MiB .* free"):
            manager.load(third)
        assert names(manager) == ["0", "1"] and model.generate(REQUEST).text
    manager.load(third)
    assert names(manager) == ["0", "2"]


def test_nobody_leaves_for_a_model_that_could_not_fit_anyway(folders: list[str], open_manager: OpenManager) -> None:
    manager = open_manager(WEIGHTS_BYTES + CACHE_BYTES + 100)
    manager.load(ModelSpec(folders[0]))
    large = str(write_checkpoint(Path(folders[1]).parent / "large", n_positions=9000))
    with pytest.raises(NotEnoughMemory):
        manager.load(ModelSpec(large))
    assert names(manager) == ["0"]


def test_a_model_put_out_comes_back_if_the_new_one_fails(folders: list[str], open_manager: OpenManager) -> None:
    manager, good = open_manager(WEIGHTS_BYTES + CACHE_BYTES + 100), ModelSpec(folders[0])
    before = text_of(manager, good)
    break_values(folders[1])
    with pytest.raises(BadCheckpoint, match="NaN"):
        manager.load(ModelSpec(folders[1]))
    assert names(manager) == ["0"] and text_of(manager, good) == before


@pytest.mark.parametrize("broken", ["weights", "config", "tokenizer"])
def test_nobody_leaves_for_a_checkpoint_that_is_broken(
    folders: list[str], open_manager: OpenManager, broken: str
) -> None:
    manager = open_manager(WEIGHTS_BYTES + CACHE_BYTES + 100)
    manager.load(ModelSpec(folders[0]))
    engine = manager._residents.all()[0].language_model.engine
    file = {"weights": "model.safetensors", "config": "config.json", "tokenizer": "tokenizer.json"}[broken]
    path = Path(folders[1]) / file
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(CannotLoad):
        manager.load(ModelSpec(folders[1]))
    assert manager._residents.all()[0].language_model.engine is engine


def test_the_first_error_is_told_and_the_others_come_back_when_one_does_not(
    tmp_path: Path, folders: list[str], open_manager: OpenManager
) -> None:
    manager = open_manager(ROOM_FOR_TWO)
    manager.load(ModelSpec(folders[0]))
    manager.load(ModelSpec(folders[1]))
    large = str(write_checkpoint(tmp_path / "large", n_positions=128))
    break_values(large)
    Path(folders[0], "model.safetensors").unlink()
    with pytest.raises(BadCheckpoint, match="NaN"):
        manager.load(ModelSpec(large))
    assert names(manager) == ["1"]


@pytest.mark.parametrize("device_map", ["cpu", torch.device("cpu"), {"": "cpu"}])
def test_the_budget_holds_for_a_model_with_a_device(
    folders: list[str], open_manager: OpenManager, device_map: Any
) -> None:
    manager = open_manager(WEIGHTS_BYTES + CACHE_BYTES + 100)
    with manager.lease(ModelSpec(folders[0])), pytest.raises(NotEnoughMemory):
        manager.load(ModelSpec(folders[1], device_map=device_map))
    manager.load(ModelSpec(folders[1], device_map=device_map))
    assert names(manager) == ["1"]


def test_an_automatic_placement_keeps_to_what_the_budget_leaves(
    tmp_path: Path, folders: list[str], open_manager: OpenManager
) -> None:
    spec, budget = ModelSpec(folders[0], device_map="auto"), WEIGHTS_BYTES // 2
    with pytest.raises(NotEnoughMemory, match="offload_folder"):
        open_manager(budget).load(spec)
    manager = open_manager(budget, offload_folder=tmp_path / "off")
    parts = manager.load(spec).parts
    assert 0 < sum(part.bytes for part in parts if part.device == "cpu") <= budget
    assert any(part.device == "offloaded to disk" for part in parts)
    assert manager.plan(spec).available_bytes > 0


@pytest.mark.parametrize(("caches", "streams"), [(1, 1), (8, 1), (12, 4), (500, 16)])
def test_a_model_writes_as_many_texts_at_once_as_the_memory_holds_caches_beside_what_is_kept(
    folders: list[str], open_manager: OpenManager, caches: int, streams: int
) -> None:
    manager = open_manager(WEIGHTS_BYTES + caches * CACHE_BYTES + 100)
    assert manager.load(ModelSpec(folders[0])).max_streams == streams
    assert manager._residents.all()[0].language_model.engine._scheduler._max_rows == streams


@given(context=st.integers(1, 2**32))
def test_the_room_for_what_is_kept_is_a_gib_a_context_or_some_small_ones(context: int) -> None:
    room = most_kept_bytes(context)
    assert context <= room <= max(context, MOST_BYTES) and room in (context, MOST_BYTES, 8 * context)


def test_a_plan_fetches_no_weights_and_takes_the_precision_from_config_json(
    tmp_path: Path, open_manager: OpenManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**tiny_network().config.to_dict(), "dtype": "bfloat16"}))
    asked: list[bool] = []

    def resolve(checkpoint: str, revision: str | None, weights: bool = True) -> Path:
        asked.append(weights)
        return tmp_path

    monkeypatch.setattr(spec_module, "resolve", resolve)
    assert open_manager().plan(ModelSpec("somebody/model")).weights_bytes == WEIGHTS_BYTES // 2
    assert asked == [False]


def test_a_plan_tells_what_a_model_needs_before_it_is_loaded(folders: list[str], open_manager: OpenManager) -> None:
    manager = open_manager()
    plan = manager.plan(ModelSpec(folders[0]), streams=3, context=32)
    assert (plan.weights_bytes, plan.kv_cache_bytes_per_stream) == (WEIGHTS_BYTES, CACHE_BYTES // 2)
    assert plan.total_bytes == WEIGHTS_BYTES + 3 * CACHE_BYTES // 2 and plan.fits
    assert manager.loaded() == []
    assert manager.plan(ModelSpec(folders[0], precision="bfloat16")).weights_bytes == WEIGHTS_BYTES // 2


def test_a_plan_counts_what_is_loaded_against_the_budget(folders: list[str], open_manager: OpenManager) -> None:
    manager = open_manager(ROOM_FOR_TWO)
    manager.load(ModelSpec(folders[0]))
    assert manager.plan(ModelSpec(folders[1])).available_bytes == ROOM_FOR_TWO - WEIGHTS_BYTES


def test_a_plan_for_what_is_not_there_says_so(folders: list[str], open_manager: OpenManager) -> None:
    manager = open_manager()
    with pytest.raises(CheckpointNotFound, match="nowhere"):
        manager.plan(ModelSpec(folders[0] + "/nowhere"))
    with pytest.raises(BadRequest, match="int7"):
        manager.plan(ModelSpec(folders[0], precision="int7"))
    with pytest.raises(BadRequest, match="context"):
        manager.plan(ModelSpec(folders[0]), context=10**6)


def test_memory_that_ends_while_the_engine_begins_is_told_as_such(
    folders: list[str], open_manager: OpenManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(*arguments: object, **named: object) -> None:
        raise RuntimeError("can't start new thread")

    manager = open_manager()
    monkeypatch.setattr(opening, "Engine", no_thread)
    with pytest.raises(NotEnoughMemory, match="made ready"):
        manager.load(ModelSpec(folders[0]))
    assert manager.loaded() == []


def test_memory_that_ends_while_a_checkpoint_is_looked_at_is_told_as_such(
    folders: list[str], open_manager: OpenManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*arguments: object) -> None:
        raise MemoryError

    manager = open_manager()
    monkeypatch.setattr(offer, "locate", no_room)
    with pytest.raises(NotEnoughMemory, match=r"made ready \(MemoryError\)"):
        manager.load(ModelSpec(folders[0]))
    assert manager.loaded() == []
