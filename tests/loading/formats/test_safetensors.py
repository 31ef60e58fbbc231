"""The strict safetensors reader."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from tests.loading.tiny import tiny_model
from workbench.errors import BadCheckpoint
from workbench.loading import checkpoint as reading
from workbench.loading.checkpoint import whole
from workbench.loading.formats.safetensors import DTYPES, SafetensorsCheckpoint
from workbench.loading.load import save_pretrained


def entry(dtype: str = "F32", shape: object = (2, 2), offsets: object = (0, 16)) -> dict[str, object]:
    """One tensor's entry in a header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def write(path: Path, header: dict[str, object] | str, data: bytes = bytes(16)) -> Path:
    """A file with this header and data."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.mark.parametrize("dtype", DTYPES.values())
def test_every_dtype_reads_back_what_the_safetensors_package_wrote(dtype, tmp_path):
    package = pytest.importorskip("safetensors.torch")
    bits = torch.randint(0, 2, (3, 5, 2)).to(dtype)
    package.save_file(
        {"a": bits, "scalar": bits[0, 0, 0].clone(), "empty": bits[:0].clone()}, tmp_path / "x.safetensors"
    )
    found = SafetensorsCheckpoint(tmp_path / "x.safetensors")
    assert torch.equal(whole(found, "a"), bits)
    assert torch.equal(whole(found, "scalar"), bits[0, 0, 0])
    assert whole(found, "empty").shape == (0, 5, 2)


def test_the_safetensors_package_reads_back_what_is_written_here(tmp_path):
    package = pytest.importorskip("safetensors")
    model = tiny_model()
    save_pretrained(model, tmp_path)
    with package.safe_open(tmp_path / "model.safetensors", "pt") as found:
        assert found.metadata() == {"format": "pt"}
        for name, value in model.state_dict().items():
            assert torch.equal(found.get_tensor(name), value)


def test_pieces_are_whole_rows_and_join_to_the_tensor(tmp_path, monkeypatch):
    package = pytest.importorskip("safetensors.torch")
    monkeypatch.setattr(reading, "PIECE_BYTES", 1)
    values = torch.randn(200, 7)
    package.save_file({"a": values}, tmp_path / "x.safetensors")
    pieces = [piece.clone() for piece in SafetensorsCheckpoint(tmp_path / "x.safetensors").pieces("a")]
    assert [len(piece) for piece in pieces] == [64 * 7, 64 * 7, 64 * 7, 8 * 7]
    assert torch.equal(torch.cat(pieces).view(200, 7), values)


HEADERS = {
    "a key twice": '{"a":%s,"a":%s}' % ((json.dumps(entry()),) * 2),
    "unknown dtype": {"a": entry("F4")},
    "dtype that is no text": {"a": entry(["F32"])},  # type: ignore[arg-type]
    "negative size": {"a": entry(shape=[-2, -2])},
    "size that is no number": {"a": entry(shape=["2", 2])},
    "size that is a truth value": {"a": entry(shape=[True, 4])},
    "impossible size": {"a": entry(shape=[2**60, 2**60])},
    "shape of another size": {"a": entry(shape=[2, 3])},
    "too many dimensions": {"a": entry(shape=[1] * 30 + [4])},
    "offsets backwards": {"a": entry(offsets=[16, 0])},
    "one offset": {"a": entry(offsets=[16])},
    "overlap": {"a": entry(), "b": entry(offsets=[8, 24])},
    "gap": {"a": entry(shape=[2], offsets=[8, 16])},
    "bytes left over": {"a": entry(shape=[2], offsets=[0, 8])},
    "past the end": {"a": entry(shape=[4, 2], offsets=[0, 32])},
    "entry that is a list": {"a": [1]},
    "further key": {"a": {**entry(), "more": 1}},
    "not an object": "[1, 2]",
    "not JSON": '{"a": ',
    "deep nesting": '{"a":' * 100_000,
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_malformed_header_is_refused_with_the_files_name(header, tmp_path):
    with pytest.raises(BadCheckpoint, match=r"x\.safetensors"):
        SafetensorsCheckpoint(write(tmp_path / "x.safetensors", header))


def test_a_header_longer_than_the_file_is_refused_without_reading_it(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(BadCheckpoint, match="cut short"):
        SafetensorsCheckpoint(path)


@pytest.mark.parametrize("fraction", [0.0, 0.0005, 0.01, 0.3, 0.7, 0.99, 0.9999])
def test_a_file_cut_anywhere_is_refused(fraction, tmp_path):
    save_pretrained(tiny_model(), tmp_path)
    path = tmp_path / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * fraction)])
    with pytest.raises(BadCheckpoint, match=r"model\.safetensors"):
        SafetensorsCheckpoint(path)


def test_an_empty_tensor_may_begin_where_another_does(tmp_path):
    header = {"a": entry(shape=(2,), offsets=(0, 8)), "e": entry(shape=(0,), offsets=(0, 0))}
    found = SafetensorsCheckpoint(write(tmp_path / "x.safetensors", header, bytes(8)))
    assert whole(found, "e").shape == (0,) and whole(found, "a").tolist() == [0, 0]


def test_a_file_that_shrinks_while_a_tensor_is_read_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "PIECE_BYTES", 1)
    header = {"a": entry(shape=(128, 1), offsets=(0, 512))}
    path = write(tmp_path / "x.safetensors", header, bytes(512))
    pieces = SafetensorsCheckpoint(path).pieces("a")
    next(pieces)
    os.truncate(path, path.stat().st_size - 100)
    with pytest.raises(BadCheckpoint, match="it ended while 'a' was read"):
        next(pieces)


CHANGES = {
    "cut short": lambda path: os.truncate(path, path.stat().st_size - 1),
    "written over": lambda path: os.utime(path, (1, 1)),
    "replaced by one of the same size and time": lambda path: replace_alike(path),
}


def replace_alike(path: Path) -> None:
    """Puts a copy in the file's place."""
    copy = path.with_name("copy")
    shutil.copy2(path, copy)
    copy.replace(path)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_file_changed_between_its_header_and_its_values_is_refused(change, tmp_path):
    path = write(tmp_path / "x.safetensors", {"a": entry()})
    found = SafetensorsCheckpoint(path)
    assert whole(found, "a").shape == (2, 2)
    change(path)
    with pytest.raises(BadCheckpoint, match=r"x\.safetensors: it was changed while it was read"):
        whole(found, "a")


def test_a_file_that_goes_away_while_it_is_read_is_named(tmp_path):
    found = SafetensorsCheckpoint(write(tmp_path / "x.safetensors", {"a": entry()}))
    (tmp_path / "x.safetensors").unlink()
    with pytest.raises(BadCheckpoint, match=r"x\.safetensors: 'a' can't be read"):
        whole(found, "a")


def test_an_index_that_names_a_tensor_its_shard_lacks_is_refused(tmp_path):
    write(tmp_path / "model-1.safetensors", {"a": entry()})
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-1.safetensors"}}))
    with pytest.raises(BadCheckpoint, match="'b'"):
        SafetensorsCheckpoint(index)
