"""What a load takes of the memory, as the kernel counts it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.loading.tiny import tiny_config
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.load import from_pretrained, save_pretrained

LOAD = """
import sys
from pathlib import Path
import torch
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.load import from_pretrained

def resident(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024

torch.set_num_threads(4)
small, folder = sys.argv[1:]
from_pretrained(GPTJForCausalLM, small, precision="int8")  # the packages' own first use
before = resident("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # the peak begins again
model = from_pretrained(GPTJForCausalLM, folder, precision="int8")
loaded = sum(value.nbytes for value in model.state_dict().values())
print(resident("VmHWM") - before - loaded)
"""
WIDE = GPTJConfig(vocab_size=1000, n_embd=1024, n_inner=16_000, n_layer=1, n_head=4, rotary_dim=16, n_positions=64)
LARGEST_BYTES = 16_000 * 1024 * 2
"""The MLP's matrices as they are saved in bfloat16."""


@pytest.mark.parametrize("saved", ["bfloat16", "int8"])
def test_a_load_in_int8_takes_the_model_and_at_most_two_of_its_largest_tensors(saved, tmp_path):
    pytest.importorskip("bitsandbytes")
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the system tells no peak")
    save_pretrained(GPTJForCausalLM(tiny_config()), tmp_path / "small")
    save_pretrained(GPTJForCausalLM(WIDE).to(torch.bfloat16), tmp_path / "bfloat16")
    folder = tmp_path / saved
    if saved == "int8":
        save_pretrained(from_pretrained(GPTJForCausalLM, tmp_path / "bfloat16", precision="int8"), folder)
    command = [sys.executable, "-c", LOAD, str(tmp_path / "small"), str(folder)]
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    assert int(ran.stdout) < 2 * LARGEST_BYTES
