"""What the TensorFlow twins share: inputs in one dictionary, training and prediction by Keras, loading and saving."""

import os
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch

from workbench.gptj import model
from workbench.gptj.config import GPTJConfig
from workbench.loading.formats.tf_h5 import torch_name
from workbench.loading.names import PREFIX
from workbench.twins.tf_file import TF_FILE, stored_type, write_h5
from workbench.twins.tf_network import TFGPTJMainLayer, keras
from workbench.twins.weights import open_weights, prepared_folder, write_config


class TFGPTJPreTrainedModel(keras.Model):
    """What all four share: inputs in one dictionary, loading and saving.

    Args:
        dtype: a Keras type or policy ("float32", "bfloat16", "mixed_bfloat16"); None is Keras's own setting.
    """

    torch_class: ClassVar[type[torch.nn.Module]]

    def __init__(self, config: GPTJConfig, dtype: Any = None):
        super().__init__(dtype=dtype, autocast=False)
        self.config = config
        self.transformer = TFGPTJMainLayer(config, self.dtype_policy)

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights."""
        for layer in self.layers:
            layer.build((None, None, self.config.n_embd))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As Keras calls a model; as published, the first argument may be a dictionary of all."""
        if args and isinstance(args[0], Mapping):
            args, kwargs = args[1:], {**args[0], **kwargs}
        return super().__call__(*args, **kwargs)

    @classmethod
    def from_pretrained(
        cls, folder_or_hub_id: str | os.PathLike[str], revision: str | None = None, dtype: Any = None
    ) -> Self:
        """The twin of a checkpoint in any format that the workbench reads; `load_report` tells what was left over.

        Args:
            dtype: a Keras type or policy; None keeps the checkpoint's type.

        Raises:
            CannotLoad: the checkpoint is not there or is broken. BadRequest: its weights are quantised.
        """
        held = None if dtype is None else keras.dtype_policies.get(dtype).variable_dtype
        weights = open_weights(cls.torch_class, folder_or_hub_id, revision, held)
        twin = cls(weights.config, weights.dtype if dtype is None else dtype)
        variables = {twin._torch_name(variable): variable for variable in twin.weights}
        for name, array in weights.arrays():
            variables[name].assign(array.T if variables[name].path.endswith("/kernel") else array)
        twin.load_report = weights.report
        if weights.report.untrained:
            warnings.warn(f"{cls.__name__} from {folder_or_hub_id}: {weights.report}", stacklevel=2)
        return twin

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Writes config.json and tf_model.h5, whole or not at all.

        Raises:
            BadRequest: the folder holds weights that a reader would take in place of these.
        """
        path = prepared_folder(folder, TF_FILE)
        write_h5(path, {layer.name: layer.weights for layer in self.layers})
        write_config(path, self.torch_class, self.config, stored_type(self.weights[0].dtype))

    def predict_step(self, data: Any) -> Any:
        """As Keras's, for `predict`: the outputs that there are, by name."""
        return {name: value for name, value in super().predict_step(data)._asdict().items() if value is not None}

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """As Keras's, for `fit`: the model's own loss where the labels stand among the inputs, as published."""
        own = getattr(y_pred, "loss", None)
        return super().compute_loss(x, y, y_pred, sample_weight, training) if own is None else own

    def _torch_name(self, variable: Any) -> str:
        name = torch_name(variable.path)
        return name.removeprefix(PREFIX) if self.torch_class is model.GPTJModel else name

    def caches(self, use_cache: bool | None) -> bool:
        """Whether a call gives `past_key_values` back; None takes the configuration's `use_cache`."""
        return self.config.use_cache if use_cache is None else use_cache
