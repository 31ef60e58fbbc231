"""config.json, read and written."""

import json

from tests.loading.tiny import tiny_config, tiny_model, write_config
from workbench.loading.config_file import config_values, read_config


def test_a_configuration_comes_back_with_its_further_keys(tmp_path):
    write_config(tiny_config(), tmp_path, task_specific_params={"text-generation": {"do_sample": True}}, n_ctx=64)
    config = read_config(tmp_path)
    assert config.n_embd == 32
    assert config.extra == {"task_specific_params": {"text-generation": {"do_sample": True}}, "n_ctx": 64}


def test_what_is_written_says_class_type_and_dtype(tmp_path):
    write_config(tiny_config(), tmp_path, torch_dtype="float16", quantization_config={"quant_method": "bitsandbytes"})
    model = tiny_model()
    model.config = read_config(tmp_path)
    values = config_values(model, ["transformer.wte.weight"])
    assert values["architectures"] == ["GPTJForCausalLM"]
    assert values["model_type"] == "gptj"
    assert values["dtype"] == "float32"
    assert "torch_dtype" not in values and "quantization_config" not in values
    assert json.loads(json.dumps(values)) == values
