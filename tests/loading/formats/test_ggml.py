"""The reader of the file of ggml's GPT-J example: floats, plain blocks, and files that are broken."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.loading.foreign import arrays_of, ggml_bytes, ggml_tensor, write_ggml_model
from tests.loading.tiny import tiny_config, tiny_model
from workbench.errors import BadCheckpoint
from workbench.gptj.config import GPTJConfig
from workbench.loading.checkpoint import open_checkpoint, whole
from workbench.loading.formats.ggml import BLOCKS, ggml_config, open_ggml

FILE = "ggml-model.bin"
CURRENT = 2002
"""A type of weights with the version of the blocks."""


def written(folder: Path, data: bytes) -> Path:
    """A file of these bytes."""
    (folder / FILE).write_bytes(data)
    return folder / FILE


def with_tensors(*tensors: bytes, weights_type: int = CURRENT) -> bytes:
    """A file of the tiny model's sizes with these tensors."""
    return ggml_bytes(tiny_config(), {}, weights_type) + b"".join(tensors)


def test_float16_matrices_stand_beside_float32_vectors(tmp_path):
    arrays = {
        name: value.astype(np.float16) if value.ndim == 2 else value for name, value in arrays_of(tiny_model()).items()
    }
    found = open_ggml(written(tmp_path, ggml_bytes(tiny_config(), arrays, 1)))
    assert set(found.tensors) == set(arrays)
    for name, value in arrays.items():
        read = whole(found, name)
        assert read.numpy().dtype == value.dtype and np.array_equal(read.numpy(), value), name


def test_the_files_own_numbers_make_a_configuration(tmp_path):
    write_ggml_model(tiny_model(n_inner=48), tmp_path)
    values = ggml_config(tmp_path / "ggml-model-f32.bin")
    assert GPTJConfig.from_dict(values).to_dict() == tiny_config(n_inner=48).to_dict()


def reference(kind: str, block: bytes) -> list[float]:
    """The 32 weights of one block, one after another, from the published description."""
    (scale,) = struct.unpack_from("<e", block)
    if kind == "Q8_0":
        return [scale * level for level in struct.unpack_from("<32b", block, 2)]
    least = struct.unpack_from("<e", block, 2)[0] if kind.endswith("_1") else None
    packed = block[-16:]
    levels = [byte & 15 for byte in packed] + [byte >> 4 for byte in packed]
    if kind.startswith("Q5"):
        (high,) = struct.unpack_from("<I", block, len(block) - 20)
        levels = [level | (high >> i & 1) << 4 for i, level in enumerate(levels)]
    if least is not None:
        return [float(np.float32(scale) * np.float32(level) + np.float32(least)) for level in levels]
    return [scale * (level - (16 if kind.startswith("Q5") else 8)) for level in levels]


def random_blocks(number: int, blocks: int, seed: int = 0) -> bytes:
    """Random blocks of a quantised type, with scales of a usual size."""
    draw, kind = np.random.default_rng(seed), BLOCKS[number]
    data = draw.integers(0, 256, (blocks, kind.bytes), dtype=np.uint8)
    data[:, 1], data[:, 3 if kind.name.endswith("_1") else 1] = 0x2C, 0x2C
    return data.tobytes()


@pytest.mark.parametrize("number", BLOCKS, ids=lambda number: BLOCKS[number].name)
def test_a_quantised_matrix_becomes_what_its_blocks_say(number, tmp_path):
    kind, data = BLOCKS[number], random_blocks(number, 200 * 3)
    path = written(tmp_path, with_tensors(ggml_tensor("w", (200, 96), data, number)))
    found = whole(open_ggml(path), "w")
    parts = [data[i : i + kind.bytes] for i in range(0, len(data), kind.bytes)]
    wanted = torch.tensor([reference(kind.name, part) for part in parts]).view(200, 96)
    assert found.dtype == torch.float32 and torch.equal(found, wanted)


