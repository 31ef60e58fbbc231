"""Each model is loaded once for everybody, leased models stay, and a failed load takes nothing away."""

import gc
import json
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.text.tiny import tiny_network, write_checkpoint
from workbench import manager as manager_module
from workbench.engine.jobs import Sampling
from workbench.engine.prefix import MOST_BYTES, most_kept_bytes
from workbench.errors import BadCheckpoint, BadRequest, Busy, Cancelled, CannotLoad, CheckpointNotFound, NotEnoughMemory
from workbench.loading import spec as spec_module
from workbench.loading.load import LoadProgress, load_model, save_pretrained
from workbench.manager import DEMO_FOLDER, ModelManager, ModelSpec
from workbench.text.requests import Generate

WEIGHTS_BYTES = sum(4 * weight.numel() for weight in tiny_network().parameters())
CACHE_BYTES = 2 * 2 * 32 * 64 * 4
"""Of one stream: keys and values, layers, width, context, float32."""
ROOM_FOR_TWO = 2 * WEIGHTS_BYTES + CACHE_BYTES + 100
REQUEST = Generate("The unicorn", max_new_tokens=5, sampling=Sampling(0.0))


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    """Three checkpoints."""
    return [str(write_checkpoint(tmp_path / str(seed), seed)) for seed in range(3)]


@pytest.fixture
def open_manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModelManager]]:
    """Makes managers, and closes them at the end without a look for garbage, which takes longer than a test."""
    made: list[ModelManager] = []

    def make(budget_bytes: int | None = None, **options: Any) -> ModelManager:
        made.append(ModelManager(budget_bytes, **options))
        return made[-1]

    yield make
    monkeypatch.setattr(gc, "collect", lambda: 0)
    for manager in made:
        manager.close()


OpenManager = Callable[..., ModelManager]


def names(manager: ModelManager) -> list[str]:
    """The folders of what is loaded, by their last part."""
    return [Path(model.spec.checkpoint).name for model in manager.loaded()]


def text_of(manager: ModelManager, spec: ModelSpec) -> str:
    """What the model writes."""
    with manager.lease(spec) as model:
        return model.generate(REQUEST).text


def break_values(folder: str) -> None:
    """Makes the weights' last values NaN: the header still reads well."""
    weights = Path(folder) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8] + b"\xff" * 8)


