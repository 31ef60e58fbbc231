"""pytorch_model.bin as it is written here, read by PyTorch itself."""

import zipfile

import pytest
import torch

from workbench.loading.checkpoint import open_checkpoint, whole
from workbench.loading.write import as_tensor_to_save
from workbench.loading.write_bin import STORAGES, write_bin

VALUES = {
    **{str(dtype): torch.tensor([[1, 0, 3], [4, 5, 0]]).to(dtype) for dtype in STORAGES},
    "scalar": torch.tensor(3.5),
    "empty": torch.zeros(0, 4),
    "turned": torch.randn(6, 4).t(),
    "large": torch.randn(300, 200),
}


@pytest.fixture
def path(tmp_path):
    """A file with tensors of every type."""
    write_bin(tmp_path, [as_tensor_to_save(name, value) for name, value in VALUES.items()])
    return tmp_path / "pytorch_model.bin"


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("weights_only", [False, True])
def test_pytorch_reads_every_type_back(weights_only, mapped, path):
    found = torch.load(path, weights_only=weights_only, mmap=mapped)
    assert list(found) == list(VALUES)
    for name, value in VALUES.items():
        assert found[name].dtype == value.dtype and torch.equal(found[name], value), name


def test_the_workbench_reads_it_back(path):
    found = open_checkpoint(path.parent)
    assert all(torch.equal(whole(found, name), value) for name, value in VALUES.items())


def test_the_archive_is_whole_and_its_tensors_lie_where_they_can_be_mapped(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    found = torch.load(path, weights_only=True, mmap=True)
    assert all(value.data_ptr() % 64 == 0 for value in found.values())


def test_a_write_that_fails_leaves_nothing(tmp_path):
    broken = as_tensor_to_save("a", torch.zeros(3))

    def fail() -> torch.Tensor:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        write_bin(tmp_path, [broken, type(broken)("b", (3,), torch.float32, fail)])
    assert list(tmp_path.iterdir()) == []
