"""Heads on disk: read back bit for bit, refused with one clear error when anything about them is wrong."""

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.loading.saved_heads import card_for, checkpoint, head_module, lora, saved
from tests.loading.tiny import tiny_config
from workbench.errors import BadCheckpoint, BadRequest, WorkbenchError
from workbench.loading import fingerprint, heads
from workbench.loading.heads import heads_in, load_head, read_card, save_head, trunk_fingerprint

KINDS, METHODS = ("classify", "answer"), ("probe", "lora")


@pytest.fixture
def trunk(tmp_path: Path) -> Path:
    """A checkpoint."""
    return checkpoint(tmp_path / "trunk")


@pytest.fixture(params=[(kind, method) for kind in KINDS for method in METHODS], ids="-".join)
def head(request: pytest.FixtureRequest, tmp_path: Path, trunk: Path) -> Path:
    """A saved head of each kind, with and without an adapter."""
    return saved(tmp_path / "mood", trunk, *request.param)


def files(folder: Path) -> dict[str, bytes]:
    """What a folder holds."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_head_comes_back_bit_for_bit(head: Path, trunk: Path) -> None:
    read = load_head(head, tiny_config(), trunk_fingerprint(trunk))
    written = head_module(read.card).state_dict()
    assert all(torch.equal(read.module.state_dict()[name], value) for name, value in written.items())
    assert read.module.state_dict().keys() == written.keys()
    assert (read.adapter is not None) == (read.card.method == "lora")
    if read.adapter is not None:
        there = lora()
        assert read.adapter.layers == there.layers and read.adapter.scaling == there.scaling
        assert all(torch.equal(a, b) for a, b in zip(read.adapter.parameters(), there.parameters(), strict=True))


def test_a_card_comes_back_as_it_was_with_its_folder_and_a_key(trunk: Path, tmp_path: Path) -> None:
    card = card_for(trunk_fingerprint(trunk))
    save_head(tmp_path / "mood", card, head_module(card))
    read = read_card(tmp_path / "mood")
    assert dataclasses.replace(read, folder=None, key="") == card
    assert read.folder == tmp_path / "mood" and str(read.folder) in read.key


def test_what_json_cannot_hold_is_saved_as_the_nearest_it_can(trunk: Path, tmp_path: Path) -> None:
    card = card_for("f", metrics={"pearson": math.nan}, data={"file": Path("moods.csv"), "columns": ("text", 1)})
    save_head(tmp_path / "mood", card, head_module(card))
    read = read_card(tmp_path / "mood")
    assert math.isnan(read.metrics["pearson"]) and read.data == {"file": "moods.csv", "columns": ["text", 1]}


def test_a_retrained_head_has_another_key(trunk: Path, tmp_path: Path) -> None:
    card = card_for(trunk_fingerprint(trunk))
    keys = set()
    for seed in range(3):
        save_head(tmp_path / "mood", card, head_module(card, seed))
        keys.add(read_card(tmp_path / "mood").key)
    assert len(keys) == 3


def test_a_head_replaces_an_earlier_one_whole(trunk: Path, tmp_path: Path) -> None:
    saved(tmp_path / "mood", trunk, "answer", "lora")
    saved(tmp_path / "mood", trunk, "classify", "probe")
    assert sorted(files(tmp_path / "mood")) == ["README.md", "head.json", "head.safetensors"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mood", "trunk"]


def fail(*_: object) -> None:
    """As a full disk does."""
    raise OSError("disk full")


def test_a_save_that_fails_leaves_the_earlier_head(
    trunk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "mood", trunk)
    before = files(folder)
    monkeypatch.setattr("workbench.loading.heads.write_card", fail)
    with pytest.raises(OSError, match="disk full"):
        saved(folder, trunk, "answer", "lora")
    assert files(folder) == before and sorted(path.name for path in tmp_path.iterdir()) == ["mood", "trunk"]


def test_a_training_runs_own_files_stay_where_they_are(trunk: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mood"
    folder.mkdir()
    with (folder / "training-log.jsonl").open("w") as log:
        for step in range(3):
            log.write(f"{step} ")
            log.flush()
            saved(folder, trunk)
        log.write("end")
    assert (folder / "training-log.jsonl").read_text() == "0 1 2 end"


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("place", ["head", "adapter"])
def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path, value: float, place: str) -> None:
    card = card_for("f", method="lora")
    module, adapter = head_module(card), lora()
    nn.init.constant_(module.weight if place == "head" else adapter.pairs[0].lora_A.weight, value)
    with pytest.raises(BadRequest, match="NaN or infinite"):
        save_head(tmp_path / "mood", card, module, adapter)
    assert list(tmp_path.iterdir()) == []


def test_a_head_that_is_not_as_its_card_says_is_not_saved(tmp_path: Path) -> None:
    for module in (nn.Linear(32, 4, bias=False), nn.Linear(32, 3, bias=True)):
        with pytest.raises(BadRequest, match="its card asks for 3, without"):
            save_head(tmp_path / "mood", card_for("f"), module)


def test_a_head_on_another_trunk_is_refused_and_says_which(head: Path) -> None:
    with pytest.raises(BadRequest, match="'mood' was trained on another trunk: demo"):
        load_head(head, tiny_config(), "0" * 64)


def weights_of(head: Path) -> Path:
    """The file with the head's tensors."""
    return next(head.glob("*.safetensors"))


