"""How far int8 is from float32 on the same weights: ours, and LLM.int8 as bitsandbytes computes it.

python -m tests.performance accuracy [--tokens 4096]

Two models: the demo's trained weights over held-out prose, and random weights with planted outliers, a few channels
whose activations are far larger than the rest, as large models have them. Both int8 paths hold the very same int8
weights. They are compared with the checkpoint in float32, and with their own int8 weights in float32, which leaves
only what the arithmetic adds. No engine and no rounds: the numbers are always the same.
"""

import argparse
import importlib
import itertools
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from tests.performance.checkpoints import write_tokenizer
from tests.performance.report import Report, Table
from tests.tasks.shared_rows import lambada
from workbench.evals.precision import divergence
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.load import load_model
from workbench.loading.memory import parameter_shapes
from workbench.loading.precision import BLOCK_MATRIX
from workbench.loading.spec import DEMO_FOLDER
from workbench.loading.write import TensorToSave, write_json, write_weights
from workbench.text.tokenizer import Tokenizer

THRESHOLD = 6.0
"""LLM.int8's: activations beyond it are multiplied in 16 bits."""
OUTLIER_CHANNELS, OUTLIER_TIMES = (3, 77, 300, 512, 700, 1001), 20.0
WIDTH, LAYERS = 1024, 4
ROW_TOKENS = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This measurement's own options."""
    parser.add_argument("--tokens", type=int, default=4096, help="of each model's text")


@dataclass(frozen=True)
class Error:
    """How far logits are from others."""

    kl_nats_per_token: float
    """Mean over tokens of KL(reference || computed)."""
    relative_error: float
    """Root of the summed squares of the logits' differences, over that of the reference's logits."""
    same_best: float
    """Share of tokens with the same likeliest next token."""


