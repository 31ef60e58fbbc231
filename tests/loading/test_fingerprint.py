"""A trunk's fingerprint: the same for every copy of its values, another for other values."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.loading.foreign import ALL_WRITERS, write_mesh_model
from tests.loading.tiny import (
    CLASSES,
    tiny_model,
    write_bin,
    write_safetensors,
    write_sharded_bin,
    write_sharded_safetensors,
)
from workbench.errors import BadCheckpoint
from workbench.loading import fingerprint as fingerprint_module
from workbench.loading.fingerprint import Fingerprints, trunk_fingerprint, weights_fingerprint

FORMATS = [write_safetensors, write_sharded_safetensors, write_bin, write_sharded_bin]


def fingerprint(model: nn.Module, folder: Path) -> str:
    """Of a model once it is saved."""
    write_safetensors(model, folder)
    return trunk_fingerprint(folder)


def test_sharding_and_format_change_nothing(tmp_path: Path) -> None:
    for write in FORMATS:
        write(tiny_model(), tmp_path / write.__name__)
    assert len({trunk_fingerprint(folder) for folder in tmp_path.iterdir()}) == 1


@pytest.mark.parametrize("shards", [1, 2, 4])
def test_parts_shorter_than_what_is_looked_at_change_nothing(tmp_path: Path, shards: int) -> None:
    model = tiny_model(vocab_size=400)
    write_safetensors(model, tmp_path / "a")
    write_mesh_model(model, tmp_path / "b", shards)
    assert trunk_fingerprint(tmp_path / "a") == trunk_fingerprint(tmp_path / "b")


@pytest.mark.parametrize("form", ALL_WRITERS)
def test_every_format_of_a_model_is_the_same_model(tmp_path: Path, form: str) -> None:
    write_safetensors(tiny_model(), tmp_path / "a")
    ALL_WRITERS[form](tiny_model(), tmp_path / "b")
    assert weights_fingerprint(tmp_path / "a") == weights_fingerprint(tmp_path / "b")


def test_a_head_a_prefix_and_old_buffers_change_nothing(tmp_path: Path) -> None:
    trunk = tiny_model().transformer.state_dict()
    seen = set()
    for cls in CLASSES:
        model = tiny_model(cls, seed=1)
        getattr(model, "transformer", model).load_state_dict(trunk)
        seen.add(fingerprint(model, tmp_path / cls.__name__))
    state = tiny_model().state_dict() | {"transformer.h.0.attn.masked_bias": torch.tensor(-1e9)}
    (tmp_path / "old").mkdir()
    torch.save(state, tmp_path / "old" / "pytorch_model.bin")
    assert seen == {trunk_fingerprint(tmp_path / "old")}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_wider_copy_of_the_same_values_is_the_same_trunk(tmp_path: Path, dtype: torch.dtype) -> None:
    narrow = tiny_model().to(dtype)
    first = fingerprint(narrow, tmp_path / "narrow")
    assert first == fingerprint(narrow.float(), tmp_path / "wide")
    assert first != fingerprint(tiny_model(), tmp_path / "original")


def test_another_first_value_in_any_trunk_tensor_is_another_trunk(tmp_path: Path) -> None:
    model = tiny_model()
    seen = [fingerprint(model, tmp_path)]
    for parameter in model.transformer.parameters():
        with torch.no_grad():
            parameter.view(-1)[0] += 1
        seen.append(fingerprint(model, tmp_path))
    assert len(set(seen)) == len(seen)


def test_another_shape_of_the_same_values_is_another_trunk(tmp_path: Path) -> None:
    seen = set()
    for width in (16, 64):
        model = tiny_model(n_inner=width)
        for parameter in model.parameters():
            nn.init.zeros_(parameter)
        seen.add(fingerprint(model, tmp_path))
    assert len(seen) == 2


def test_it_is_remembered_until_the_weights_are_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known, calls = Fingerprints(), []

    def count(folder: Path) -> str:
        calls.append(folder)
        return trunk_fingerprint(folder)

    monkeypatch.setattr("workbench.loading.fingerprint.trunk_fingerprint", count)
    write_safetensors(tiny_model(), tmp_path)
    first = {known.of(tmp_path) for _ in range(3)}
    write_safetensors(tiny_model(seed=1), tmp_path)
    assert len(first) == 1 and known.of(tmp_path) not in first and len(calls) == 2


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match="no weights"):
        trunk_fingerprint(tmp_path)


def test_another_head_is_another_model_of_the_same_trunk(tmp_path: Path) -> None:
    model, known = tiny_model(), Fingerprints()
    write_safetensors(model, tmp_path / "one")
    with torch.no_grad():
        model.lm_head.weight.view(-1)[0] += 1
    write_safetensors(model, tmp_path / "other")
    folders = [tmp_path / "one", tmp_path / "other"]
    assert len({known.of_model(folder) for folder in folders}) == 2 and len({known.of(f) for f in folders}) == 1


@pytest.mark.parametrize("file", ["tokenizer.json", "vocab.json", "merges.txt", "config.json"])
def test_another_tokenizer_or_configuration_is_another_model(tmp_path: Path, file: str) -> None:
    known = Fingerprints()
    write_safetensors(tiny_model(), tmp_path)
    before = known.of_model(tmp_path)
    (tmp_path / file).write_text("other")
    assert known.of_model(tmp_path) != before


def test_a_models_fingerprint_reads_the_beginning_of_its_tensors_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_safetensors(tiny_model(), tmp_path)
    checkpoint, pieces = fingerprint_module.open_checkpoint(tmp_path), []

    class Watched:
        tensors = checkpoint.tensors

        def pieces(self, name: str) -> Iterator[torch.Tensor]:
            for piece in checkpoint.pieces(name):
                pieces.append(name)
                yield piece

    monkeypatch.setattr(fingerprint_module, "open_checkpoint", lambda folder: Watched())
    Fingerprints().of_model(tmp_path)
    assert len(pieces) == len(set(pieces)) == len(checkpoint.tensors)
