"""What loading costs in memory: `python -m tests.performance.loading --scratch FOLDER`, by hand; 3 minutes or more.

Makes a checkpoint as wide as GPT-J-6B with 4 of its 28 layers (random weights, about 2.4 GB in bfloat16), loads it
in fresh processes in several ways, and prints one JSON document: the loaded bytes, the peak resident memory of the
load, and how far the peak lies above the loaded size, beside the largest tensor.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.load import load_model, save_pretrained
from workbench.loading.memory import parameter_shapes
from workbench.loading.write import TensorToSave, write_json, write_weights

SHARD_BYTES = 10**9
WARM_UP = GPTJConfig(vocab_size=128, n_embd=64, n_layer=1, n_head=4, rotary_dim=4, n_positions=16)


def make_checkpoint(folder: Path, layers: int) -> None:
    """Writes the checkpoint, one tensor in memory at a time."""
    config = GPTJConfig(n_layer=layers)
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(0)

    def values(shape: tuple[int, ...]) -> torch.Tensor:
        return torch.empty(shape, dtype=torch.bfloat16).normal_(std=0.02, generator=generator)

    tensors = [
        TensorToSave(name, shape, torch.bfloat16, lambda shape=shape: values(shape))
        for name, shape in parameter_shapes(GPTJForCausalLM, config).items()
    ]
    write_weights(folder, tensors, SHARD_BYTES)
    write_json(folder / "config.json", config.to_dict())


def make_pickle(source: Path, folder: Path) -> None:
    """Writes the same model as pytorch_model.bin."""
    folder.mkdir(parents=True, exist_ok=True)
    model, _ = load_model(GPTJForCausalLM, source)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    write_json(folder / "config.json", model.config.to_dict())


def make_int8(source: Path, folder: Path) -> None:
    """Saves the model in int8."""
    model, _ = load_model(GPTJForCausalLM, source, precision="int8")
    save_pretrained(model, folder, SHARD_BYTES)


def measure(folder: Path, precision: str | None) -> dict[str, float]:
    """Loads once and reads the kernel's own account of this process before and after."""
    with tempfile.TemporaryDirectory() as warm:
        # The packages' first use allocates for itself; it is not what a load costs.
        save_pretrained(GPTJForCausalLM(WARM_UP), warm)
        load_model(GPTJForCausalLM, Path(warm), precision="int8" if precision is None else precision)
    before = resident_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    started = time.perf_counter()
    model, _ = load_model(GPTJForCausalLM, folder, precision=precision)
    seconds = time.perf_counter() - started
    peak = resident_bytes("VmHWM") - before
    after = resident_bytes("VmRSS") - before
    state = model.state_dict()
    loaded = sum(value.nbytes for value in state.values())
    largest = 2 * max(model.transformer.wte.weight.numel(), model.transformer.h[0].mlp.fc_in.weight.numel())
    return {
        "loaded_bytes": loaded,
        "peak_resident_bytes": peak,
        "peak_above_loaded_bytes": peak - loaded,
        "resident_after_bytes": after,
        "largest_tensor_bytes": largest,
        "above_per_largest": round((peak - loaded) / largest, 3),
        "seconds": round(seconds, 1),
    }


def resident_bytes(field: str) -> int:
    """A field of this process's status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"this system does not tell {field}")


def in_fresh_process(*arguments: str) -> str:
    """What this script prints when called with these arguments."""
    command = [sys.executable, "-m", "tests.performance.loading", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Makes the folders, measures each way in its own process, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scratch", type=Path, required=True, help="a folder for about 7 GB of checkpoints")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--step", nargs=3, metavar=("STEP", "FROM", "TO"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(2)
    if given.step:
        step, source, target = given.step
        if step == "measure":
            print(json.dumps(measure(Path(source), target if target != "saved" else None)))
        else:
            {"pickle": make_pickle, "int8": make_int8}[step](Path(source), Path(target))
        return
    plain, pickled, int8 = (given.scratch / name for name in ("bf16", "bin", "int8"))
    make_checkpoint(plain, given.layers)
    scratch = ["--scratch", str(given.scratch)]
    in_fresh_process(*scratch, "--step", "pickle", str(plain), str(pickled))
    in_fresh_process(*scratch, "--step", "int8", str(plain), str(int8))
    ways = {
        "bfloat16 from safetensors": (plain, "bfloat16"),
        "int8 from bfloat16": (plain, "int8"),
        "int8 from saved int8": (int8, "saved"),
        "nf4 from bfloat16": (plain, "nf4"),
        "bfloat16 from .bin": (pickled, "bfloat16"),
        "float32 from bfloat16": (plain, "float32"),
    }
    results = {
        way: json.loads(in_fresh_process(*scratch, "--step", "measure", str(folder), target))
        for way, (folder, target) in ways.items()
    }
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