def run(options: argparse.Namespace) -> Report:
    """Both models."""
    rows = max(1, options.tokens // ROW_TOKENS)
    planted = planted_folder(options.scratch / "gptj-planted-outliers")
    drawn = torch.randint(50_000, (rows, ROW_TOKENS), generator=torch.Generator().manual_seed(0))
    tables, figures = [], {}
    for title, folder, tokens in (
        ("Demo weights on held-out prose", DEMO_FOLDER, prose(rows)),
        ("Random weights with planted outliers", planted, drawn),
    ):
        errors = errors_of(folder, tokens)
        figures[title] = {name: asdict(error) for name, error in errors.items()}
        shown = tuple(
            (name, f"{error.kl_nats_per_token:.2e}", f"{error.relative_error:.2%}", f"{error.same_best:.2%}")
            for name, error in errors.items()
        )
        tables.append(Table(title, ("", "KL, nats/token", "logits' relative error", "same best token"), shown))
    return Report(tables, {"accuracy": figures, "tokens": rows * ROW_TOKENS})


def errors_of(folder: Path, tokens: Tensor) -> dict[str, Error]:
    """Both int8 paths beside both float32 references, on tokens (B, T); bfloat16, for the scale of things."""
    exact, _ = load_model(GPTJForCausalLM, folder, precision="float32")
    int8, _ = load_model(GPTJForCausalLM, folder, precision="int8")
    references = {"the checkpoint": logits(exact, tokens)}
    half, _ = load_model(GPTJForCausalLM, folder, precision="bfloat16")
    bfloat16 = error(logits(half, tokens), references["the checkpoint"])
    del half
    exact.load_state_dict(in_float(int8), strict=False)
    references["its int8 weights"] = logits(exact, tokens)
    computed = {"ours": logits(int8, tokens)}
    use_bitsandbytes(int8)
    computed["LLM.int8"] = logits(int8, tokens)
    return {"bfloat16 beside the checkpoint in float32": bfloat16} | {
        f"{path} beside {reference} in float32": error(found, told)
        for reference, told in references.items()
        for path, found in computed.items()
    }


@torch.inference_mode()
def logits(model: GPTJForCausalLM, tokens: Tensor) -> Tensor:
    """(B, T) -> (B x T, V) in float32, a row of tokens at a time."""
    return torch.cat([model(row[None]).logits[0].float() for row in tokens])


def error(computed: Tensor, reference: Tensor) -> Error:
    """How far logits (T, V) are from a reference's."""
    squares = whole = 0.0
    for mine, told in zip(computed.split(64), reference.split(64), strict=True):
        mine, told = mine.double(), told.double()
        squares += float((mine - told).square().sum())
        whole += float(told.square().sum())
    apart = divergence(reference.numpy(), computed.numpy())
    return Error(float(apart.kl.mean()), (squares / whole) ** 0.5, float(apart.same_best.mean()))


def quantised(model: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """The int8 matrices by their modules' names, each with its rows' largest absolute values."""
    state = model.state_dict()
    names = [name.removesuffix(".weight") for name in state if BLOCK_MATRIX.fullmatch(name)]
    return {name: (state[f"{name}.weight"], state[f"{name}.SCB"]) for name in names}


def in_float(model: nn.Module) -> dict[str, Tensor]:
    """All parameters of an int8 model as float32: w = int8 x the row's largest / 127."""
    held = {name: value.float() for name, value in model.state_dict().items() if value.is_floating_point()}
    matrices = quantised(model).items()
    return held | {f"{name}.weight": weight.float() * scale[:, None] / 127 for name, (weight, scale) in matrices}


def use_bitsandbytes(model: nn.Module) -> None:
    """Puts bitsandbytes' own layers in the place of an int8 model's, with the same weights and scales."""
    layers = importlib.import_module("bitsandbytes").nn
    for name, (weight, scale) in quantised(model).items():
        parent, _, attribute = name.rpartition(".")
        bias = model.state_dict().get(f"{name}.bias")
        rows, columns = weight.shape
        layer = layers.Linear8bitLt(
            columns, rows, bias=bias is not None, has_fp16_weights=False, threshold=THRESHOLD, device="meta"
        )
        layer.weight = layers.Int8Params(weight, requires_grad=False, has_fp16_weights=False, CB=weight, SCB=scale)
        if bias is not None:
            layer.bias = nn.Parameter(bias, requires_grad=False)
        setattr(model.get_submodule(parent), attribute, layer.eval())


def prose(rows: int) -> Tensor:
    """Tokens (rows, ROW_TOKENS) of passages that the demo was not trained on."""
    tokenizer = Tokenizer.from_folder(DEMO_FOLDER)
    passages = (tokenizer.encode(row["text"]) for row in lambada())
    tokens = list(itertools.islice(itertools.chain.from_iterable(passages), rows * ROW_TOKENS))
    return torch.tensor(tokens).view(rows, ROW_TOKENS)


def planted_folder(folder: Path) -> Path:
    """Random weights whose LayerNorms make a few channels far larger than the rest; made unless it is there."""
    if not (folder / "config.json").exists():
        write_tokenizer(folder)
        config = GPTJConfig(n_embd=WIDTH, n_layer=LAYERS)
        generator = torch.Generator().manual_seed(0)
        shapes = parameter_shapes(GPTJForCausalLM, config).items()
        tensors = [
            TensorToSave(name, shape, torch.bfloat16, partial(_planted, name, shape, generator))
            for name, shape in shapes
        ]
        write_weights(folder, tensors)
        write_json(folder / "config.json", config.to_dict())
    return folder


def _planted(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    if name.endswith("bias"):
        return torch.zeros(shape, dtype=torch.bfloat16)
    if len(shape) == 1:
        values = torch.ones(shape, dtype=torch.bfloat16)
        if ".h." in name:
            values[list(OUTLIER_CHANNELS)] = OUTLIER_TIMES
        return values
    # A head this wide gives probabilities that differ as those of a trained model do.
    spread = 0.1 if name == "lm_head.weight" else 0.02
    return torch.empty(shape, dtype=torch.bfloat16).normal_(std=spread, generator=generator)
