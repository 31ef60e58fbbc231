"""The weights of any checkpoint as NumPy arrays under PyTorch's names, and a twin's weights as tensors to save."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from torch import nn

from workbench.errors import BadCheckpoint, BadRequest
from workbench.gptj.config import GPTJConfig
from workbench.loading.checkpoint import find_weights, open_checkpoint
from workbench.loading.config_file import CONFIG
from workbench.loading.load import Checked, check_checkpoint
from workbench.loading.names import LoadReport
from workbench.loading.precision import read_float, saved_precision
from workbench.loading.source import resolve
from workbench.loading.write import TensorToSave, write_json

BFLOAT16 = "bfloat16"
"""NumPy knows the type by this name as soon as JAX or TensorFlow is imported."""
CPU = torch.device("cpu")


@dataclass(frozen=True)
class TwinWeights:
    """A checkpoint that is checked against its torch class, its values still in the files."""

    checked: Checked[nn.Module]

    @property
    def config(self) -> GPTJConfig:
        """The checkpoint's configuration."""
        config: GPTJConfig = self.checked.model.config  # type: ignore[assignment]
        return config

    @property
    def report(self) -> LoadReport:
        """What of the checkpoint is not used, and which parameters it lacks."""
        return self.checked.matching.report

    @property
    def dtype(self) -> str:
        """Of the arrays, as every framework names it: float32, bfloat16, float16."""
        return _name(self.checked.chosen.dtype)

    def arrays(self) -> Iterator[tuple[str, NDArray]]:
        """Every parameter of the torch class with its values, matrices (out, in), one after another.

        Raises:
            BadCheckpoint: a file ends early or holds NaN or infinite values.
        """
        for name, source in self.checked.matching.sources.items():
            yield name, as_array(read_float(self.checked.checkpoint, source, self.checked.chosen.dtype, CPU))


def open_weights(
    cls: type[nn.Module],
    folder_or_hub_id: str | os.PathLike[str],
    revision: str | None = None,
    dtype: str | None = None,
) -> TwinWeights:
    """A checkpoint of any format that the workbench reads, checked whole before a value is read.

    Args:
        cls: the torch class whose twin is to be filled.
        dtype: of the arrays; None keeps the checkpoint's.

    Raises:
        CannotLoad: it is not there or is broken. BadRequest: its weights are quantised.
    """
    folder = resolve(folder_or_hub_id, revision)
    quantised = saved_precision(open_checkpoint(folder).tensors)
    if quantised is not None:
        raise BadRequest(
            f"{folder.name} holds {quantised.name} weights, and the twins compute with floats only. "
            "Load the checkpoint that it was made from."
        )
    return TwinWeights(check_checkpoint(cls, folder, dtype=dtype))


def as_array(values: torch.Tensor) -> NDArray:
    """A tensor on the CPU as an array of the same memory."""
    if values.dtype == torch.bfloat16:  # PyTorch does not hand it to NumPy itself
        return values.view(torch.int16).numpy().view(BFLOAT16)
    return values.numpy()


def as_tensor_to_save(name: str, value: Any, transposed: bool) -> TensorToSave:
    """A framework's array under PyTorch's name; it is copied to a tensor when its turn to be written comes.

    Args:
        transposed: a matrix (in, out), which PyTorch has as (out, in).
    """
    dtype = getattr(torch, value.dtype.name)

    def read() -> torch.Tensor:
        array = numpy.array(numpy.asarray(value).T if transposed else value, order="C")
        if dtype == torch.bfloat16:
            return torch.from_numpy(array.view(numpy.int16)).view(dtype)
        return torch.from_numpy(array)

    return TensorToSave(name, tuple(value.shape[::-1] if transposed else value.shape), dtype, read)


def prepared_folder(folder: str | os.PathLike[str], file: str) -> Path:
    """A folder to save `file` to, made if it is not there.

    Raises:
        BadRequest: it is a file, or it holds weights that a reader would take in place of the new ones.
    """
    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise BadRequest(f"{path} is a file; give a folder to save to.")
    path.mkdir(parents=True, exist_ok=True)
    try:
        _, held = find_weights(path)
    except BadCheckpoint:
        return path
    if held.name != file:
        raise BadRequest(f"{path} holds {held.name}, which would be read in place of {file}. Name another folder.")
    return path


def write_config(folder: Path, cls: type[nn.Module], config: GPTJConfig, dtype: str) -> None:
    """config.json as published: `architectures` names the torch class, `dtype` the type of the weights."""
    values = config.to_dict()
    values.pop("torch_dtype", None)
    write_json(folder / CONFIG, {**values, "architectures": [cls.__name__], "dtype": dtype})


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
