"""The command line: python -m workbench generate | plan | models | train lm.

Answers go to standard output (with --json exactly one JSON document), progress and notes to standard error. Exit
status 0: done; 2: bad input or usage; 1: anything else.
"""

import argparse
import codecs
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

from workbench.engine.jobs import Sampling
from workbench.errors import Cancelled, NumericalFailure, WorkbenchError
from workbench.loading.load import LoadProgress
from workbench.loading.memory import size_text
from workbench.manager import DEMO, ModelManager, ModelSpec
from workbench.text.requests import Generate, Generated
from workbench.training.command import TrainRequest, train_lm

DONE, FAILED, BAD_INPUT = 0, 1, 2


def main(arguments: Sequence[str]) -> int:
    """Runs one command and gives the exit status."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    command: Callable[[argparse.Namespace], dict[str, Any]] = options.command
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without a character shows its number
    try:
        answer = command(options)
        if options.json:
            # Outside of UTF-8 the numbers must be written as JSON writes them.
            json.dump(answer, sys.stdout, ensure_ascii=not _writes_unicode(), indent=2)
            print()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read this has enough, as `head` does; what is left must not fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (Cancelled, NumericalFailure, OSError) as error:
        note(f"workbench: {error}")
        return FAILED
    except WorkbenchError as error:
        note(f"workbench: {error}")
        return BAD_INPUT
    except KeyboardInterrupt:
        note("\nworkbench: stopped")
        return FAILED
    return DONE


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(prog="python -m workbench", description="GPT-J Workbench on the command line.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_generate(commands.add_parser("generate", help="continue a prompt"))
    _add_plan(commands.add_parser("plan", help="what a model needs beside what this machine has, before loading"))
    _add_models(commands.add_parser("models", help="the checkpoints that can be named, with their sizes"))
    train = commands.add_parser("train", help="train a model").add_subparsers(required=True, metavar="WHAT")
    _add_train_lm(train.add_parser("lm", help="a language model from nothing, on plain text"))
    return parser


def note(text: str, end: str = "\n") -> None:
    """Writes to standard error."""
    print(text, end=end, file=sys.stderr, flush=True)


def _writes_unicode() -> bool:
    """Whether standard output can encode every character."""
    return codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8"


def _add_generate(parser: argparse.ArgumentParser) -> None:
    _add_model_options(parser)
    parser.add_argument("--prompt", required=True, metavar="TEXT")
    parser.add_argument("--max-new-tokens", type=int, default=64, metavar="N")
    parser.add_argument("--min-new-tokens", type=int, default=0, metavar="N")
    parser.add_argument("--temperature", type=float, default=1.0, metavar="T", help="0 takes the likeliest token")
    parser.add_argument("--top-k", type=int, default=0, metavar="K", help="0 keeps all tokens")
    parser.add_argument("--top-p", type=float, default=1.0, metavar="P")
    parser.add_argument("--min-p", type=float, default=0.0, metavar="P")
    parser.add_argument("--typical-p", type=float, default=1.0, metavar="P")
    parser.add_argument("--repetition-penalty", type=float, default=1.0, metavar="X")
    parser.add_argument("--presence-penalty", type=float, default=0.0, metavar="X")
    parser.add_argument("--frequency-penalty", type=float, default=0.0, metavar="X")
    parser.add_argument("--beams", type=int, default=1, metavar="N", help="beam search; needs --temperature 0")
    parser.add_argument("--length-penalty", type=float, default=1.0, metavar="X")
    parser.add_argument("--seed", type=int, metavar="S", help="default: a fresh one, told in the answer")
    parser.add_argument("--stop", action="append", default=[], metavar="TEXT", help="ends the text; may be repeated")
    parser.add_argument("--ban", action="append", default=[], metavar="WORD", help="never written; may be repeated")
    parser.set_defaults(command=generate)


def _add_plan(parser: argparse.ArgumentParser) -> None:
    _add_model_options(parser)
    parser.add_argument("--streams", type=int, default=1, metavar="N", help="texts written at the same time")
    parser.add_argument("--context", type=int, metavar="N", help="tokens a stream may hold; default: the model's")
    parser.set_defaults(command=plan)


def _add_models(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(command=models)


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default=DEMO, metavar="M", help='"demo" (default), a folder or a Hub id')
    parser.add_argument("--revision", metavar="R", help="branch, tag or commit on the Hub")
    parser.add_argument(
        "--precision", metavar="P", help="float32, bfloat16, float16, int8 or nf4; default: the folder's own"
    )
    parser.add_argument(
        "--device-map", metavar="D", help="auto, cpu, cuda:0, ...; default: the first GPU, or else the CPU"
    )
    parser.add_argument("--offload-folder", metavar="DIR", help="for parts that fit no device; with --device-map auto")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def _add_train_lm(parser: argparse.ArgumentParser) -> None:
    for field in dataclasses.fields(TrainRequest):
        flag = "--" + field.name.replace("_", "-")
        help_text = field.metadata["help"]
        if field.metadata.get("many"):
            required = field.default_factory is dataclasses.MISSING
            parser.add_argument(flag, nargs="+", default=[], required=required, metavar="X", help=help_text)
        else:
            kind = field.metadata["kind"]
            required = field.default is dataclasses.MISSING
            default = None if required else field.default
            shown = help_text if default is None else f"{help_text} (default: {default})"
            parser.add_argument(flag, type=kind, default=default, required=required, metavar="X", help=shown)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(command=train)


def _spec(options: argparse.Namespace) -> ModelSpec:
    return ModelSpec(options.model, options.revision, options.precision, options.device_map)


def generate(options: argparse.Namespace) -> dict[str, Any]:
    """Continues a prompt; without --json the text appears as it is written."""
    request = Generate(
        prompt=options.prompt,
        max_new_tokens=options.max_new_tokens,
        min_new_tokens=options.min_new_tokens,
        sampling=Sampling(
            options.temperature, options.top_k, options.top_p, options.min_p, options.typical_p,
            options.repetition_penalty, options.presence_penalty, options.frequency_penalty,
        ),
        seed=options.seed,
        stop=tuple(options.stop),
        banned=tuple(options.ban),
        num_beams=options.beams,
        length_penalty=options.length_penalty,
    )  # fmt: skip
    with closing(ModelManager(offload_folder=options.offload_folder)) as manager:
        manager.load(_spec(options), _show_load)
        with manager.lease(_spec(options)) as model:
            answer = Generated()
            for snapshot in model.stream(request):
                if not options.json:
                    print(snapshot.text[len(answer.text) :], end="", flush=True)
                answer = snapshot
    if not options.json:
        print()
        pace = "" if answer.tokens_per_second is None else f", {answer.tokens_per_second:.1f} tokens/s"
        note(
            f"{answer.completion_tokens} tokens in {answer.seconds:.2f} s{pace}; "
            f"seed {answer.seed}; {answer.finish_reason}"
        )
    return dataclasses.asdict(answer)


def plan(options: argparse.Namespace) -> dict[str, Any]:
    """What a model needs, before it is loaded."""
    with closing(ModelManager()) as manager:
        found = manager.plan(_spec(options), options.streams, options.context)
    if not options.json:
        print(found.advice)
        for name, total, fits in found.alternatives:
            print(f"  {name:<9} {size_text(total):>10}  {'fits' if fits else 'does not fit'}")
    return dataclasses.asdict(found)


def models(options: argparse.Namespace) -> dict[str, Any]:
    """The checkpoints that can be named without a path."""
    with closing(ModelManager()) as manager:
        rows: list[dict[str, Any]] = []
        for name in manager.known():
            found = manager.plan(ModelSpec(name))
            rows.append({"name": name, "parameters": found.parameters, "weights_bytes": found.weights_bytes})
    if not options.json:
        for row in rows:
            print(f"{row['name']:<12} {row['parameters']:>14,} parameters  {size_text(row['weights_bytes']):>10}")
    return {"models": rows}


def train(options: argparse.Namespace) -> dict[str, Any]:
    """Trains a language model; the folder may be given again to go on after a stop."""
    names = [field.name for field in dataclasses.fields(TrainRequest)]
    values = {name: getattr(options, name) for name in names}
    for name, value in values.items():
        values[name] = tuple(value) if isinstance(value, list) else value
    answer = train_lm(TrainRequest(**values), note)
    if not options.json:
        loss = "" if answer["loss"] is None else f", last loss {answer['loss']:.3f}"  # None: it was done before
        print(f"{answer['folder']}: {answer['steps']} steps{loss}")
    return answer


def _show_load(progress: LoadProgress) -> None:
    """A line that rewrites itself, where somebody can see it and the load is long enough to wonder."""
    if sys.stderr.isatty() and progress.bytes_total > 2**28:
        share = progress.bytes_done / max(1, progress.bytes_total)
        end = "\n" if progress.tensors_done == progress.tensors_total else ""
        note(f"\rloading {share:4.0%}  {progress.name:<50}", end=end)
