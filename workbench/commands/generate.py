"""`generate`: continues a prompt."""

import argparse
import dataclasses
from contextlib import closing
from typing import Any

from workbench.console import Command, add_model_options, asked_model, note, show_load
from workbench.engine.jobs import Sampling
from workbench.manager import ModelManager
from workbench.text.requests import Generate, Generated


def add_options(parser: argparse.ArgumentParser) -> None:
    """The model, the prompt and everything that shapes its continuation."""
    add_model_options(parser)
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
    parser.add_argument("--no-lookup", action="store_true", help="guess no tokens ahead; they are the same either way")
    parser.add_argument("--seed", type=int, metavar="S", help="default: a fresh one, told in the answer")
    parser.add_argument("--stop", action="append", default=[], metavar="TEXT", help="ends the text; may be repeated")
    parser.add_argument("--ban", action="append", default=[], metavar="WORD", help="never written; may be repeated")


def generate(options: argparse.Namespace) -> dict[str, Any]:
    """Continues a prompt; without --json the text appears as it is written."""
    request = _request(options)
    with closing(ModelManager(offload_folder=options.offload_folder)) as manager:
        manager.load(asked_model(options), show_load)
        with manager.lease(asked_model(options)) as model:
            answer = Generated()
            for snapshot in model.stream(request):
                if not options.json:
                    print(snapshot.text[len(answer.text) :], end="", flush=True)
                answer = snapshot
    if not options.json:
        print()
        pace = "" if answer.tokens_per_second is None else f", {answer.tokens_per_second:.1f} tokens/s"
        ahead = f" ({answer.accepted_tokens} found in the text before)" if answer.accepted_tokens else ""
        note(
            f"{answer.completion_tokens} tokens{ahead} in {answer.seconds:.2f} s{pace}; "
            f"seed {answer.seed}; {answer.finish_reason}"
        )
    return dataclasses.asdict(answer)


def _request(options: argparse.Namespace) -> Generate:
    return Generate(
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
        lookup=not options.no_lookup,
    )  # fmt: skip


COMMAND = Command("generate", "continue a prompt", add_options, generate)
