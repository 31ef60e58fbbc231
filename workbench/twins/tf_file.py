"""Writes `tf_model.h5`: for each layer of the model a group, in it one data set a weight, under the weight's path."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy

from workbench.loading.write import whole_file

TF_FILE = "tf_model.h5"


def write_h5(folder: Path, layers: Mapping[str, Sequence[Any]]) -> None:
    """Writes the file whole or not at all; bfloat16, which HDF5 does not have, as float32.

    Args:
        layers: the variables of each of the model's layers, each with its `path`.
    """
    with whole_file(folder / TF_FILE) as raw, h5py.File(raw, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        for layer, variables in layers.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [f"{variable.path}:0".encode() for variable in variables]
            for variable in variables:
                values = numpy.asarray(variable)
                group.create_dataset(f"{variable.path}:0", data=values.astype(stored_type(values.dtype.name)))


def stored_type(dtype: str) -> str:
    """The type in which the file holds values of a type; none of them is changed by it."""
    return "float32" if dtype == "bfloat16" else dtype
