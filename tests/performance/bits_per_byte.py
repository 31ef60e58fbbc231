"""Bits per byte of held-out text: xz, a Kneser-Ney 5-gram over the same tokens, and the workbench's model.

    python -m tests.performance.bits_per_byte --train DIR --held-out DIR [--model DIR] [--tokenizer DIR] [--json]

All three read the same UTF-8 bytes. Tokens are predicted once each, from the end-of-text token on; the end of a book
is not counted. The model reads windows of its whole context that overlap by half, so that every token has at least half
a context before it, save at the beginning of a book.
"""

import argparse
import json
import lzma
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

import workbench
from tests.performance.kneser_ney import KneserNey
from workbench.text.tokenizer import Tokenizer
from workbench.training.corpus import Document, pack, read_documents


def xz_bits_per_byte(texts: Sequence[str]) -> float:
    """Bits per byte of `xz -9e` on the texts in one file; it learns from this text alone."""
    data = "".join(texts).encode()
    return 8 * len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)) / len(data)


def xz_bits_per_byte_apart(texts: Sequence[str]) -> float:
    """The same with a file for each text."""
    files = [text.encode() for text in texts]
    return 8 * sum(len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)) for data in files) / sum(map(len, files))


def windows(length: int, context: int) -> list[tuple[int, int, int]]:
    """(start, first, end) for a row of `length` tokens: read [start, end), and count the predictions of [first, end).

    Together the counted stretches are [1, length), each once.
    """
    found = []
    first = 1
    while first < length:
        start = 0 if first == 1 else first - context // 2
        end = min(length, start + context)
        found.append((start, first, end))
        first = end
    return found


def model_bits(model: torch.nn.Module, row: Sequence[int], context: int) -> float:
    """Bits the model needs for row[1:], given row[0]."""
    nats = 0.0
    for start, first, end in windows(len(row), context):
        ids = torch.tensor(row[start:end]).unsqueeze(0)
        with torch.inference_mode():
            logits = model(ids).logits[0, first - start - 1 : -1].float()
        nats += torch.nn.functional.cross_entropy(logits, ids[0, first - start :], reduction="sum").item()
    return nats / math.log(2)


def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """Every figure that was asked for, by its name."""
    held_out = list(read_documents([arguments.held_out]))
    texts = [document.text for document in held_out]
    total_bytes = sum(len(text.encode()) for text in texts)
    tokenizer = Tokenizer.from_folder(arguments.tokenizer or arguments.model or arguments.train.parent)
    figures: dict[str, float] = {
        "books": len(texts),
        "bytes": total_bytes,
        "tokens": sum(len(tokenizer.encode(text)) for text in texts),
        "xz -9e": xz_bits_per_byte(texts),
        "xz -9e, a file each": xz_bits_per_byte_apart(texts),
    }
    counted: dict[str, Callable[[str], float]] = {}
    if not arguments.no_ngram:
        ngram = fit_ngram(tokenizer, list(read_documents([arguments.train])))
        counted["kneser-ney 5-gram"] = lambda text: float(
            ngram.bits(np.array(tokenizer.encode(text)), tokenizer.eos_id).sum()
        )
    if arguments.model:
        model = workbench.GPTJForCausalLM.from_pretrained(arguments.model).eval()
        context = model.config.n_positions
        counted["model"] = lambda text: model_bits(model, [tokenizer.eos_id, *tokenizer.encode(text)], context)
    for name, bits in counted.items():
        began = time.perf_counter()
        by_book = {document.name: bits(document.text) for document in held_out}
        for document in held_out:
            print(
                f"{name}: {by_book[document.name] / len(document.text.encode()):.4f} {document.name}", file=sys.stderr
            )
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
        figures[name] = sum(by_book.values()) / total_bytes
    return figures


def fit_ngram(tokenizer: Tokenizer, training: Sequence[Document]) -> KneserNey:
    """The 5-gram model of the training text, tokenised as the model's."""
    began = time.perf_counter()
    stream = pack(tokenizer, training)
    ngram = KneserNey(stream, tokenizer.size)
    print(f"kneser-ney: {len(stream)} tokens counted in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return ngram


def main() -> None:
    """Print bits per byte, one line a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="folder of the training texts")
    parser.add_argument("--held-out", type=Path, required=True, help="folder of the held-out texts")
    parser.add_argument("--model", type=Path, help="checkpoint folder; without it only the baselines are measured")
    parser.add_argument(
        "--tokenizer", type=Path, help="folder of tokenizer.json; default: the model's, else beside --train"
    )
    parser.add_argument("--no-ngram", action="store_true", help="leave the 5-gram model out")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    figures = measure(arguments)
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:22} {value:,.4f}" if isinstance(value, float) else f"{name:22} {value:,}")


if __name__ == "__main__":
    main()
