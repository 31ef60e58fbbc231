"""The reader and the writer of Flax's format: names, transposes, arrays in parts, and files that are broken."""

import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.loading.foreign import arrays_of, flax_tree, packed, write_flax_model
from tests.loading.tiny import tiny_config, tiny_model, write_config
from workbench.errors import BadCheckpoint
from workbench.loading import write_flax as writing
from workbench.loading.checkpoint import open_checkpoint, whole
from workbench.loading.formats import flax_msgpack as reading
from workbench.loading.formats.flax_msgpack import DTYPES
from workbench.loading.write import as_tensor_to_save
from workbench.loading.write_flax import write_flax

FILE = "flax_model.msgpack"
VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)


def written(folder: Path, data: Any) -> Path:
    """A folder with this tree, or these bytes, as Flax's file."""
    (folder / FILE).write_bytes(data if isinstance(data, bytes) else packed(data))
    return folder


def extension(inner: bytes, kind: int = 1) -> bytes:
    """A map with one array of these bytes."""
    return b"\x81\xa1a\xc9" + struct.pack(">Ib", len(inner), kind) + inner


def array(shape: list[int], type_name: str, data: bytes, claimed: int | None = None) -> bytes:
    """The inside of an array's extension."""
    length = len(data) if claimed is None else claimed
    sizes = b"".join(packed(size) for size in shape)
    return b"\x93" + bytes([0x90 + len(shape)]) + sizes + packed(type_name) + b"\xc6" + struct.pack(">I", length) + data


def test_a_matrix_is_turned_and_a_vector_and_the_embedding_are_not(tmp_path):
    tree = {"q": {"kernel": VALUES, "bias": VALUES[0]}, "ln": {"scale": VALUES[1]}, "wte": {"embedding": VALUES}}
    found = open_checkpoint(written(tmp_path, tree))
    values = torch.from_numpy(VALUES)
    wanted = {"q.weight": values.t(), "q.bias": values[0], "ln.weight": values[1], "wte.weight": values}
    assert set(found.tensors) == set(wanted)
    assert all(torch.equal(whole(found, name), value) for name, value in wanted.items())


def test_every_type_is_read(tmp_path):
    for name, dtype in DTYPES.items():
        values = torch.tensor([[1, 0, 3], [4, 5, 0]]).to(dtype)
        data = array([2, 3], name, values.view(torch.uint8).numpy().tobytes())
        assert torch.equal(whole(open_checkpoint(written(tmp_path, extension(data))), "a"), values)


def test_a_type_as_new_as_bfloat16_keeps_its_bits(tmp_path):
    values = torch.randn(5, 3).bfloat16()
    write_flax(tmp_path, [as_tensor_to_save("score.weight", values)])
    found = open_checkpoint(tmp_path)
    assert found.tensors["score.weight"].dtype == torch.bfloat16
    assert torch.equal(whole(found, "score.weight"), values)


@pytest.mark.parametrize("cuts", [(5,), (1, 2, 3, 11), (4, 8)])
def test_an_array_in_parts_is_one(cuts, tmp_path):
    parts = {str(i): part for i, part in enumerate(np.split(VALUES.reshape(-1), cuts))}
    cut = {"__msgpack_chunked_array__": True, "shape": {"0": 3, "1": 4}, "chunks": parts}
    found = open_checkpoint(written(tmp_path, {"lm_head": {"kernel": cut}, "wte": {"embedding": cut}}))
    assert torch.equal(whole(found, "lm_head.weight"), torch.from_numpy(VALUES.T))
    assert torch.equal(whole(found, "wte.weight"), torch.from_numpy(VALUES))


def test_weights_in_a_training_state_are_found(tmp_path):
    found = open_checkpoint(written(tmp_path, {"params": {"lm_head": {"bias": VALUES[0]}}}))
    assert set(found.tensors) == {"lm_head.bias"}


