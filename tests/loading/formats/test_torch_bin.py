"""The reader of pickled checkpoints."""

import pickle
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from tests.loading.tiny import tiny_model, write_bin, write_legacy_bin
from workbench.errors import BadCheckpoint
from workbench.loading import checkpoint as reading
from workbench.loading.checkpoint import whole
from workbench.loading.formats.torch_bin import TorchCheckpoint


class Evil:
    """Creates a file when it is unpickled."""

    def __init__(self, canary: Path):
        self.canary = canary

    def __reduce__(self):
        return open, (str(self.canary), "w")


def saved(tmp_path: Path, values: object, **options: object) -> Path:
    """These values as pytorch_model.bin."""
    path = tmp_path / "pytorch_model.bin"
    torch.save(values, path, **options)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_tries_to_run_code_is_named_and_not_run(zipped, tmp_path):
    canary = tmp_path / "canary"
    path = saved(tmp_path, {"a": torch.zeros(2), "b": Evil(canary)}, _use_new_zipfile_serialization=zipped)
    with pytest.raises(BadCheckpoint, match="tries to run code"):
        TorchCheckpoint(path)
    assert not canary.exists()


def test_a_bare_pickle_that_tries_to_run_code_is_not_run(tmp_path):
    canary = tmp_path / "canary"
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(pickle.dumps(Evil(canary), protocol=2))
    with pytest.raises(BadCheckpoint, match=r"pytorch_model\.bin"):
        TorchCheckpoint(path)
    assert not canary.exists()


NOT_PLAIN = {
    "sparse": lambda: torch.zeros(2, 2).to_sparse(),
    "sparse rows": lambda: torch.eye(2).to_sparse_csr(),
    "complex": lambda: torch.zeros(2, dtype=torch.complex64),
    "meta": lambda: torch.zeros(2, device="meta"),
    "list": lambda: [torch.zeros(2)],
    "text": lambda: "text",
    "number": lambda: 5,
}


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("value", NOT_PLAIN.values(), ids=NOT_PLAIN)
def test_anything_but_a_plain_tensor_is_refused(value, tmp_path):
    with pytest.raises(BadCheckpoint, match="'a'"):
        TorchCheckpoint(saved(tmp_path, {"a": value()}))


def test_a_small_file_that_claims_a_huge_tensor_is_refused(tmp_path):
    bomb = torch.zeros(1).expand(2**17, 2**17)
    path = saved(tmp_path, {"a": bomb})
    assert path.stat().st_size < 10_000
    with pytest.raises(BadCheckpoint, match="claims more values than it holds"):
        TorchCheckpoint(path)


@pytest.mark.parametrize("values", [torch.zeros(2), [torch.zeros(2)], {1: torch.zeros(2)}])
def test_a_file_without_names_is_refused(values, tmp_path):
    with pytest.raises(BadCheckpoint, match="by name"):
        TorchCheckpoint(saved(tmp_path, values))


def test_views_transposes_and_parameters_read_as_they_are(tmp_path):
    base = torch.randn(6, 200)
    values = {
        "t": base.t(),
        "view": base[2:4, 3:9],
        "p": torch.nn.Parameter(base),
        "n": torch.tensor(3.0),
        "e": base[:0],
    }
    found = TorchCheckpoint(saved(tmp_path, OrderedDict(values)))
    for name, value in values.items():
        assert torch.equal(whole(found, name), value.detach()), name


@pytest.mark.parametrize("write", [write_bin, write_legacy_bin])
@pytest.mark.parametrize("fraction", [0.0, 0.00005, 0.01, 0.3, 0.7, 0.99, 0.9999])
def test_a_file_cut_anywhere_is_refused(write, fraction, tmp_path):
    write(tiny_model(), tmp_path)
    path = tmp_path / "pytorch_model.bin"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * fraction)])
    with pytest.raises(BadCheckpoint, match=r"pytorch_model\.bin: ."):
        TorchCheckpoint(path)


def test_a_compressed_archive_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "pytorch_model.bin"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(50_000_000))
    with pytest.raises(BadCheckpoint, match=r"data\.pkl"):
        TorchCheckpoint(path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the pages are counted by Linux")
def test_the_pages_of_the_file_are_given_back_while_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "PIECE_BYTES", 2**20)
    path = saved(tmp_path, {"a": torch.ones(2**13, 2**10), "b": torch.full((2**10,), 2.0)})
    found = TorchCheckpoint(path)
    before = file_bytes()
    highest = 0
    for piece in found.pieces("a"):
        assert bool((piece == 1).all())
        highest = max(highest, file_bytes() - before)
    assert highest < 8 * 2**20
    assert bool((whole(found, "b") == 2).all())
    assert bool((whole(found, "a") == 1).all())


def file_bytes() -> int:
    """Resident pages of this process that belong to files, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile"))
