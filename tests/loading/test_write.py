"""Writing checkpoints: one tensor at a time, whole files only."""

import json

import pytest
import torch

from workbench.errors import BadRequest
from workbench.loading.checkpoint import open_checkpoint, whole
from workbench.loading.write import TensorToSave, write_json, write_weights


def to_save(values: dict[str, torch.Tensor]) -> list[TensorToSave]:
    """These tensors."""
    return [
        TensorToSave(name, tuple(value.shape), value.dtype, lambda value=value: value) for name, value in values.items()
    ]


VALUES = {
    "a": torch.arange(12, dtype=torch.int8).view(3, 4),
    "b": torch.randn(5, 3),
    "c": torch.randn(7).bfloat16(),
    "d": torch.tensor(True),
    "e": torch.zeros(0, 4),
    "f": torch.randn(4, 6).t(),
    "g": torch.randn(3, dtype=torch.float64),
}


@pytest.mark.parametrize("shard_bytes", [1, 40, 100, 10**9])
def test_tensors_come_back_bit_for_bit_whatever_the_shards(shard_bytes, tmp_path):
    write_weights(tmp_path, to_save(VALUES), shard_bytes)
    found = open_checkpoint(tmp_path)
    assert set(found.tensors) == set(VALUES)
    for name, value in VALUES.items():
        assert torch.equal(whole(found, name), value) and found.tensors[name].dtype == value.dtype


def test_the_index_is_in_the_published_form(tmp_path):
    write_weights(tmp_path, to_save(VALUES), 60)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {"total_size": sum(value.nbytes for value in VALUES.values())}
    shards = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert shards == [f"model-{i:05d}-of-{len(shards):05d}.safetensors" for i in range(1, len(shards) + 1)]
    assert set(index["weight_map"].values()) == set(shards)


def test_every_tensor_lies_at_a_multiple_of_its_items(tmp_path):
    write_weights(tmp_path, to_save(VALUES))
    data = (tmp_path / "model.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    for name, value in VALUES.items():
        assert (8 + length + header[name]["data_offsets"][0]) % value.itemsize == 0


def test_a_write_that_fails_leaves_the_older_files_as_they_were(tmp_path):
    write_weights(tmp_path, to_save(VALUES))
    before = (tmp_path / "model.safetensors").read_bytes()

    def fail() -> torch.Tensor:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        write_weights(tmp_path, [*to_save(VALUES), TensorToSave("z", (2,), torch.float32, fail)], 30)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    assert (tmp_path / "model.safetensors").read_bytes() == before


def test_a_tensor_that_is_not_as_announced_is_refused(tmp_path):
    with pytest.raises(BadRequest, match="announced"):
        write_weights(tmp_path, [TensorToSave("a", (2,), torch.float32, lambda: torch.zeros(3))])
    assert list(tmp_path.iterdir()) == []


def test_a_shard_of_no_bytes_is_refused(tmp_path):
    with pytest.raises(BadRequest, match="max_shard_bytes"):
        write_weights(tmp_path, to_save(VALUES), 0)


def test_a_json_file_is_replaced_whole(tmp_path):
    write_json(tmp_path / "x.json", {"a": "é"})
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"a": object()})
    assert json.loads((tmp_path / "x.json").read_text("utf-8")) == {"a": "é"}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
