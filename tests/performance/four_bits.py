"""What four bits cost: int4, nf4 and int8 beside float32 on the same weights.

python -m tests.performance four_bits [--tokens 4096]

The same two models as `accuracy` has: the demo's trained weights over held-out prose, and random weights with planted
outliers. Everything is quantised from the checkpoint as a load does it, and computed as it is served on a CPU. No
engine and no rounds: the numbers are always the same.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from tests.performance.accuracy import ROW_TOKENS, Error, error, logits, planted_folder, prose
from tests.performance.report import Report, Table
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.load import load_model
from workbench.loading.memory import parameter_shapes
from workbench.loading.precision import BLOCK_MATRIX, named
from workbench.loading.spec import DEMO_FOLDER

PRECISIONS = ("bfloat16", "int8", "int4", "nf4")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This measurement's own options."""
    parser.add_argument("--tokens", type=int, default=4096, help="of each model's text")


def run(options: argparse.Namespace) -> Report:
    """Both models in every precision."""
    rows = max(1, options.tokens // ROW_TOKENS)
    planted = planted_folder(options.scratch / "gptj-planted-outliers")
    drawn = torch.randint(50_000, (rows, ROW_TOKENS), generator=torch.Generator().manual_seed(0))
    tables, figures = [], {}
    for title, folder, tokens in (
        ("Demo weights on held-out prose", DEMO_FOLDER, prose(rows)),
        ("Random weights with planted outliers", planted, drawn),
    ):
        found = costs(folder, tokens)
        figures[title] = {name: {"bits_a_weight": bits} | asdict(cost) for name, (bits, cost) in found.items()}
        shown = tuple(
            (
                name,
                f"{bits:.2f}",
                f"{cost.kl_nats_per_token:.2e}",
                f"{cost.relative_error:.2%}",
                f"{cost.same_best:.2%}",
            )
            for name, (bits, cost) in found.items()
        )
        header = ("", "bits a weight", "KL, nats/token", "logits' relative error", "same best token")
        tables.append(Table(f"{title}, beside float32", header, shown))
    return Report(tables, {"four_bits": figures, "tokens": rows * ROW_TOKENS})


def costs(folder: Path, tokens: Tensor) -> dict[str, tuple[float, Error]]:
    """Of each precision: its bits a weight in the blocks' matrices, and how far its logits are from float32's."""
    exact, _ = load_model(GPTJForCausalLM, folder, precision="float32", device_map="cpu")
    reference = logits(exact, tokens)
    shapes = parameter_shapes(GPTJForCausalLM, exact.config)
    del exact
    found = {}
    for name in PRECISIONS:
        model, _ = load_model(GPTJForCausalLM, folder, precision=name, device_map="cpu")
        found[name] = (bits_a_weight(name, shapes), error(logits(model, tokens), reference))
    return found


def bits_a_weight(precision: str, shapes: dict[str, tuple[int, ...]]) -> float:
    """Bits that a precision takes for each weight of the blocks' matrices, scales included."""
    matrices = {name: shape for name, shape in shapes.items() if BLOCK_MATRIX.fullmatch(name)}
    size = sum(named(precision).bytes(name, shape, torch.bfloat16) for name, shape in matrices.items())
    return 8 * size / sum(rows * columns for rows, columns in matrices.values())
