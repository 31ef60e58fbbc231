"""What the commands that use a model share: how it is named, how a request's fields become options."""

import argparse
import dataclasses
from typing import Any

from workbench.loading.load import LoadProgress
from workbench.manager import DEMO, ModelSpec
from workbench.terminal import Command, add_json_option, note, rewritten, watched

__all__ = [
    "Command",
    "add_fields",
    "add_json_option",
    "add_model_options",
    "asked_model",
    "fields_of",
    "note",
    "rewritten",
    "show_load",
    "watched",
]


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """The options that name a model and how it is held, and --json."""
    named = '"demo" (default), "demo-small", a folder, a Hub id, or http://host:8000/v1#model'
    parser.add_argument("--model", default=DEMO, metavar="M", help=named)
    parser.add_argument("--revision", metavar="R", help="branch, tag or commit on the Hub")
    parser.add_argument(
        "--precision",
        metavar="P",
        help="float32, bfloat16, float16, int8, nf4 or int4 (on a CPU); default: the folder's own",
    )
    parser.add_argument(
        "--device-map", metavar="D", help="auto, cpu, cuda:0, ...; default: the first GPU, or else the CPU"
    )
    parser.add_argument("--offload-folder", metavar="DIR", help="for parts that fit no device; with --device-map auto")
    add_json_option(parser)


def asked_model(options: argparse.Namespace) -> ModelSpec:
    """The model that the options name."""
    return ModelSpec(options.model, options.revision, options.precision, options.device_map)


def add_fields(parser: argparse.ArgumentParser, request: type[Any]) -> None:
    """An option for each field of a request's dataclass, from the field's metadata.

    "help" is the help text and "kind" the type; "many" takes one or more values, "choices" lists the values there are.
    """
    for field in dataclasses.fields(request):
        flag, help_text = "--" + field.name.replace("_", "-"), field.metadata["help"]
        if field.metadata.get("many"):
            required = field.default_factory is dataclasses.MISSING and field.default is dataclasses.MISSING
            parser.add_argument(flag, nargs="+", default=None, required=required, metavar="X", help=help_text)
        elif field.metadata["kind"] is bool:
            parser.add_argument(flag, action="store_true", help=help_text)
        else:
            required = field.default is dataclasses.MISSING
            default = None if required else field.default
            shown = help_text if default is None else f"{help_text} (default: {default})"
            parser.add_argument(
                flag, type=field.metadata["kind"], default=default, required=required,
                choices=field.metadata.get("choices"), metavar="X", help=shown,
            )  # fmt: skip


def fields_of(options: argparse.Namespace, request: type[Any]) -> dict[str, Any]:
    """The values of a request's fields among parsed options; an option of many values that is not given is left out."""
    values = {field.name: getattr(options, field.name) for field in dataclasses.fields(request)}
    many = {field.name for field in dataclasses.fields(request) if field.metadata.get("many")}
    return {
        name: tuple(value) if name in many else value
        for name, value in values.items()
        if name not in many or value is not None
    }


def show_load(progress: LoadProgress) -> None:
    """A line that rewrites itself, where the load is long enough to wonder."""
    if progress.bytes_total > 2**28:
        share = progress.bytes_done / max(1, progress.bytes_total)
        rewritten(f"loading {share:4.0%}  {progress.name:<50}", progress.tensors_done == progress.tensors_total)
