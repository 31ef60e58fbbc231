"""How a model is stepped: by its weights, the processor's instructions and what computes its head."""

from types import SimpleNamespace

import pytest
import torch

from tests.engine.tiny import GREEDY, answer, quiet_engine, tiny_model
from workbench.engine import sizing
from workbench.engine.jobs import Decode
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.load import load_model
from workbench.loading.spec import DEMO_FOLDER


def test_int8_whose_head_looks_over_its_rows_guesses_nothing() -> None:
    pytest.importorskip("bitsandbytes")
    model, _ = load_model(GPTJForCausalLM, DEMO_FOLDER, precision="int8", dtype=torch.float32)
    if not sizing.fill_rows(model):
        pytest.skip("there is no C compiler here, and nothing is guessed anyway")
    engine = quiet_engine(model)
    found = answer(engine, Decode((50, 9, 2) * 5, 20, sampling=GREEDY))
    assert engine.served.fill_rows == 0 and found.drafted == 0 and len(found.tokens) == 20


@pytest.mark.parametrize(
    "instructions, budget",
    [
        ("AVX-512 VNNI", 1.6e12),
        ("AVX-512 VNNI on one core (the compiler has no OpenMP)", 1.6e12),
        ("AVX2", 5e11),
        ("AVX2 on one core (the compiler has no OpenMP)", 5e11),
        ("plain C", 2e11),
        ("PyTorch", 2e11),
    ],
)
def test_a_chunk_of_quantized_weights_is_as_long_as_the_instructions_are_fast(
    instructions: str, budget: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizing, "kernels", lambda: SimpleNamespace(instructions=instructions))
    monkeypatch.setattr(sizing, "fill_rows", lambda model: sizing.ROW_BLOCK)
    parameters = 2**31
    monkeypatch.setattr(sizing, "block_parameters", lambda model: parameters)
    tokens = sizing.chunk_tokens(tiny_model())
    assert tokens <= budget / (2 * parameters) < 2 * tokens


def test_a_chunk_of_plain_numbers_asks_no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "kernels", lambda: SimpleNamespace(instructions="AVX-512 VNNI"))
    monkeypatch.setattr(sizing, "block_parameters", lambda model: 2**31)
    assert sizing.chunk_tokens(tiny_model()) == 32