def test_a_missing_or_truncated_file_is_one_clear_error(head: Path, trunk: Path) -> None:
    fingerprint, path = trunk_fingerprint(trunk), weights_of(head)
    whole = path.read_bytes()
    for size in (0, 4, 50, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(BadCheckpoint, match=f"^mood/{path.name}: .*train the head again"):
            load_head(head, tiny_config(), fingerprint)
    path.unlink()
    with pytest.raises(BadCheckpoint, match=f"^mood/{path.name}: "):
        load_head(head, tiny_config(), fingerprint)


def test_nan_weights_are_refused(head: Path, trunk: Path) -> None:
    path = weights_of(head)
    path.write_bytes(path.read_bytes()[:-4] + b"\xff" * 4)
    with pytest.raises(BadCheckpoint, match="NaN"):
        load_head(head, tiny_config(), trunk_fingerprint(trunk))


def test_a_head_of_another_width_is_refused(head: Path, trunk: Path) -> None:
    with pytest.raises(BadCheckpoint, match=r"shape"):
        load_head(head, tiny_config(n_embd=64), trunk_fingerprint(trunk))


def test_an_adapter_for_more_layers_is_refused(trunk: Path, tmp_path: Path) -> None:
    head = saved(tmp_path / "mood", trunk, method="lora")
    with pytest.raises(BadCheckpoint, match=r"h\.1\..*no place in this model"):
        load_head(head, tiny_config(n_layer=1), trunk_fingerprint(trunk))


@pytest.mark.parametrize("changes, said", [
    ({"kind": "guess"}, "kind"), ({"labels": "ab"}, "labels"), ({"labels": ["a", "a"]}, "different"),
    ({"labels": []}, "needs labels"), ({"problem": None}, "problem"), ({"name": 7}, "texts"), ({"name": " "}, "name"),
    ({"metrics": {"accuracy": "good"}}, "numbers"), ({"data": []}, "objects"), ({"trunk": None}, "texts"),
    ({"problem": "regression"}, "at most one label"), ({"kind": "answer"}, "no labels"),
    ({"head_version": 2}, "Update the workbench"),
    ({"head_version": None}, "head_version"), ({"head_version": "1"}, "head_version"), ({"method": ["lora"]}, "texts"),
])  # fmt: skip
def test_a_card_that_says_something_impossible_is_refused(
    trunk: Path, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    folder = saved(tmp_path / "mood", trunk)
    values = json.loads((folder / "head.json").read_text())
    (folder / "head.json").write_text(json.dumps({**values, **changes}))
    with pytest.raises(BadCheckpoint, match=f"^mood/head.json: .*({said})"):
        read_card(folder)


def test_a_card_from_a_version_with_more_fields_is_read(trunk: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path / "mood", trunk)
    values = json.loads((folder / "head.json").read_text())
    (folder / "head.json").write_text(json.dumps({**values, "mood": "good", "key": "x", "folder": "/"}))
    assert read_card(folder).folder == folder


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"\xff\xfe", b'{"a": 1, "a": 2}', b"[" * 100_000, b" " * 5_000_000]
)
def test_a_card_that_is_no_json_object_is_refused(trunk: Path, tmp_path: Path, content: bytes) -> None:
    folder = saved(tmp_path / "mood", trunk)
    (folder / "head.json").write_bytes(content)
    with pytest.raises(BadCheckpoint, match=r"^mood/head\.json: "):
        read_card(folder)


