"""What names a model in a run: the same for the same answers, another for any other model, precision or head."""

import gc
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.loading.saved_heads import saved
from tests.text.tiny import write_checkpoint
from workbench.manager import ModelManager, ModelSpec


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelManager]:
    """A manager with a folder of heads."""
    monkeypatch.setattr(gc, "collect", lambda: 0)
    made = ModelManager(heads_folder=tmp_path / "heads")
    yield made
    made.close()


def test_a_model_is_named_by_all_that_its_numbers_depend_on(manager: ModelManager, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "trunk")
    identity = manager.identity(ModelSpec(str(folder)))
    assert identity.checkpoint == str(folder) and identity.precision == identity.dtype == "float32"
    assert identity.device == "cpu" and identity.head is None and identity.revision is None
    assert identity.parameters > 0 and identity.weights_bytes == 4 * identity.parameters
    assert identity.context_tokens > 0 and len(identity.fingerprint) == 64


def test_a_precision_is_another_model_of_the_same_weights(manager: ModelManager, tmp_path: Path) -> None:
    spec = ModelSpec(str(write_checkpoint(tmp_path / "trunk")))
    plain, half = manager.identity(spec), manager.identity(replace(spec, precision="bfloat16"))
    assert half.dtype == half.precision == "bfloat16" and half.fingerprint == plain.fingerprint


def test_a_copy_under_another_name_has_the_same_fingerprint(manager: ModelManager, tmp_path: Path) -> None:
    specs = [ModelSpec(str(write_checkpoint(tmp_path / name))) for name in ("one", "copy")]
    one, copy = (manager.identity(spec) for spec in specs)
    assert replace(copy, checkpoint=one.checkpoint) == one


def test_a_head_trained_anew_is_another_head(manager: ModelManager, tmp_path: Path) -> None:
    trunk = write_checkpoint(tmp_path / "trunk")
    spec, seen = ModelSpec(str(trunk)), []
    for name in ("mood", "mood again"):
        saved(tmp_path / "heads" / "mood", trunk, name=name)
        head = manager.identity(spec, str(tmp_path / "heads" / "mood")).head
        assert head is not None and head.name == name and head.kind == "classify"
        seen.append(head.sha256)
    assert len(set(seen)) == 2 and all(seen)


def test_an_identity_is_plain_json_values(manager: ModelManager, tmp_path: Path) -> None:
    trunk = write_checkpoint(tmp_path / "trunk")
    saved(tmp_path / "heads" / "mood", trunk)
    found = asdict(manager.identity(ModelSpec(str(trunk)), "mood"))
    assert {type(value) for value in (*found.values(), *found["head"].values())} <= {str, int, dict, type(None)}
