"""Each model is loaded once for everybody, leased models stay, and a failed load takes nothing away."""

import gc
import shutil
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import managed
from tests.managed import (
    REQUEST,
    WEIGHTS_BYTES,
    OpenManager,
    names,
    text_of,
)
from tests.text.tiny import tiny_network, write_checkpoint
from workbench import opening
from workbench.errors import Busy, Cancelled, CannotLoad
from workbench.loading import spec as spec_module
from workbench.loading.load import LoadProgress, load_model, save_pretrained
from workbench.manager import SHIPPED, ModelSpec
from workbench.text.requests import Generate

folders, open_manager = managed.folders, managed.open_manager


def test_threads_that_lease_the_same_model_load_it_once(
    folders: list[str], open_manager: OpenManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[Path] = []

    def slow_load(cls: Any, folder: Path, **options: Any) -> Any:
        loads.append(folder)
        time.sleep(0.1)
        return load_model(cls, folder, **options)

    monkeypatch.setattr(opening, "load_model", slow_load)
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


def test_a_load_under_way_is_known_until_it_ends(folders: list[str], open_manager: OpenManager) -> None:
    manager, seen = open_manager(), []
    manager.load(ModelSpec(folders[0]), lambda progress: seen.append(manager.is_loading()))
    assert seen and all(seen) and not manager.is_loading()


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


def test_closing_ends_requests_under_way(folders: list[str], open_manager: OpenManager) -> None:
    manager = open_manager()
    long = write_checkpoint(Path(folders[0]).parent / "long", n_positions=4000)
    with manager.lease(ModelSpec(str(long))) as model:
        stream = model.stream(Generate("The unicorn", max_new_tokens=3900))
        next(stream)
        manager.close()
        with pytest.raises(Cancelled, match="unloaded"):
            list(stream)


def test_the_models_that_ship_are_known_by_name(open_manager: OpenManager) -> None:
    assert open_manager().known() == ["demo", "demo-small"]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_model_that_ships_is_the_one_in_its_folder(open_manager: OpenManager, name: str) -> None:
    manager = open_manager()
    assert manager.plan(ModelSpec(name)).parameters > 10**6
    manager.load(ModelSpec(name))
    assert manager.is_loaded(ModelSpec(str(SHIPPED[name]))) and manager.is_loaded(ModelSpec(name, "main"))
