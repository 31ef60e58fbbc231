"""Serves a folder with transformers: bfloat16, or LLM.int8 through bitsandbytes where the folder says so."""

import argparse
from pathlib import Path

import torch
import transformers
from generating import Generating
from protocol import serve


def load(folder: Path, threads: int) -> Generating:
    """The model on the CPU, its weights really in memory."""
    torch.set_num_threads(threads)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, device_map="cpu").eval()
    read = {name: value for name, value in model.state_dict().items() if not name.endswith("wte.weight")}
    config = model.config
    facts = {
        "weights_read_bytes": sum(value.nbytes for value in read.values() if isinstance(value, torch.Tensor)),
        "kv_bytes_per_token": 2 * config.n_layer * config.n_embd * 2,
        "dtypes": sorted({str(value.dtype) for value in read.values() if isinstance(value, torch.Tensor)}),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    return Generating(model, facts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("threads", type=int)
    given = parser.parse_args()
    serve(lambda: load(given.folder, given.threads))
