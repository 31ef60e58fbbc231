"""The measure of what four bits cost."""

import pytest
import torch

from tests.performance.four_bits import PRECISIONS, bits_a_weight, costs
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.load import save_pretrained
from workbench.loading.memory import parameter_shapes


def test_bits_a_weight_count_the_scales() -> None:
    shapes = parameter_shapes(GPTJForCausalLM, GPTJConfig())
    assert bits_a_weight("bfloat16", shapes) == 16
    assert bits_a_weight("nf4", shapes) == pytest.approx(4.5, abs=0.01)
    assert bits_a_weight("int4", shapes) == pytest.approx(4 + 8 / 128, abs=0.01)


def test_each_precision_is_compared_and_fewer_bits_cost_more(tmp_path: object) -> None:
    pytest.importorskip("bitsandbytes")
    torch.manual_seed(0)
    config = GPTJConfig(vocab_size=64, n_embd=128, n_layer=2, n_head=2, rotary_dim=8, n_positions=64)
    save_pretrained(GPTJForCausalLM(config), str(tmp_path))
    found = costs(tmp_path, torch.randint(64, (2, 64)))  # type: ignore[arg-type]
    assert tuple(found) == PRECISIONS
    assert found["bfloat16"][1].relative_error < found["int4"][1].relative_error < 0.5