@pytest.mark.parametrize("number", BLOCKS, ids=lambda number: BLOCKS[number].name)
def test_a_quantised_matrix_becomes_what_the_gguf_package_makes_of_it(number, tmp_path):
    quants, constants = pytest.importorskip("gguf.quants"), pytest.importorskip("gguf.constants")
    data = random_blocks(number, 200 * 3)
    path = written(tmp_path, with_tensors(ggml_tensor("w", (200, 96), data, number)))
    rows = np.frombuffer(data, np.uint8).reshape(200, -1)
    wanted = quants.dequantize(rows, constants.GGMLQuantizationType(number))
    assert np.array_equal(whole(open_ggml(path), "w").numpy(), wanted)


ROW = np.zeros((2, 32), np.float32)
PLAIN = ggml_tensor("w", (2, 32), ROW.tobytes(), 0)
BROKEN = {
    "empty": (b"", "it is empty"),
    "another file": (b"abcd" * 20, "not a ggml file"),
    "GGUF": (b"GGUF" + bytes(60), "it is a GGUF file"),
    "ggjt": (struct.pack("<i", 0x67676A74) + bytes(60), "it is a ggjt file"),
    "a size of nothing": (struct.pack("<8i", 0x67676D6C, 9, 9, 0, 9, 9, 9, 0), "n_embd 0"),
    "a negative size": (struct.pack("<8i", 0x67676D6C, -9, 9, 9, 9, 9, 9, 0), "vocab_size -9"),
    "another vocabulary": (struct.pack("<9i", 0x67676D6C, 9, 9, 9, 9, 9, 9, 0, 8), "8 tokens, and its vocab_size is 9"),
    "a token of a gigabyte": (struct.pack("<10i", 0x67676D6C, 9, 9, 9, 9, 9, 9, 0, 9, 2**30), "1073741824 bytes"),
    "a token of fewer than no bytes": (struct.pack("<10i", 0x67676D6C, 9, 9, 9, 9, 9, 9, 0, 9, -1), "-1 bytes"),
    "a vocabulary that ends": (struct.pack("<10i", 0x67676D6C, 9, 9, 9, 9, 9, 9, 0, 9, 4), "ends at byte"),
    "a tensor twice": (with_tensors(PLAIN, PLAIN), "'w' twice"),
    "a tensor cut short": (with_tensors(PLAIN[:-1]), "needs 256 bytes, and 255 are left"),
    "a huge tensor": (with_tensors(ggml_tensor("w", (2**31 - 1,) * 4, b"", 0)), "needs"),
    "a negative shape": (with_tensors(struct.pack("<5i", 2, 1, 0, -2, -2) + b"w"), "shape"),
    "too many dimensions": (with_tensors(struct.pack("<3i", 5, 1, 0)), "5 dimensions"),
    "a name of nothing": (with_tensors(struct.pack("<3i", 1, 0, 0)), "name of 0"),
    "an unknown type": (with_tensors(ggml_tensor("w", (2, 32), b"", 77)), "type number 77, which is not read"),
    "a type of nested blocks": (with_tensors(ggml_tensor("w", (2, 256), b"", 12)), "type Q4_K, which is not read"),
    "an old layout": (
        with_tensors(ggml_tensor("w", (2, 32), bytes(40), 2), weights_type=1002),
        r"type Q4_0 in its old layout \(version 1\)",
    ),
    "rows that are no whole blocks": (with_tensors(ggml_tensor("w", (2, 33), bytes(40), 2)), "no whole blocks"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_refused_with_its_name_and_the_reason(what, tmp_path):
    data, reason = BROKEN[what]
    with pytest.raises(BadCheckpoint, match=rf"ggml-model\.bin: .*{reason}"):
        open_ggml(written(tmp_path, data))


SMALL = with_tensors(PLAIN, ggml_tensor("q", (2, 64), random_blocks(2, 4), 2))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(back=st.integers(1, 400), bits=st.integers(1, 255), cut=st.booleans())
def test_changed_bytes_and_cuts_give_a_value_or_bad_checkpoint(tmp_path, back, bits, cut):
    at = len(SMALL) - back
    path = written(tmp_path, SMALL[:at] if cut else SMALL[:at] + bytes([SMALL[at] ^ bits]) + SMALL[at + 1 :])
    try:
        found = open_checkpoint(path.parent)
    except BadCheckpoint as error:
        assert error.file == FILE  # noqa: PT017
        return
    for name, info in found.tensors.items():
        assert info.bytes <= 8 * len(SMALL)
        whole(found, name)