def test_threads_that_lease_the_same_model_load_it_once(
    folders: list[str], open_manager: OpenManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[Path] = []

    def slow_load(cls: Any, folder: Path, **options: Any) -> Any:
        loads.append(folder)
        time.sleep(0.1)
        return load_model(cls, folder, **options)

    monkeypatch.setattr(manager_module, "load_model", slow_load)
    manager, spec, texts = open_manager(), ModelSpec(folders[0]), []
    threads = [threading.Thread(target=lambda: texts.append(text_of(manager, spec))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(loads) == 1 and len(texts) == 6 and len(set(texts)) == 1


def test_a_loaded_model_tells_its_parts_and_they_sum_to_its_weights(
    folders: list[str], open_manager: OpenManager
) -> None:
    loaded = open_manager().load(ModelSpec(folders[0]))
    assert [part.name for part in loaded.parts] == [
        "transformer.wte", "transformer.h.0", "transformer.h.1", "transformer.ln_f", "lm_head",
    ]  # fmt: skip
    assert sum(part.bytes for part in loaded.parts) == loaded.weights_bytes == WEIGHTS_BYTES
    assert sum(part.parameters for part in loaded.parts) == loaded.parameters == WEIGHTS_BYTES // 4
    assert {(part.dtype, part.device) for part in loaded.parts} == {("float32", "cpu")}
    assert loaded.seconds > 0 and not loaded.report.missing


def test_another_precision_is_another_model(folders: list[str], open_manager: OpenManager) -> None:
    manager = open_manager()
    manager.load(ModelSpec(folders[0]))
    half = manager.load(ModelSpec(folders[0], precision="bfloat16"))
    assert half.weights_bytes == WEIGHTS_BYTES // 2 and len(manager.loaded()) == 2


def test_a_leased_model_cannot_be_unloaded_until_it_is_given_back(
    folders: list[str], open_manager: OpenManager
) -> None:
    manager, spec = open_manager(), ModelSpec(folders[0])
    with manager.lease(spec), manager.lease(spec):
        assert manager.loaded()[0].leases == 2
        with pytest.raises(Busy, match="in use by 2 requests"):
            manager.unload(spec)
    manager.unload(spec)
    assert manager.loaded() == []
    manager.unload(spec)


def test_a_lease_is_given_back_when_its_user_fails(folders: list[str], open_manager: OpenManager) -> None:
    manager, spec = open_manager(), ModelSpec(folders[0])
    with pytest.raises(ZeroDivisionError), manager.lease(spec):
        raise ZeroDivisionError
    assert manager.loaded()[0].leases == 0


def test_unloading_frees_the_model(folders: list[str], open_manager: OpenManager) -> None:
    manager, spec = open_manager(), ModelSpec(folders[0])
    with manager.lease(spec) as model:
        model.generate(REQUEST)
        gone = weakref.ref(model.engine.served.model)
    del model
    manager.unload(spec)
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("broken", ["weights", "config", "tokenizer", "folder"])
def test_a_failed_load_leaves_the_old_model_serving(folders: list[str], open_manager: OpenManager, broken: str) -> None:
    manager, good, bad = open_manager(), ModelSpec(folders[0]), Path(folders[1])
    before = text_of(manager, good)
    if broken == "folder":
        bad = bad / "nowhere"
    else:
        file = {"weights": "model.safetensors", "config": "config.json", "tokenizer": "tokenizer.json"}[broken]
        (bad / file).write_bytes((bad / file).read_bytes()[:100])
    with pytest.raises(CannotLoad):
        manager.load(ModelSpec(str(bad)))
    assert names(manager) == ["0"] and text_of(manager, good) == before


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
    engine = manager._residents[0].language_model.engine
    file = {"weights": "model.safetensors", "config": "config.json", "tokenizer": "tokenizer.json"}[broken]
    path = Path(folders[1]) / file
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(CannotLoad):
        manager.load(ModelSpec(folders[1]))
    assert manager._residents[0].language_model.engine is engine


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


def test_one_model_under_many_names_is_in_memory_once(
    folders: list[str], open_manager: OpenManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager, first = open_manager(), ModelSpec(folders[0])
    link = Path(folders[0]).with_name("link")
    link.symlink_to(folders[0])
    monkeypatch.chdir(Path(folders[0]).parent)
    others = [
        ModelSpec(folders[0], precision="float32"), ModelSpec(f"{folders[0]}/"), ModelSpec("0", "main"),
        ModelSpec(str(link)), ModelSpec(f"{folders[1]}/../0"),
    ]  # fmt: skip
    assert not any(map(manager.is_loaded, [first, *others]))
    manager.load(first)
    for other in others:
        assert manager.is_loaded(other) and manager.load(other).spec == first
        with manager.lease(other):
            pass
    assert len(manager.loaded()) == 1 and not manager.is_loaded(ModelSpec(folders[0], precision="bfloat16"))
    manager.unload(others[0])
    assert manager.loaded() == []
    assert manager.load(others[0]).spec == others[0] and manager.is_loaded(first)


def test_a_folder_written_anew_in_another_precision_leads_to_the_model_that_is_in_memory(
    folders: list[str], open_manager: OpenManager
) -> None:
    manager, wide = open_manager(), ModelSpec(folders[0], precision="float32")
    save_pretrained(tiny_network().to(torch.bfloat16), folders[0])
    manager.load(wide)
    save_pretrained(tiny_network(), folders[0])
    with manager.lease(ModelSpec(folders[0])):
        assert [model.leases for model in manager.loaded()] == [1]


def test_the_name_of_no_folder_is_not_loaded(open_manager: OpenManager) -> None:
    manager = open_manager()
    for name in ("~nosuchuser/x", "a" * 5000, "a\0b", "somebody/model"):
        assert not manager.is_loaded(ModelSpec(name))
        manager.unload(ModelSpec(name))


def test_a_loaded_model_is_found_though_its_folder_is_gone(folders: list[str], open_manager: OpenManager) -> None:
    manager, spec = open_manager(), ModelSpec(folders[0])
    before = text_of(manager, spec)
    shutil.rmtree(folders[0])
    assert text_of(manager, spec) == before


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
    assert manager._residents[0].language_model.engine._scheduler._max_rows == streams


@given(context=st.integers(1, 2**32))
def test_the_room_for_what_is_kept_is_a_gib_a_context_or_some_small_ones(context: int) -> None:
    room = most_kept_bytes(context)
    assert context <= room <= max(context, MOST_BYTES) and room in (context, MOST_BYTES, 8 * context)


def test_a_load_under_way_is_known_until_it_ends(folders: list[str], open_manager: OpenManager) -> None:
    manager, seen = open_manager(), []
    manager.load(ModelSpec(folders[0]), lambda progress: seen.append(manager.is_loading()))
    assert seen and all(seen) and not manager.is_loading()


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


def test_a_download_holds_up_no_other_load(
    folders: list[str], open_manager: OpenManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager, downloading, arrived = open_manager(), threading.Event(), threading.Event()

    def resolve(checkpoint: str, revision: str | None, weights: bool = True) -> Path:
        if checkpoint == "somebody/model":
            downloading.set()
            arrived.wait(60)
            return Path(folders[1])
        return Path(checkpoint)

    monkeypatch.setattr(spec_module, "resolve", resolve)
    thread = threading.Thread(target=manager.load, args=[ModelSpec("somebody/model")])
    thread.start()
    assert downloading.wait(60)
    manager.load(ModelSpec(folders[0]))
    assert names(manager) == ["0"]
    arrived.set()
    thread.join(60)
    assert names(manager) == ["0", "model"]


def test_a_load_that_its_progress_stops_leaves_no_model(folders: list[str], open_manager: OpenManager) -> None:
    manager, seen = open_manager(), []

    def stop(progress: LoadProgress) -> None:
        seen.append(progress)
        if len(seen) == 3:
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        manager.load(ModelSpec(folders[0]), stop)
    assert manager.loaded() == [] and [progress.tensors_done for progress in seen] == [1, 2, 3]


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


def test_closing_ends_requests_under_way(folders: list[str], open_manager: OpenManager) -> None:
    manager = open_manager()
    long = write_checkpoint(Path(folders[0]).parent / "long", n_positions=4000)
    with manager.lease(ModelSpec(str(long))) as model:
        stream = model.stream(Generate("The unicorn", max_new_tokens=3900))
        next(stream)
        manager.close()
        with pytest.raises(Cancelled, match="unloaded"):
            list(stream)


@pytest.mark.skipif(not (DEMO_FOLDER / "config.json").exists(), reason="the demo checkpoint is not there")
def test_the_demo_is_known_by_name(open_manager: OpenManager) -> None:
    manager = open_manager()
    assert manager.known() == ["demo"]
    assert manager.plan(ModelSpec()).parameters > 10**6
    manager.load(ModelSpec())
    assert manager.is_loaded(ModelSpec(str(DEMO_FOLDER))) and manager.is_loaded(ModelSpec("demo", "main"))
