"""Loading beside plainly reading the same files: seconds, and the peak of memory above the model.

python -m tests.performance load [--ways "int8 from a saved int8 folder,..."]

Each way is measured in a fresh process, through the manager as the page loads: reading all files into memory with one
thread, then loading them, in turn; first with the files out of the system's cache ("cold"), then with them in it.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from tests.performance.checkpoints import bfloat16_folder, int8_folder, write_tokenizer
from tests.performance.report import Report, Table, as_number, between
from tests.performance.turns import spread
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.load import load_model, save_pretrained
from workbench.loading.write import write_json
from workbench.manager import ModelManager, ModelSpec

WAYS = {
    "int8 from a saved int8 folder": ("int8", None),
    "int8 from bfloat16": ("bfloat16", "int8"),
    "bfloat16 from safetensors": ("bfloat16", None),
    "bfloat16 from pytorch_model.bin": ("bin", None),
    "nf4 from bfloat16": ("bfloat16", "nf4"),
    "float32 from bfloat16": ("bfloat16", "float32"),
}
"""The folder that is loaded, and the precision asked for."""
HEADER = (
    "",
    "read, s",
    "load, s",
    "load / read",
    "cold: read, s",
    "load, s",
    "load / read",
    "loaded, MB",
    "peak above",
)
SMALL = GPTJConfig(n_embd=64, n_layer=1, n_head=4, rotary_dim=4, n_positions=16)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This measurement's own options."""
    ways = tuple(WAYS)
    parser.add_argument("--ways", type=lambda text: text.split(","), default=ways, help=f"of: {', '.join(ways)}")


def run(options: argparse.Namespace) -> Report:
    """A row for each way."""
    make = {"int8": int8_folder, "bfloat16": bfloat16_folder, "bin": bin_folder}
    folders = {kind: make[kind](options.scratch, options.layers) for kind in {WAYS[way][0] for way in options.ways}}
    rows, figures = [], {}
    for way in options.ways:
        kind, precision = WAYS[way]
        print(f"{way} ...", flush=True)
        figures[way] = in_fresh_process(folders[kind], precision, options.rounds, options.threads)
        rows.append((way, *columns(figures[way])))
    return Report([Table(f"{options.layers} layers of GPT-J-6B's width", HEADER, tuple(rows))], {"ways": figures})


def in_fresh_process(folder: Path, precision: str | None, rounds: int, threads: int) -> dict[str, Any]:
    """What `measured` finds, in a process that did nothing before."""
    command = [sys.executable, "-m", "tests.performance.load", str(folder), precision or "own", str(rounds)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def columns(found: dict[str, Any]) -> Sequence[str]:
    """A way's figures under `HEADER`."""
    cells = []
    for kind in ("warm", "cold"):
        read, load = found[kind]["read_seconds"], found[kind]["load_seconds"]
        ratio = spread(ours / plain for ours, plain in zip(load, read, strict=True))
        cells += [as_number(spread(read).median), as_number(spread(load).median)]
        cells += [f"{as_number(ratio.median)}x ({between(ratio)})"]
    above = found["peak_above_loaded_bytes"]
    times = above / found["largest_tensor_bytes"]
    return *cells, f"{found['loaded_bytes'] / 1e6:,.0f}", f"{above / 1e6:,.0f} MB, {times:.2f} of the largest tensor"


def measured(folder: Path, precision: str | None, rounds: int) -> dict[str, Any]:
    """Reads and loads in turn, cold and warm; the memory is the first load's, as the kernel counts it."""
    with tempfile.TemporaryDirectory() as small, closing(ModelManager()) as manager:
        # The packages' first use allocates for itself; it is not what a load costs.
        write_tokenizer(Path(small))
        save_pretrained(GPTJForCausalLM(SMALL), small)
        manager.load(ModelSpec(small, precision=precision or "int8"))
    seconds: dict[str, dict[str, list[float]]] = {
        kind: {"read_seconds": [], "load_seconds": []} for kind in ("cold", "warm")
    }
    memory: dict[str, int] = {}
    for _ in range(rounds):
        for kind, found in seconds.items():
            for what in found:
                if kind == "cold":
                    _forget(folder)
                found[what].append(_read(folder) if what == "read_seconds" else _load(folder, precision, memory))
    return {**seconds, **memory}


def bin_folder(scratch: Path, layers: int) -> Path:
    """The bfloat16 folder's model as pytorch_model.bin; made unless it is there."""
    folder = scratch / f"gptj-{layers}-bin"
    if not (folder / "config.json").exists():
        model, _ = load_model(GPTJForCausalLM, bfloat16_folder(scratch, layers))
        write_tokenizer(folder)
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        write_json(folder / "config.json", model.config.to_dict())
    return folder


def resident_bytes(field: str) -> int:
    """A field of this process's status, in bytes: VmRSS is now, VmHWM the most so far.

    Raises:
        OSError: this system does not tell it.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"this system does not tell a process's {field}")


def _read(folder: Path) -> float:
    began = time.perf_counter()
    held = [path.read_bytes() for path in _files(folder)]
    seconds = time.perf_counter() - began
    del held
    return seconds


def _load(folder: Path, precision: str | None, memory: dict[str, int]) -> float:
    """Seconds; the first time the memory is told, too."""
    gc.collect()
    before = resident_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    with closing(ModelManager()) as manager:
        began = time.perf_counter()
        loaded = manager.load(ModelSpec(str(folder), precision=precision))
        seconds = time.perf_counter() - began
        if not memory:
            memory["loaded_bytes"] = loaded.memory_bytes
            memory["peak_above_loaded_bytes"] = resident_bytes("VmHWM") - before - loaded.memory_bytes
            memory["resident_after_bytes"] = resident_bytes("VmRSS") - before
            memory["largest_tensor_bytes"] = loaded.parts[0].bytes  # the embedding
    return seconds


def _forget(folder: Path) -> None:
    """Takes a folder's files out of the system's cache; they must be on the disk for that."""
    for path in _files(folder):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _files(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")])


def main() -> None:
    """Prints what one process measured."""
    folder, precision, rounds = sys.argv[1:]
    print(json.dumps(measured(Path(folder), None if precision == "own" else precision, int(rounds))))


if __name__ == "__main__":
    main()
