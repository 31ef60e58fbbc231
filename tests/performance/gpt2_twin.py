"""A GPT-2 of the same size, trained as our GPT-J is: held-out bits per byte beside ours after the same tokens.

    python -m tests.performance.gpt2_twin --tokens FILE.npy|FOLDER --held-out FOLDER --tokenizer FOLDER --out FOLDER
        [--steps N] [--n-embd 256 --n-layer 6 --n-head 4] [--ours LOG] [--model DIR] [--compiled] [--json]

transformers' GPT2LMHeadModel: learned positions, attention and MLP one after the other. It has the width and the heads
of our model; layers, and whether embedding and output share their weights, are chosen to come nearest to its number of
parameters. It is trained by workbench/training/pretrain: the same tokens, batches, optimizer and learning rates.
(GPT-2 holds queries, keys and values in one matrix, which Muon treats as one.) --ours is the training-log.jsonl of our
run with the same settings, --model its checkpoint, measured like the twin. Started again after a stop, it goes on.
"""

import argparse
import dataclasses
import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from tests.performance.bits_per_byte import model_bits
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.load import from_pretrained
from workbench.text.tokenizer import Tokenizer
from workbench.training.corpus import Document, pack, read_documents
from workbench.training.pretrain import HeldOut, PretrainSettings, TrainProgress, pretrain_network
from workbench.training.state import LOG_FILE, read_state

OTHER_LAYERS = range(-2, 9)
"""That a twin may have more than ours."""


@dataclass(frozen=True)
class Shape:
    """A GPT-2 with as many parameters as our model, or nearly."""

    config: GPT2Config
    parameters: int
    ours: int
    """Parameters of our model."""

    @property
    def words(self) -> str:
        """For people."""
        tied = "tied" if self.config.tie_word_embeddings else "untied"
        return (
            f"GPT-2: {self.parameters:,} parameters ({self.config.n_layer} layers of width {self.config.n_embd}, "
            f"{tied}); GPT-J: {self.ours:,}; {self.parameters / self.ours - 1:+.2%}"
        )


def nearest_shape(ours: GPTJConfig) -> Shape:
    """Of the same width: the one whose number of parameters is nearest."""
    wanted = parameters_of(lambda: GPTJForCausalLM(ours))
    counted = []
    for tied in (False, True):
        for layers in (ours.n_layer + more for more in OTHER_LAYERS if ours.n_layer + more > 0):
            config = gpt2_config(ours, layers, tied)
            counted.append((config, parameters_of(lambda config=config: GPT2LMHeadModel(config))))
    config, parameters = min(counted, key=lambda one: abs(one[1] - wanted))
    return Shape(config, parameters, wanted)


def gpt2_config(ours: GPTJConfig, layers: int, tied: bool) -> GPT2Config:
    """Our model's vocabulary, context, width and heads; no dropout, as ours has none."""
    return GPT2Config(
        vocab_size=ours.vocab_size, n_positions=ours.n_positions, n_embd=ours.n_embd, n_layer=layers,
        n_head=ours.n_head, tie_word_embeddings=tied, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=ours.bos_token_id, eos_token_id=ours.eos_token_id,
    )  # fmt: skip


def parameters_of(make: Callable[[], nn.Module]) -> int:
    """Of a model that is made without memory; what is shared counts once."""
    with torch.device("meta"):
        return sum(weight.numel() for weight in make().parameters())


def train(
    config: GPT2Config, tokens: np.ndarray, held_out: HeldOut, settings: PretrainSettings, folder: Path, compiled: bool
) -> Iterator[TrainProgress]:
    """Trains as our model is trained; started again, it goes on."""
    told = {name: value for name, value in config.to_dict().items() if name != "transformers_version"}
    make = functools.partial(GPT2LMHeadModel, config)
    return pretrain_network(make, told, tokens, held_out, settings, folder, compiled)


def trained(config: GPT2Config, folder: Path) -> GPT2LMHeadModel:
    """The model of the run in a folder, in float32."""
    model = GPT2LMHeadModel(config)
    model.load_state_dict(read_state(folder)["model"])
    return model.eval()


def curve(log: Path) -> dict[int, float]:
    """Held-out bits per byte by step, from a training log."""
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    return {row["step"]: row["bits_per_byte"] for row in rows if row["bits_per_byte"] is not None}


def sliding_bits_per_byte(model: nn.Module, tokenizer: Tokenizer, documents: Sequence[Document], context: int) -> float:
    """As tests.performance.bits_per_byte: windows of the whole context that overlap by half; in float32."""
    model = model.float().eval()
    bits = sum(
        model_bits(model, [tokenizer.eos_id, *tokenizer.encode(document.text)], context) for document in documents
    )
    return bits / sum(len(document.text.encode()) for document in documents)


