"""What holds for every checkpoint format of the drawer."""

import pytest
import torch

from tests.loading.foreign import ALL_WRITERS
from tests.loading.tiny import WRITERS, tiny_model, write_bin, write_safetensors
from workbench.collect import collect
from workbench.loading import checkpoint as reading
from workbench.loading import formats
from workbench.loading.checkpoint import Format, find_weights, open_checkpoint, whole


@pytest.mark.parametrize("form", ALL_WRITERS)
@pytest.mark.parametrize("piece_bytes", [1, 8 * 2**20])
def test_every_form_lists_and_reads_every_tensor(form, piece_bytes, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "PIECE_BYTES", piece_bytes)
    model = tiny_model()
    ALL_WRITERS[form](model, tmp_path)
    found = open_checkpoint(tmp_path)
    state = model.state_dict()
    assert set(found.tensors) == set(state)
    for name, value in state.items():
        info = found.tensors[name]
        assert (info.name, info.shape, info.dtype, info.bytes) == (name, tuple(value.shape), value.dtype, value.nbytes)
        assert (tmp_path / info.file).is_file()
        assert torch.equal(whole(found, name), value)


@pytest.mark.parametrize("form", ALL_WRITERS)
@pytest.mark.parametrize("piece_bytes", [1, 50_000])
def test_any_range_of_rows_is_read_as_it_stands_and_into_its_place(form, piece_bytes, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "PIECE_BYTES", piece_bytes)
    model = tiny_model(vocab_size=400, n_inner=600)
    ALL_WRITERS[form](model, tmp_path)
    found = open_checkpoint(tmp_path)
    for name, value in model.state_dict().items():
        rows, into = range(len(value) // 5, len(value) - 3), torch.zeros(value.numel())
        assert torch.equal(
            torch.cat([piece.clone() for piece in found.pieces(name, rows)]), value[rows.start : -3].reshape(-1)
        )
        for _ in found.pieces(name, rows, into):
            pass
        assert torch.equal(into.view(value.shape)[rows.start : -3], value[rows.start : -3]), name


def test_every_format_is_written_by_a_test():
    assert len(collect(formats, "FORMAT")) == 6 <= len(ALL_WRITERS)


def test_every_format_is_a_format_with_its_own_files():
    found: list[Format] = list(collect(formats, "FORMAT").values())
    files = [file for one in found for file in one.files]
    assert len(set(files)) == len(files)
    assert len({one.preference for one in found}) == len(found)


def test_safetensors_are_preferred_to_pickles(tmp_path):
    write_bin(tiny_model(seed=1), tmp_path)
    write_safetensors(tiny_model(seed=2), tmp_path)
    assert find_weights(tmp_path)[0].name == "safetensors"


def test_a_link_into_the_hubs_cache_is_followed(tmp_path):
    snapshot, blobs = tmp_path / "snapshots" / "abc", tmp_path / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    WRITERS["sharded safetensors"](tiny_model(), snapshot)
    for number, path in enumerate(sorted(snapshot.iterdir())):
        path.rename(blobs / f"hash{number}")
        path.symlink_to(f"../../blobs/hash{number}")
    found = open_checkpoint(snapshot)
    assert torch.equal(whole(found, "lm_head.bias"), tiny_model().lm_head.bias)
