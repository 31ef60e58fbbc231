"""Serves a folder that optimum-intel exported (8-bit weights) with `generate`, or makes it from a checkpoint."""

import argparse
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from generating import Generating
from optimum.intel import OVModelForCausalLM
from protocol import serve

PACKAGES = ("openvino", "optimum-intel", "nncf", "transformers", "torch")


def export(checkpoint: Path, folder: Path) -> None:
    """Writes the folder, with optimum-intel's own command; it also makes OpenVINO's tokenizer."""
    command = [Path(sys.executable).parent / "optimum-cli", "export", "openvino", "--model", checkpoint,
               "--task", "text-generation-with-past", "--weight-format", "int8", folder]  # fmt: skip
    subprocess.run([str(word) for word in command], check=True)


def load(folder: Path, threads: int) -> Generating:
    """The model, compiled for the CPU."""
    torch.set_num_threads(threads)
    model = OVModelForCausalLM.from_pretrained(folder, ov_config={"INFERENCE_NUM_THREADS": threads})
    versions = {package: version(package) for package in PACKAGES}
    return Generating(model, {"weights_read_bytes": read_bytes(folder, model.config), "versions": versions})


def read_bytes(folder: Path, config: object) -> int:
    """Of the weights, for one step: the file without the embedding, which is looked up (a byte a weight)."""
    embedding = config.vocab_size * config.n_embd  # type: ignore[attr-defined]
    return (folder / "openvino_model.bin").stat().st_size - embedding


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("threads", type=int)
    parser.add_argument("--make-from", type=Path)
    given = parser.parse_args()
    if given.make_from:
        export(given.make_from, given.folder)
    else:
        serve(lambda: load(given.folder, given.threads))
