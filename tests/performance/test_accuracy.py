"""The measure of how far int8 is from float32."""

import pytest
import torch

from tests.performance.accuracy import error, in_float, quantised, use_bitsandbytes
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.load import load_model, save_pretrained

TINY = GPTJConfig(vocab_size=64, n_embd=32, n_layer=2, n_head=2, rotary_dim=8, n_positions=16)


@pytest.fixture
def int8(tmp_path: object) -> GPTJForCausalLM:
    torch.manual_seed(0)
    save_pretrained(GPTJForCausalLM(TINY), str(tmp_path))
    return load_model(GPTJForCausalLM, tmp_path, precision="int8")[0]  # type: ignore[arg-type]


def test_the_same_logits_have_no_error() -> None:
    logits = torch.randn(100, 50)
    found = error(logits, logits)
    assert (found.kl_nats_per_token, found.relative_error, found.same_best) == (0, 0, 1)


def test_kl_and_relative_error_are_those_of_the_formulas() -> None:
    torch.manual_seed(0)
    told, mine = torch.randn(130, 20).double(), torch.randn(130, 20).double()
    found = error(mine, told)
    kl = torch.nn.functional.kl_div(mine.log_softmax(-1), told.log_softmax(-1), log_target=True, reduction="batchmean")
    assert found.kl_nats_per_token == pytest.approx(float(kl))
    assert found.relative_error == pytest.approx(float((mine - told).norm() / told.norm()))


def test_int8_weights_in_float_are_near_the_checkpoints(int8: GPTJForCausalLM) -> None:
    torch.manual_seed(0)
    exact = GPTJForCausalLM(TINY).state_dict()
    found = in_float(int8)
    assert set(exact) <= set(found)
    for name, value in exact.items():
        assert found[name].dtype == torch.float32
        assert torch.allclose(found[name], value, atol=float(value.abs().max()) / 100)


def test_bitsandbytes_layers_hold_the_very_same_weights(int8: GPTJForCausalLM) -> None:
    before = {name: (weight.clone(), scale.clone()) for name, (weight, scale) in quantised(int8).items()}
    use_bitsandbytes(int8)
    after = quantised(int8)
    assert len(after) == 6 * TINY.n_layer
    assert all(torch.equal(before[name][i], after[name][i]) for name in before for i in (0, 1))
    kinds = {type(int8.get_submodule(name)).__module__.partition(".")[0] for name in after}
    assert kinds == {"bitsandbytes"}