def our_config(options: argparse.Namespace, tokenizer: Tokenizer) -> GPTJConfig:
    """The shape that `train lm` gives our model with the same options."""
    return GPTJConfig(
        vocab_size=tokenizer.size, n_positions=options.context, n_embd=options.n_embd, n_layer=options.n_layer,
        n_head=options.n_head, rotary_dim=options.rotary_dim, bos_token_id=tokenizer.eos_id,
        eos_token_id=tokenizer.eos_id,
    )  # fmt: skip


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Trains, or goes on, then measures."""
    fields = {field.name: getattr(options, field.name) for field in dataclasses.fields(PretrainSettings)}
    settings, tokenizer = PretrainSettings(**fields), Tokenizer.from_folder(options.tokenizer)
    documents = list(read_documents([options.held_out]))
    held_out = HeldOut(pack(tokenizer, documents), sum(len(document.text.encode()) for document in documents))
    folder = options.tokens.is_dir()
    tokens = pack(tokenizer, read_documents([options.tokens])) if folder else np.load(options.tokens)
    shape = nearest_shape(our_config(options, tokenizer))
    print(shape.words, file=sys.stderr)
    for progress in train(shape.config, tokens, held_out, settings, options.out, options.compiled):
        if progress.step % 20 == 0 or progress.bits_per_byte is not None:
            score = "" if progress.bits_per_byte is None else f"  held-out {progress.bits_per_byte:.4f} bits/byte"
            pace = f"{progress.tokens_per_second:,.0f} tokens/s  {progress.seconds_left / 60:.0f} min left"
            print(f"step {progress.step}/{progress.steps}  loss {progress.loss:.3f}{score}  {pace}", file=sys.stderr)
    twin = trained(shape.config, options.out)
    figures: dict[str, Any] = {
        "parameters": {"gpt2": shape.parameters, "ours": shape.ours}, "tied": shape.config.tie_word_embeddings,
        "layers": shape.config.n_layer, "steps": settings.steps, "seconds": read_state(options.out)["seconds"],
        "tokens_a_step": settings.batch_size * settings.context,
        "curve": {"gpt2": curve(options.out / LOG_FILE), "ours": curve(options.ours) if options.ours else {}},
        "sliding": {"gpt2": sliding_bits_per_byte(twin, tokenizer, documents, settings.context)},
    }  # fmt: skip
    if options.model:
        ours = from_pretrained(GPTJForCausalLM, options.model)
        figures["sliding"]["ours"] = sliding_bits_per_byte(ours, tokenizer, documents, ours.config.n_positions)
    return figures


def as_markdown(figures: dict[str, Any]) -> str:
    """Both curves at the steps that the twin was measured at, and the sliding windows' figures."""
    gpt2, ours = figures["curve"]["gpt2"], figures["curve"]["ours"]
    rows = ["| tokens | GPT-2 | ours |", "|---|---|---|"]
    for step, value in gpt2.items():
        theirs = f"{ours[step]:.4f}" if step in ours else ""
        rows.append(f"| {step * figures['tokens_a_step']:,} | {value:.4f} | {theirs} |")
    last = figures["sliding"]
    beside = f"{last['ours']:.4f}" if "ours" in last else ""
    rows.append(f"| the last, sliding windows, float32 | {last['gpt2']:.4f} | {beside} |")
    rows.append(f"| parameters | {figures['parameters']['gpt2']:,} | {figures['parameters']['ours']:,} |")
    return "\n".join(rows)


def parser() -> argparse.ArgumentParser:
    """The options: ours of a training run under their names there."""
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--tokens", type=Path, required=True, help="the training text as an array, or as a folder")
    found.add_argument("--held-out", type=Path, required=True, help="folder of the held-out texts")
    found.add_argument("--tokenizer", type=Path, required=True, help="folder of tokenizer.json")
    found.add_argument("--out", type=Path, required=True, help="folder for state and log")
    for name, width in (("n_embd", 256), ("n_layer", 6), ("n_head", 4), ("rotary_dim", 32)):
        found.add_argument(f"--{name.replace('_', '-')}", type=int, default=width, help="of our model")
    for field in dataclasses.fields(PretrainSettings):
        found.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default)
    found.add_argument("--compiled", action="store_true", help="train by torch.compile")
    found.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    found.add_argument("--ours", type=Path, metavar="LOG", help="training-log.jsonl of our run, for its curve")
    found.add_argument("--model", type=Path, help="our checkpoint, measured beside the twin at the end")
    found.add_argument("--json", action="store_true", help="print one JSON object")
    return found


def main() -> None:
    """Trains the twin and prints both models' figures."""
    options = parser().parse_args()
    torch.set_num_threads(options.threads)
    figures = measure(options)
    print(json.dumps(figures) if options.json else as_markdown(figures))


if __name__ == "__main__":
    main()
