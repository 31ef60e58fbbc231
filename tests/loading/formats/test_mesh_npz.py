"""The reader of mesh-transformer-jax's slim checkpoints, against the published rules."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.loading.mesh_tree import expected_state, in_bfloat16, mesh_tree, write_mesh
from tests.loading.tiny import tiny_config, write_config
from workbench.errors import BadCheckpoint
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading import checkpoint as reading
from workbench.loading.checkpoint import open_checkpoint, whole
from workbench.loading.load import from_pretrained

SIZES = {
    "two layers": {"n_layer": 2, "vocab_size": 80, "n_embd": 32, "n_head": 4, "rotary_dim": 4},
    "twelve layers, whose order as text is another": {"n_layer": 12, "vocab_size": 16, "n_embd": 16, "n_head": 2},
    "a narrow inside": {"n_layer": 1, "vocab_size": 400, "n_embd": 64, "n_head": 8, "n_inner": 40},
    "wider than a strip": {"n_layer": 1, "vocab_size": 1600, "n_embd": 1024, "n_head": 8, "n_inner": 2048},
}


def sized(name: str) -> GPTJConfig:
    """One of the sizes."""
    return tiny_config(**SIZES[name])


def check(folder: Path, state: dict[str, torch.Tensor]) -> None:
    """Every tensor reads as it should, in float32."""
    found = open_checkpoint(folder)
    assert set(found.tensors) == set(state)
    for name, value in state.items():
        assert found.tensors[name].shape == value.shape, name
        assert torch.equal(whole(found, name).float(), value), name


@pytest.mark.parametrize("shards", [1, 2, 8])
@pytest.mark.parametrize("size", SIZES)
def test_a_tree_becomes_what_the_published_rules_say(size, shards, tmp_path):
    tree = mesh_tree(sized(size), shards)
    write_mesh(tree, tmp_path)
    check(tmp_path, expected_state(tree))


@pytest.mark.parametrize("shards", [1, 2, 8])
def test_bfloat16_stored_without_a_type_is_read_bit_for_bit(shards, tmp_path):
    tree = in_bfloat16(mesh_tree(sized("two layers"), shards))
    write_mesh(tree, tmp_path, bfloat16=True)
    check(tmp_path, expected_state(tree))
    found = open_checkpoint(tmp_path)
    assert found.tensors["transformer.h.0.attn.q_proj.weight"].dtype == torch.bfloat16


@pytest.mark.parametrize("piece_bytes", [1, 50_000])
def test_pieces_of_any_size_and_rows_of_any_range_join_to_the_tensor(piece_bytes, tmp_path, monkeypatch):
    tree = mesh_tree(sized("a narrow inside"), 8)
    write_mesh(tree, tmp_path)
    monkeypatch.setattr(reading, "PIECE_BYTES", piece_bytes)
    found = open_checkpoint(tmp_path)
    for name, value in expected_state(tree).items():
        rows = range(len(value) // 5, len(value) - 3)
        pieces = torch.cat([piece.clone() for piece in found.pieces(name, rows)])
        assert torch.equal(pieces, value[rows.start : rows.stop].reshape(-1)), name
        into = torch.zeros(value.numel())
        for _ in found.pieces(name, rows, into):
            pass
        assert torch.equal(into.view(value.shape)[rows.start : rows.stop], value[rows.start : rows.stop]), name


def test_a_tree_without_the_training_step_is_read_too(tmp_path):
    tree = mesh_tree(sized("two layers"), 2)
    write_mesh(tree, tmp_path, step=False)
    check(tmp_path, expected_state(tree))


def test_a_model_is_loaded_from_the_shards(tmp_path):
    config, tree = sized("two layers"), mesh_tree(sized("two layers"), 2)
    write_mesh(tree, tmp_path)
    write_config(config, tmp_path)
    model = from_pretrained(GPTJForCausalLM, tmp_path)
    state = expected_state(tree)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not model.load_report.dropped and not model.load_report.unexpected


def broken(tmp_path: Path, shards: int = 2) -> Path:
    """A tree to be broken."""
    write_mesh(mesh_tree(sized("two layers"), shards), tmp_path)
    return tmp_path


BREAKS = {
    "a shard away": (lambda folder: shutil.rmtree(folder / "shard_0"), "shard_0|weights"),
    "a middle file away": (lambda folder: (folder / "shard_1" / "3.npz").unlink(), r"shard_1/3\.npz"),
    "the last file away": (lambda folder: (folder / "shard_1" / "15.npz").unlink(), "different numbers"),
    "an empty file": (lambda folder: (folder / "shard_1" / "2.npz").write_bytes(b""), r"shard_1/2\.npz: it is empty"),
    "no zip file": (lambda folder: (folder / "shard_0" / "0.npz").write_bytes(b"x" * 99), r"shard_0/0\.npz"),
    "another name inside": (lambda folder: np.savez(folder / "shard_0" / "0.npz", a=np.zeros(3)), r"no arr_0\.npy"),
    "texts": (lambda folder: np.savez(folder / "shard_0" / "0.npz", np.array(["a"])), "type '<U1'"),
    "compressed": (lambda folder: np.savez_compressed(folder / "shard_0" / "0.npz", np.zeros(999)), "compressed"),
    "Fortran's order": (
        lambda folder: np.savez(folder / "shard_0" / "1.npz", np.asfortranarray(np.zeros((3, 4)))),
        "does not begin as an array",
    ),
    "a further array": (lambda folder: add(folder, 1), "10 L"),
    "arrays of the whole training state": (lambda folder: add(folder, 51), "10 L"),
    "another layer of arrays": (lambda folder: add(folder, 10), "shape|belongs|types"),
}


def add(folder: Path, count: int) -> None:
    """Further arrays before the others of both shards."""
    for shard in ("shard_0", "shard_1"):
        path = folder / shard / "0.npz"
        with np.load(path) as held:
            arrays = [held[name] for name in held.files]
        np.savez(path, *[np.zeros(32, np.float32)] * count, *arrays)


@pytest.mark.parametrize("what", BREAKS)
def test_a_broken_tree_is_refused_with_the_reason(what, tmp_path):
    break_it, reason = BREAKS[what]
    break_it(broken(tmp_path))
    with pytest.raises(BadCheckpoint, match=reason):
        open_checkpoint(tmp_path)


def test_a_model_whose_sides_do_not_fit_each_other_is_refused(tmp_path):
    tree = mesh_tree(sized("two layers"), 2)
    path = next(path for path in tree if path.endswith("layer_1/~/linear_4/w"))
    tree[path] = [part[:, :-1] for part in tree[path]]
    write_mesh(tree, tmp_path)
    with pytest.raises(BadCheckpoint, match=r"h\.1\.mlp\.fc_in\.weight"):
        open_checkpoint(tmp_path)


def test_an_array_that_claims_more_than_its_file_holds_is_refused(tmp_path):
    path = broken(tmp_path) / "shard_0" / "0.npz"
    with zipfile.ZipFile(path, "w") as archive:
        description = b"{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999, 999999999999), }\n"
        archive.writestr("arr_0.npy", b"\x93NUMPY\x01\x00" + len(description).to_bytes(2, "little") + description)
    with pytest.raises(BadCheckpoint, match="needs 39999"):
        open_checkpoint(tmp_path)


@pytest.fixture(scope="module")
def whole_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree that stays whole but for one byte at a time."""
    return broken(tmp_path_factory.mktemp("mesh"))


def read_all(folder: Path) -> None:
    """Reads every tensor."""
    found = open_checkpoint(folder)
    for name in found.tensors:
        whole(found, name)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, 15), place=st.floats(0, 1), bit=st.integers(0, 7), cut=st.booleans())
def test_a_flipped_bit_or_a_cut_gives_a_value_or_bad_checkpoint(whole_tree, number, place, bit, cut):
    path = whole_tree / "shard_1" / f"{number}.npz"
    data = path.read_bytes()
    at = int(place * (len(data) - 1))
    broken_data = data[:at] if cut else data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
    path.write_bytes(broken_data)
    try:
        read_all(whole_tree)
    except BadCheckpoint as error:
        cut = not error.reason
    finally:
        path.write_bytes(data)
    assert not cut
