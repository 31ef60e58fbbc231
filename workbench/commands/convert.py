"""`convert`: a checkpoint in another format or precision."""

import argparse
from pathlib import Path
from time import perf_counter
from typing import Any

from workbench.loading.convert import SAFETENSORS, WRITERS, convert
from workbench.loading.memory import size_text
from workbench.loading.source import resolve
from workbench.manager import SHIPPED
from workbench.terminal import Command, add_json_option, duration, rewritten


def add_options(parser: argparse.ArgumentParser) -> None:
    """From where to where, and how it is written."""
    parser.add_argument("source", metavar="SRC", help='a folder or a Hub id, "demo" or "demo-small"')
    parser.add_argument("destination", metavar="DST", type=Path, help="the folder to write; it must not hold files")
    parser.add_argument("--revision", metavar="R", help="branch, tag or commit on the Hub")
    parser.add_argument("--format", default=SAFETENSORS, choices=list(WRITERS), help="default: %(default)s")
    parser.add_argument(
        "--precision", metavar="P", help="float32, bfloat16, float16 or, as safetensors, int8; default: the source's"
    )
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="the model's config.json, for weights that come without one"
    )
    add_json_option(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """What was written, and which names of the source were left out or filled another way."""
    started = perf_counter()
    source = SHIPPED.get(options.source) or resolve(options.source, options.revision)
    done = convert(
        source,
        options.destination.expanduser(),
        options.format,
        options.precision,
        options.config,
        lambda name: rewritten(f"writing {name}"),
    )
    rewritten("", last=True)
    seconds = perf_counter() - started
    if not options.json:
        size = size_text(done.bytes)
        print(f"{done.folder}: {done.tensors} tensors, {size} in {done.precision}, {duration(seconds)}. {done.report}")
        if str(done.heads):
            print(done.heads)
    return {
        "tensors": done.tensors,
        "bytes": done.bytes,
        "dropped": [*done.report.dropped, *done.report.unexpected],
        "missing": list(done.report.missing),
        "heads": list(done.heads.kept),
        "heads_left_out": list(done.heads.left),
        "source_format": done.source,
        "format": done.format,
        "precision": done.precision,
        "folder": str(done.folder),
        "seconds": seconds,
    }


COMMAND = Command(
    "convert", "a checkpoint in another format or precision", add_options, run,
    about="Reads a checkpoint in any published format (safetensors, pytorch_model.bin, Flax, TensorFlow, "
    "mesh-transformer-jax's slim shards, ggml) and writes it as a folder of safetensors, or back as pytorch_model.bin "
    "or flax_model.msgpack. Nothing is overwritten, and the folder appears whole or not at all.",
)  # fmt: skip