def test_the_files_of_an_index_are_one_checkpoint(tmp_path):
    written(tmp_path, {"lm_head": {"bias": VALUES[0]}})
    (tmp_path / FILE).rename(tmp_path / "flax_model-00001-of-00002.msgpack")
    written(tmp_path, {"transformer": {"wte": {"embedding": VALUES}}})
    (tmp_path / FILE).rename(tmp_path / "flax_model-00002-of-00002.msgpack")
    (tmp_path / f"{FILE}.index.json").write_text(
        '{"weight_map": {"lm_head/bias": "flax_model-00001-of-00002.msgpack", '
        '"transformer/wte/embedding": "flax_model-00002-of-00002.msgpack"}}'
    )
    assert set(open_checkpoint(tmp_path).tensors) == {"lm_head.bias", "transformer.wte.weight"}


BROKEN = {
    "empty": (b"", "it is empty"),
    "no map": (b"\x01", "not a map"),
    "a list": (b"\x93\x01\x02\x03", "0x93"),
    "a text in place of an array": (b"\x81\xa1a\xa1b", "0xa1"),
    "a number in place of an array": ({"a": 5}, "'a' is 5"),
    "bytes after the end": (b"\x80\x80", "1 bytes follow"),
    "a key that is no text": (b"\x81\x01\x80", "0x01"),
    "a key twice": (b"\x82\xa1a\x80\xa1a\x80", "twice"),
    "a name that is not UTF-8": (b"\x81\xa1\xff\x80", "UTF-8"),
    "a name of a gigabyte": (b"\x81\xdb\x40\x00\x00\x00", "name of 1073741824"),
    "a map of four billion": (b"\xdf\xff\xff\xff\xff", "ends at byte"),
    "too deep": (b"\x81\xa1a" * 1000 + b"\x80", "nested"),
    "another extension": (extension(b"abc", 3), "extension type 3"),
    "an array that is no list": (extension(b"\x80"), "0x80|shape, type"),
    "an array of two parts": (extension(b"\x92\x90\xa1a"), "shape, type, bytes"),
    "an unknown type": (extension(array([1], "object", b"12345678")), "type 'object'"),
    "too many dimensions": (extension(array([1] * 9, "int8", b"1")), "9 dimensions"),
    "a shape of another size": (extension(array([3], "float32", b"1234")), "needs 12 bytes, and has 4"),
    "a shape beyond all measure": (extension(array([2**63, 2**63], "float32", b"")), "needs"),
    "a negative size": (extension(b"\x93\x91\xff\xa4int8\xc4\x00"), "0xff"),
    "bytes that reach beyond the array": (extension(array([8], "int8", b"1234", 8)), "needs|ends"),
    "bytes that reach beyond the file": (
        b"\x81\xa1a\xc9\xff\xff\xff\xf0\x01" + array([4096], "int8", b"", 4096),
        "has",
    ),
    "parts without an array": ({"a": {"__msgpack_chunked_array__": True, "shape": {}, "chunks": {}}}, "parts of 'a'"),
    "parts of another size": (
        {"a": {"__msgpack_chunked_array__": True, "shape": {"0": 9}, "chunks": {"0": VALUES[0]}}},
        "hold 4 values",
    ),
    "parts with a shape of texts": (
        {"a": {"__msgpack_chunked_array__": True, "shape": {"0": {}}, "chunks": {"0": VALUES[0]}}},
        "list of sizes",
    ),
    "two names for one tensor": ({"a": {"kernel": VALUES[0], "scale": VALUES[0]}}, "'a.weight' twice"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_refused_with_its_name_and_the_reason(what, tmp_path):
    data, reason = BROKEN[what]
    with pytest.raises(BadCheckpoint, match=rf"flax_model\.msgpack: .*(?:{reason})"):
        open_checkpoint(written(tmp_path, data))


def test_a_file_of_endless_names_is_refused_before_they_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MOST_VALUES", 100)
    data = b"\xdf\x00\x00\x01\x00" + b"".join(b"\xa2" + f"{i:02x}".encode() + b"\x80" for i in range(256))
    with pytest.raises(BadCheckpoint, match="more than 100 values"):
        open_checkpoint(written(tmp_path, data))


@pytest.mark.parametrize("fraction", [0.0005, 0.01, 0.3, 0.7, 0.99, 0.9999])
def test_a_file_cut_anywhere_is_refused(fraction, tmp_path):
    write_flax_model(tiny_model(), tmp_path)
    data = (tmp_path / FILE).read_bytes()
    with pytest.raises(BadCheckpoint, match="ends at byte"):
        open_checkpoint(written(tmp_path, data[: int(len(data) * fraction)]))


def test_a_file_changed_after_its_list_was_read_is_refused(tmp_path):
    write_flax_model(tiny_model(), tmp_path)
    found = open_checkpoint(tmp_path)
    shutil.copy(tmp_path / FILE, tmp_path / "copy")
    (tmp_path / "copy").replace(tmp_path / FILE)
    with pytest.raises(BadCheckpoint, match="changed while it was read"):
        whole(found, "lm_head.bias")


def test_a_file_that_goes_away_while_it_is_read_is_named(tmp_path):
    write_flax_model(tiny_model(), tmp_path)
    found = open_checkpoint(tmp_path)
    (tmp_path / FILE).unlink()
    with pytest.raises(BadCheckpoint, match=r"flax_model\.msgpack: 'lm_head\.bias' can't be read"):
        whole(found, "lm_head.bias")


SMALL = packed({"h": {"0": {"kernel": VALUES, "bias": VALUES[0]}}, "wte": {"embedding": VALUES}})


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, len(SMALL) - 1), bits=st.integers(1, 255), cut=st.booleans())
def test_changed_bytes_and_cuts_give_a_value_or_bad_checkpoint(tmp_path, at, bits, cut):
    data = SMALL[:at] if cut else SMALL[:at] + bytes([SMALL[at] ^ bits]) + SMALL[at + 1 :]
    refused = False
    try:
        found = open_checkpoint(written(tmp_path, data))
        for name, info in found.tensors.items():
            assert info.bytes < 1000
            whole(found, name)
    except BadCheckpoint as error:
        refused = bool(error.reason)
    assert refused or not cut


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
def test_any_bytes_give_a_list_of_tensors_or_bad_checkpoint(tmp_path, data):
    try:
        found = open_checkpoint(written(tmp_path, b"\x81\xa1a" + data))
    except BadCheckpoint as error:
        assert error.file == FILE  # noqa: PT017
    else:
        assert all(info.bytes < 1000 for info in found.tensors.values())