@pytest.mark.parametrize("name", ["nowhere", "empty", "a\0b", "x" * 5000, "mood/head.json"])
def test_a_path_that_is_no_head_is_refused(trunk: Path, tmp_path: Path, name: str) -> None:
    saved(tmp_path / "mood", trunk)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadRequest, match="not a head's folder"):
        read_card(tmp_path / name)


def test_a_whole_checkpoint_is_no_head_and_says_what_to_do(trunk: Path) -> None:
    with pytest.raises(BadRequest, match="choose it as the model itself"):
        read_card(trunk)


def test_heads_in_lists_every_sound_head_by_folder_and_nothing_else(trunk: Path, tmp_path: Path) -> None:
    shelf = tmp_path / "heads"
    assert heads_in(shelf) == []
    for name in ("b", "a", ".hidden", "broken"):
        saved(shelf / name, trunk, name=f"head {name}")
    saved(shelf / "whole", trunk, method="full")
    (shelf / "broken" / "head.json").write_text("{")
    (shelf / "notes.txt").write_text("")
    (shelf / "empty").mkdir()
    assert [card.name for card in heads_in(shelf)] == ["head a", "head b"]


def test_every_error_about_a_head_is_the_workbenchs_own(trunk: Path, tmp_path: Path) -> None:
    fingerprint, folder = trunk_fingerprint(trunk), saved(tmp_path / "mood", trunk, method="lora")
    whole = files(folder)
    for name in whole:
        for content in (b"", b"\0" * 100, whole[name][: len(whole[name]) // 2], b"null"):
            (folder / name).write_bytes(content)
            if name == "README.md":
                load_head(folder, tiny_config(), fingerprint)  # what is for people is not read
            else:
                with pytest.raises(WorkbenchError):
                    load_head(folder, tiny_config(), fingerprint)
        (folder / name).write_bytes(whole[name])


def test_a_label_that_no_file_can_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="Unicode"):
        card_for("f", labels=("a\ud800", "b"))


@pytest.mark.parametrize("labels", [("a", "b", "c"), ("a", "b", "c", "d")])
def test_a_head_trained_anew_while_it_is_read_comes_with_its_own_card(
    trunk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: tuple[str, ...]
) -> None:
    folder = saved(tmp_path / "mood", trunk)
    read, trainings = heads._read_weights, [labels]

    def retrained_before(there: Path) -> dict[str, torch.Tensor]:
        if trainings:
            saved(folder, trunk, labels=trainings.pop())
        return read(there)

    monkeypatch.setattr(heads, "_read_weights", retrained_before)
    loaded = load_head(folder, tiny_config(), trunk_fingerprint(trunk))
    assert loaded.card == read_card(folder) and loaded.card.labels == labels
    assert loaded.module.out_features == len(labels)


def test_heads_that_stay_the_same_are_digested_once(
    trunk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        saved(tmp_path / "heads" / name, trunk)
    read: list[str] = []
    digest = fingerprint._digest
    monkeypatch.setattr(fingerprint, "_digest", lambda path: read.append(str(path)) or digest(path))
    digests = fingerprint.FileDigests()
    first = heads_in(tmp_path / "heads", digests)
    assert heads_in(tmp_path / "heads", digests) == first and len(read) == len(set(read)) == 4
    saved(tmp_path / "heads" / "b", trunk, name="glum")
    assert heads_in(tmp_path / "heads", digests)[1].key == read_card(tmp_path / "heads" / "b").key != first[1].key
