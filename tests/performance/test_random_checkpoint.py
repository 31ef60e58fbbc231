"""A random checkpoint is what an int8 model would have saved, and computes."""

from pathlib import Path

import pytest
import torch

from tests.performance.random_checkpoint import write_int8
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.checkpoint import open_checkpoint
from workbench.loading.load import from_pretrained, save_pretrained
from workbench.text.tokenizer import Tokenizer

SMALL = GPTJConfig(n_embd=64, n_layer=2, n_head=4, rotary_dim=4, n_positions=32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("bitsandbytes")
    written: Path = tmp_path_factory.mktemp("random")
    write_int8(written, SMALL)
    return written


def test_it_holds_what_a_saved_int8_model_holds(folder, tmp_path):
    model = from_pretrained(GPTJForCausalLM, folder)
    save_pretrained(model, tmp_path)
    assert open_checkpoint(tmp_path).tensors == open_checkpoint(folder).tensors
    assert (tmp_path / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_its_logits_are_those_of_a_fresh_model(folder):
    model = from_pretrained(GPTJForCausalLM, folder)
    with torch.no_grad():
        logits = model(torch.arange(20)[None]).logits.float()
    assert 0.05 < float(logits.std()) < 2


def test_no_two_matrices_are_equal(folder):
    blocks = from_pretrained(GPTJForCausalLM, folder).transformer.h
    assert not torch.equal(blocks[0].attn.q_proj.weight.data, blocks[1].attn.q_proj.weight.data)
    assert not torch.equal(blocks[0].attn.q_proj.weight.data, blocks[0].attn.k_proj.weight.data)


def test_its_tokenizer_knows_every_row(folder):
    assert Tokenizer.from_folder(folder).size == SMALL.vocab_size