def test_what_is_written_is_what_flax_itself_writes(tmp_path):
    serialization = pytest.importorskip("flax.serialization")
    model = tiny_model(vocab_size=300, n_inner=70_000 // 32)
    write_flax(tmp_path, [as_tensor_to_save(name, value) for name, value in model.state_dict().items()])
    assert (tmp_path / FILE).read_bytes() == serialization.to_bytes(flax_tree(arrays_of(model)))


def test_what_is_written_in_parts_is_what_msgpack_reads(tmp_path, monkeypatch):
    msgpack = pytest.importorskip("msgpack")
    monkeypatch.setattr(writing, "PARTS_BYTES", 1000)
    values = torch.randn(40, 70)
    write_flax(tmp_path, [as_tensor_to_save("lm_head.weight", values), as_tensor_to_save("b", torch.ones(3))])
    tree = msgpack.unpackb((tmp_path / FILE).read_bytes())
    cut = tree["lm_head"]["kernel"]
    assert cut["__msgpack_chunked_array__"] is True and cut["shape"] == {"0": 70, "1": 40}
    parts = [msgpack.unpackb(part.data) for part in cut["chunks"].values()]
    assert all(len(data) <= 1000 and name == "float32" for _, name, data in parts)
    assert b"".join(data for _, _, data in parts) == values.t().contiguous().numpy().tobytes()
    assert torch.equal(whole(open_checkpoint(tmp_path), "lm_head.weight"), values)


def test_flax_reads_back_what_is_written(tmp_path):
    serialization = pytest.importorskip("flax.serialization")
    model = tiny_model()
    write_config(tiny_config(), tmp_path)
    write_flax(tmp_path, [as_tensor_to_save(name, value) for name, value in model.state_dict().items()])
    tree = serialization.msgpack_restore((tmp_path / FILE).read_bytes())
    kernel = tree["transformer"]["h"]["1"]["mlp"]["fc_in"]["kernel"]
    assert np.array_equal(kernel, model.state_dict()["transformer.h.1.mlp.fc_in.weight"].numpy().T)
