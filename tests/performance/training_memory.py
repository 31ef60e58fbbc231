"""How much memory training takes, beside what the plan says: run by hand.

    python -m tests.performance.training_memory [--width 1024] [--layers 8] [--rows 48] [--tokens 128] [--batch 8]

Each way of training a random model of that shape runs in a fresh process; measured is the peak of its resident memory
over what it held after all imports.
"""

import argparse
import csv
import gc
import json
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil
import torch

from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.load import save_pretrained
from workbench.loading.spec import DEMO_FOLDER
from workbench.text.tokenizer import Tokenizer
from workbench.training.heads import TrainClassify, train_head
from workbench.training.plan import plan_training

WAYS: dict[str, dict[str, Any]] = {
    "probe": {"method": "probe"},
    "head": {"method": "head"},
    "lora, bfloat16": {"method": "lora"},
    "lora, float32": {"method": "lora", "precision": "float32"},
    "lora, int8": {"method": "lora", "precision": "int8"},
    "lora, checkpointing": {"method": "lora", "gradient_checkpointing": True},
    "full, bfloat16": {"method": "full"},
    "full, float32": {"method": "full", "precision": "float32"},
    "full, adamw8bit": {"method": "full", "optimizer": "adamw8bit"},
    "full, checkpointing": {"method": "full", "gradient_checkpointing": True},
}


def main() -> None:
    """Prints a table of all ways, or as a child process measures one."""
    options = parse()
    if options.way is not None:
        print(json.dumps(measure(options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder) / "model", options)
        write_rows(Path(folder) / "rows.csv", options)
        print(f"{'':<22}{'planned':>10}{'measured':>10}{'plan/measured':>15}")
        for way in WAYS:
            command = [sys.executable, "-m", "tests.performance.training_memory", *sys.argv[1:]]
            done = subprocess.run([*command, "--way", way, "--folder", folder], capture_output=True, text=True)
            if done.returncode:
                print(f"{way:<22} {done.stderr.strip().splitlines()[-1]}")
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            share = found["planned"] / found["measured"]
            planned, measured = (f"{found[name] / 2**20:,.0f} MiB" for name in ("planned", "measured"))
            print(f"{way:<22}{planned:>10}{measured:>10}{share:>15.2f}", flush=True)


def parse() -> argparse.Namespace:
    """The shape of the model and the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("width", 1024), ("layers", 8), ("rows", 48), ("tokens", 128), ("batch", 8)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(options: argparse.Namespace) -> dict[str, int]:
    """Trains for a few steps; the bytes planned and taken."""
    torch.set_num_threads(2)
    folder = Path(options.folder)
    request = TrainClassify(
        data=str(folder / "rows.csv"), out=str(folder / options.way.replace(", ", "-")), model=str(folder / "model"),
        batch_size=options.batch, epochs=1.0, max_tokens=options.tokens, validate_every=1.0, **WAYS[options.way],
    )  # fmt: skip
    if request.optimizer == "adamw8bit" or request.precision == "int8":
        __import__("bitsandbytes")  # its code is not what is measured
    planned = plan_training(request).total_bytes
    gc.collect()
    before = psutil.Process().memory_info().rss
    for _ in train_head(request):
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"planned": planned, "measured": peak - before}


def write_model(folder: Path, options: argparse.Namespace) -> None:
    """A random model with the demo's tokenizer, in bfloat16."""
    tokenizer = Tokenizer.from_folder(DEMO_FOLDER)
    config = GPTJConfig(
        vocab_size=tokenizer.size, n_positions=512, n_embd=options.width, n_layer=options.layers, n_head=8,
        bos_token_id=tokenizer.eos_id, eos_token_id=tokenizer.eos_id,
    )  # fmt: skip
    save_pretrained(GPTJForCausalLM(config).to(torch.bfloat16), folder)
    tokenizer.save(folder)


def write_rows(path: Path, options: argparse.Namespace) -> None:
    """Texts that fill all tokens, and random labels."""
    generator = random.Random(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for row in range(options.rows):
            words = [generator.choice(("king", "tree", "house", "water")) for _ in range(options.tokens)]
            writer.writerow([" ".join(words), row % 2])


if __name__ == "__main__":
    main()
